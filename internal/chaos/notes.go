package main

import (
	"sync"

	"github.com/tiercache/tiercache/coherence"
)

// notes are what a node has seen and not yet reported. Instants that the checks depend on are taken under the
// lock, so that a report holds all that was noted before it. They are safe for concurrent use.
type notes struct {
	tally tally

	mu     sync.Mutex
	fleet  *coherence.Node
	next   Report
	claims []Return   // writes whose invalidation is in the journal
	hits   func() int // in memory, so far
	told   int        // of them
}

func (n *notes) stateOf(fleet *coherence.Node, hits func() int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fleet, n.hits = fleet, hits
}

func (n *notes) count(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.add(what)
}

func (n *notes) add(what string) {
	if n.next.Counts == nil {
		n.next.Counts = make(map[string]int)
	}
	n.next.Counts[what]++
}

func (n *notes) step() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.next.Steps = append(n.next.Steps, now())
}

func (n *notes) shelved(loaded bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.next.Shelf.Reads++
	if loaded {
		n.next.Shelf.Loads++
	}
}

func (n *notes) wrong(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.next.Wrong = append(n.next.Wrong, what)
}

// returned notes writes that have returned just now. Those that Redis has not confirmed are promised as
// soon as the journal is empty.
func (n *notes) returned(confirmed bool, writes ...Return) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := now()
	for _, w := range writes {
		w.At, w.Owned, w.Covered = at, true, confirmed
		n.next.Returns = append(n.next.Returns, w)
		if !confirmed {
			n.claims = append(n.claims, w)
		}
	}
}

// settle covers what was claimed if the journal is empty: it held the keys before the writes returned.
func (n *notes) settle() {
	if len(n.claims) == 0 || n.fleet.Stats().Journal > 0 {
		return
	}
	at := now()
	for _, w := range n.claims {
		w.At, w.Owned, w.Covered = at, false, true
		n.next.Returns = append(n.next.Returns, w)
	}
	n.claims = nil
	n.add("claims settled")
}

// take returns the report and begins the next.
func (n *notes) take() Report {
	n.mu.Lock()
	n.settle()
	r := n.next
	n.next = Report{}
	r.At = now()
	if n.hits != nil {
		hits := n.hits()
		r.LocalHits, n.told = hits-n.told, hits
	}
	r.InStep = n.fleet != nil && n.fleet.State() == coherence.InStep
	n.mu.Unlock()
	r.Reads = n.tally.take()
	return r
}
