package tiered

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// Fault 16. Ristretto has queued a copy, which is not there yet, when the key is
// invalidated: with its own Del the copy could come after it. It comes, and its
// generation is over.
func TestGatedInvalidatedBeforeItIsStored(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join()
		a.get() // and does not wait for ristretto
		a.change(2)
		a.settle()
		a.want(2, "invalidated while the copy was queued")
	})
}

// Fault 16. Nothing but what to keep is asked of ristretto: Del and Clear, which race with
// Set, are never called.
func TestLocalTierDeletesNothing(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "local.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var called []string
	ast.Inspect(file, func(n ast.Node) bool {
		method, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if of, ok := method.X.(*ast.SelectorExpr); ok && of.Sel.Name == "policy" {
			called = append(called, method.Sel.Name)
		}
		return true
	})
	slices.Sort(called)
	if want := []string{"Close", "Get", "RemainingCost", "Set"}; !slices.Equal(slices.Compact(called), want) {
		t.Errorf("local.go calls %q of ristretto, want %q", called, want)
	}
}
