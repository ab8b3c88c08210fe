package coherence

import (
	"fmt"
	"log/slog"
)

// EventKind tells rare happenings apart.
type EventKind uint8

const (
	EventInStep    EventKind = iota + 1 // the node is in step (again): local copies are served
	EventAdrift                         // no proof of being in step for MaxStale: reads go to the source
	EventFork                           // Redis lost history: all cached values of the fleet were voided
	EventHistory                        // an unknown Redis process was met (restart, failover, new shard)
	EventMissed                         // announcements were missed for good (more than the ring holds): local copies were voided
	EventDeaf                           // pub/sub delivered nothing while the fleet announced: subscribed anew
	EventJournal                        // an invalidation failed and is being retried
	EventSettled                        // all failed invalidations were confirmed
	EventOverflow                       // the journal is full: the fleet's caches will be voided
	EventMalformed                      // a message could not be understood: local copies were voided
	EventSuspended                      // this process or its machine was suspended: the lease was dropped
	EventGone                           // a node did not confirm an announcement; its assurance was waited for
	EventConfig                         // a setting that weakens or slows the node; told once
	EventUnstored                       // a value that was loaded could not be put into Redis; told once until one can
	EventPanic                          // a hook of the application panicked; told once a cache and hook
	EventStale                          // an audit found a copy served beyond the bound, or a change that nobody announced
)

func (k EventKind) String() string {
	names := [...]string{"unknown", "in step", "adrift", "fork", "history", "missed", "deaf", "journal",
		"settled", "overflow", "malformed", "suspended", "gone", "config", "unstored", "panic", "stale"}
	if int(k) >= len(names) {
		k = 0
	}
	return names[k]
}

// Event is a rare happening worth a log line or a counter. It never holds
// values, credentials or addresses with credentials.
type Event struct {
	Kind  EventKind
	Space string // name of the space, where it concerns one
	Note  string // what happened, in words
	Err   error  // the cause, where there is one
}

func (e Event) String() string {
	s := "tiercache: " + e.Kind.String()
	if e.Space != "" {
		s += " " + e.Space
	}
	if e.Note != "" {
		s += ": " + e.Note
	}
	if e.Err != nil {
		s += fmt.Sprintf(" (%v)", e.Err)
	}
	return s
}

func logEvent(e Event) {
	switch e.Kind {
	case EventInStep, EventHistory, EventSettled:
		slog.Info(e.String())
	default:
		slog.Warn(e.String())
	}
}
