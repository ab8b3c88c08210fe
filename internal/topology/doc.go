// Package topology holds the tests that run every verb of package tiered
// against real Redis groups: one server, a Sentinel group, a Cluster. It has no
// code of its own.
package topology
