// Mutants proves that a test notices the loss of every guard of the protocol.
//
//	go run ./internal/mutants [-run regexp] [-parallel n]
//	go run ./internal/mutants -overlay dir
//
// Its table lists the guards: what each is for, where it stands, what stands there
// in the mutant, and the test that fails. Shipped code knows nothing of it. A
// rewriter puts every mutant behind a switch and hands the result to the go command
// as an overlay, so that one build serves all of them. The switch of a row is on in
// a process whose environment variable TIERCACHE_MUTANT holds the row's name.
//
// The command shows first that the overlay is in effect: the first mutant dies. Then it
// runs the tests of the table without a mutant, and with them all gated tests of their
// packages: they must pass. Then it runs the test of each row against its mutant: it
// must fail. It prints a line for each mutant and ends with status 1 if one survives.
// With -overlay it only writes dir/overlay.json, to be given to go build or go test:
//
//	TIERCACHE_MUTANT=noack go run -overlay dir/overlay.json ./internal/chaos -strong
//
// The go command ignores an overlay for files that it instruments for coverage:
// -cover and -overlay do not go together.
//
// # Adding a row
//
// Write the guard as if there were no mutants. Then add a row to the rows_ file of
// its subject:
//
//	{"nogen", "I2", "a hit compares no generations",
//		"tiered/get.go:good", `e.gen != c.space.Generation(hash)`, `false`,
//		"tiered.TestGatedI2GenerationMoves"},
//
// The fields are the name of the mutant (lower case), the invariant it breaks ("" if
// none of the numbered ones), what the mutant does in one sentence, the place, the
// guard, what stands there instead, and the test that fails.
//
// The place is a file and a function in it, as Type.method where the file has two of
// that name. The guard is the text of one expression or one statement, which must
// stand exactly once in that function. White space and comments do not count. To
// make a text unique take more of it: a whole condition, a whole if statement.
//
//   - A condition, or an operand of one, is replaced by a condition.
//   - A statement is replaced by any number of statements, or by none. One that
//     declares names (x, err := f()) is replaced by one that declares the same.
//   - Any other expression is replaced by an expression of its type.
//
// Only the mutant evaluates what stands in it. It sees the names in scope there and
// the imports of the file. Rows may cut the same guard, or a part of another's.
//
// A row that repeats the name of the row above, and leaves invariant, meaning and test
// empty, cuts another place in the same mutant. A wrong order of two statements is two
// such rows: one puts the second statement ahead of the first, the other takes it away.
//
// In a script the place is the .lua file, and the guard a text that stands in it
// exactly once, white space included.
//
// The test is package.Test, or package.Test/subtest. The package is a directory of the
// module. Watch the row die: go run ./internal/mutants -run '^name$'. In go test ./...
// a test that only parses fails when a guard or a test of the table is not there any
// more, so the table keeps up with the code.
package main
