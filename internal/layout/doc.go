// Package layout holds the rules of the tree as tests: what may be imported by
// what, and which modules the shipped packages may link.
package layout
