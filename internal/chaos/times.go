package main

import (
	"time"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/history"
)

// What the nodes are run with: the library's own bound and probe, and lives so short that values expire, are
// refreshed and are forgotten all the time.
const (
	bound = coherence.DefaultMaxStale // D
	probe = coherence.DefaultProbe    // H

	fence    = 2 * time.Second // FenceTTL: a writer gets 0.8 of it
	lease    = 500 * time.Millisecond
	loading  = 2 * time.Second // LoadTimeout
	waiting  = time.Second     // WaitMax
	fresh    = 2 * time.Second // TTL
	stale    = 2 * time.Second // StaleTTL
	notFound = 500 * time.Millisecond

	// slack is what a busy machine may add where more than an order of instants is compared.
	slack = 30 * time.Second
)

var limits = history.Limits{Bound: bound, Found: fresh + stale + loading + slack, NotFound: notFound + loading + slack}
