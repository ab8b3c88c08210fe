package main

import (
	"time"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/history"
	"github.com/tiercache/tiercache/tiered"
)

// What the nodes are run with: the library's own bound and probe. Half of the keys live so shortly that values
// expire, are refreshed and are forgotten all the time. The others outlive the bound and any fence, so that
// no expiry hides a value that should not be there any more.
const (
	bound = coherence.DefaultMaxStale // D
	probe = coherence.DefaultProbe    // H

	fence    = 2 * time.Second // FenceTTL: a writer gets 0.8 of it
	lease    = 500 * time.Millisecond
	loading  = 2 * time.Second // LoadTimeout
	waiting  = time.Second     // WaitMax
	fresh    = 2 * time.Second // TTL
	durable  = 30 * time.Second
	stale    = 2 * time.Second // StaleTTL
	notFound = 500 * time.Millisecond

	// slack is what a busy machine may add where more than an order of instants is compared.
	slack = 30 * time.Second
)

var limits = history.Limits{Bound: bound, Found: durable + stale + loading + slack, NotFound: notFound + loading + slack}

// lifeOf returns the TTL of a key.
func lifeOf(key string) tiered.Option {
	if key[len(key)-1]%2 == 0 {
		return tiered.WithTTL(fresh)
	}
	return tiered.WithTTL(durable)
}
