package main

import "slices"

// A row is a guard and the mutant without it. The package comment tells how to add one.
type row struct {
	name      string // of the mutant
	invariant string // that it breaks, of those numbered in package coherence; "" if none of them
	meaning   string // what the mutant does
	place     string // file.go:function, or the file of a script
	guard     string
	instead   string
	test      string // that fails: package.Test/subtest
}

// leads reports whether r begins a mutant. Other rows add to the one above.
func (r row) leads() bool { return r.test != "" }

// table is every guard.
var table = slices.Concat(reads, loads, writes, announcements, bus, acknowledgements, failovers, audits)
