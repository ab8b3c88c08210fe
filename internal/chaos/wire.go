package main

import "time"

// The messages between a node and the director. A node calls, the director answers: the director owns the source.

// Config is what a node must know to begin.
type Config struct {
	Name   string // slot and incarnation
	Slot   int
	Fleet  string
	Seed   uint64
	Warm   time.Duration // of coherence.Config
	Strong bool          // the cache is tiered.Strong, and every single read is reported
	Redis  Address
}

// Address is the way to Redis.
type Address struct {
	Addrs   []string // of the server, of the sentinels, or of the Cluster's nodes
	Master  string   // Sentinel: the name of the master
	Cluster bool
}

// CommitCall asks the source to store the next version of a record.
type CommitCall struct {
	Key      string
	Client   int     // the goroutine that calls
	Began    Instant // when the Update did, before its fence was asked for
	Deadline Instant // the source refuses it later; 0: never
	Deleted  bool
}

// OutsideCall asks the source to change records past the caches.
type OutsideCall struct {
	Keys    []string
	Deleted []bool
}

// Report is what a node has seen since the last one.
type Report struct {
	At      Instant // whatever was noted here before is in this report or an earlier one
	Reads   []Reads
	Returns []Return
	Steps   []Instant // when the node came into step again
	InStep  bool      // now
	Shelf   Shelf
	Counts  map[string]int
	Wrong   []string // what must not happen, whatever the history says

	// With Strong:
	Operations []byte  // the reads, instead of Reads
	Floor      Instant // no operation that was called earlier comes in a later report
	LocalHits  int
}

// Return is a write that has returned on a node.
type Return struct {
	Key       string
	Version   int
	Began, At Instant
	Update    bool          // and not Invalidate
	Owned     bool          // this node's reads must see it
	Covered   bool          // the fleet has promised that all reads do
	Waited    time.Duration // until the writer was called
}

// Shelf counts the reads of keys that nobody writes and that live long: they show how warm the caches are.
type Shelf struct{ Reads, Loads int }

// Order is the answer to a report.
type Order struct {
	Stop   bool // finish, report once more, and end
	Behind bool // the director is: read less
}

// Value is a record of the source.
type Value struct {
	Key     string
	Version int
}
