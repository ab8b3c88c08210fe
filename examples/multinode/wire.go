package main

import "time"

// What director and nodes say to each other. All times are UnixNano of the
// wall clock: every process of the demo runs on one machine and so reads the
// same clock. (CLOCK_MONOTONIC would be shared too, but Go does not expose it;
// a clock that is stepped during the run can spoil a measurement.)

// now reads the clock that all processes share.
func now() int64 { return time.Now().UnixNano() }

// The caches a node has over the shop's database.
const (
	shelfTextbook = "textbook" // cache-aside as in the textbook
	shelfPrice    = "price"    // tiercache, products
	shelfRanking  = "ranking"  // tiercache, a slow query with stale-while-revalidate
)

// Outcome is what an Update came to.
type Outcome string

const (
	outcomeDone        Outcome = "done"
	outcomeRefused     Outcome = "refused"     // ErrNotWritten
	outcomeUnconfirmed Outcome = "unconfirmed" // ErrUnconfirmed: written, but the caches may not know yet
	outcomeFailed      Outcome = "failed"
)

// UpdateArgs asks a node for a new price.
type UpdateArgs struct {
	Shelf, Key string
	Cents      int64
	Hold       bool // stop between the database's commit and the cache's work until Release
}

// Change is one price change as its writer saw it.
type Change struct {
	Key            string
	Version, Cents int64 // Version 0: the database was not written
	Asked          int64 // before Update
	Committed      int64 // after the database's commit
	Returned       int64 // after Update returned without an error, else 0
	Outcome        Outcome
	Err            string
}

// ReadPlan is a read load: every reader reads all keys, pauses, and again.
type ReadPlan struct {
	Shelf   string
	Keys    []string
	Readers int
	Pause   time.Duration
	Timed   bool // keep the latency of every read
}

// Sighting sums up the reads of one node that returned one version of one key.
// Of those the read that started last is the most stale, so keeping its start
// checks every read without keeping every read.
type Sighting struct {
	Key            string
	Version, Cents int64
	Reads          int64
	FirstEnd       int64 // end of the read that ended first
	LastStart      int64 // start of the read that started last
}

// Sample is one timed read.
type Sample struct {
	Start int64
	Took  time.Duration
}

// ReadLog is what a read load saw.
type ReadLog struct {
	Reads, Errors int64
	Err           string // of one failed read
	Slowest       time.Duration
	Sightings     []Sighting
	Samples       []Sample
}

// ReadCount is how far a running read load has come.
type ReadCount struct{ Reads, Errors int64 }

// OrderPlan makes customers order one product at a steady pace.
type OrderPlan struct {
	Shelf, Key string
	Every      time.Duration
}

// OrderLog tells which orders could not be taken.
type OrderLog struct {
	Failed int64
	Err    string // of one of them
}

// PermitArgs asks a node to grant or revoke a permission.
type PermitArgs struct {
	Key     string
	Allowed bool
}

// CheckPlan makes readers ask for one permission: each does so a few times, pauses,
// and again.
type CheckPlan struct {
	Key     string
	Readers int
	Burst   int
	Pause   time.Duration
}

// CheckEnd says how many of them are to begin after an instant, on each node.
type CheckEnd struct {
	After int64
	Want  int
}

// CheckLog holds when each check began, by its answer.
type CheckLog struct {
	Allowed, Denied []int64
	Errors          int64
	Err             string // of one of them
}

// HerdPlan makes readers read one key at the same time.
type HerdPlan struct {
	Shelf, Key string
	Readers    int
	At         int64
}

// HerdLog holds the latency of every reader.
type HerdLog struct {
	Took   []time.Duration
	Errors int
	Err    string
}

// Span is one load from the source.
type Span struct{ Start, End int64 }

// SourceLog is what a node asked of the database since the last reset.
type SourceLog struct {
	Loads   int64
	Peak    int64 // most loads running at one time
	Running int64
	Weak    int64 // made without Redis, because it did not answer in time
	Spans   []Span
}

// LookArgs asks for one value, without a load if Peek is set.
type LookArgs struct {
	Shelf, Key string
	Peek       bool
}

// Look is a value as a node serves it.
type Look struct{ Version, Cents int64 }
