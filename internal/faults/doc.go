// Package faults checks docs/faults.md, the table of faults and of the tests that
// inject them. It has no code of its own.
package faults
