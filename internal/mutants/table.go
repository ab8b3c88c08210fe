package main

// packages have gated tests.
var packages = []string{"coherence", "tiered"}

// A mutation says which gated test, of which package, kills a mutant.
type mutation struct {
	name      string // of the switch, in lower case
	invariant string // of the protocol; "" where the guard serves no numbered one
	pkg, test string
}

var table = []mutation{
	{"nolease", "I3", "tiered", "^TestGatedI3LeaseRunsOut$"},
	{"leaselate", "I3", "tiered", "^TestGatedI3LeaseBeforeGeneration$"},
	{"nogen", "I2", "tiered", "^TestGatedI2GenerationMoves$"},
	{"lategen", "I2", "tiered", "^TestGatedI2GenerationBeforeRead$"},
	{"weak", "I3", "tiered", "^TestGatedI3WeakCopyDies$"},
	{"keyblind", "", "tiered", "^TestGatedHashCollision$"},
	{"outlive", "I17", "tiered", "^TestGatedI17CopyEndsWithRecord$"},
	{"hardignored", "I17", "tiered", "^TestGatedI17HardExpiryOfRecord$"},
	{"negativestale", "", "tiered", "^TestGatedNegativeIsNeverStale$"},
	{"noerase", "I7", "tiered", "^TestGatedStaleEndsWithInvalidation$"},
	{"nobreaker", "", "tiered", "^TestGatedBreakerCostsNothing$"},
	{"nosettle", "", "tiered", "^TestGatedBreakerCostsNothing$"},
}
