package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tiercache/tiercache/internal/history"
)

// histories are all reads and writes of each key, which porcupine checks while the run goes on: as soon as nothing
// can come any more that was called before a moment at which nothing was under way. They are safe for concurrent use.
//
// A write ends when its Update has returned without an error. Where the caller does not know what became of it, or is
// dead, it ends with its commit, which the source knows: that asks for more than linearizability does, and is
// what package coherence promises.
type histories struct {
	record *record
	accuse func(what string)
	linear history.Linear
	limit  int // of operations that wait for their check

	mu       sync.Mutex
	floors   map[string]Instant // by living node: all is known that was called there before
	keys     map[string]*keyHistory
	buffered int
	sums     Histories
}

// keyHistory is what is not checked yet of one key.
type keyHistory struct {
	state  history.Register
	done   history.Operations
	writes []*write
}

// write is one that was committed.
type write struct {
	history.Operation
	ended bool // its Update has returned
}

// Histories sum up what was checked.
type Histories struct {
	Operations  int              `json:"operations"` // each read and write by itself
	LocalHits   int              `json:"local_hits"` // reads served from memory, those of keys that nobody writes included
	Writes      int              `json:"writes"`
	InDoubt     int              `json:"in_doubt"` // writes that ended with their commit
	Keys        int              `json:"keys"`
	Parts       int              `json:"parts"`           // histories between two quiet moments
	LongestPart int              `json:"longest_part"`    // operations
	LongestWait map[string]int64 `json:"longest_wait_ms"` // by fault at work: from Update to its writer
}

func newHistories(r *record, accuse func(string), dir string) *histories {
	h := &histories{
		record: r, accuse: accuse, linear: history.Linear{Dir: dir}, limit: maxBuffered, floors: make(map[string]Instant),
		keys: make(map[string]*keyHistory), sums: Histories{Keys: keys, LongestWait: make(map[string]int64)},
	}
	for _, key := range keyNames {
		h.keys[key] = &keyHistory{state: history.Register{Commit: 1, Value: 1}}
	}
	return h
}

// join is a node that begins now.
func (h *histories) join(node string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.floors[node] = now()
}

// leave is the end of a node. What it had read and not reported, nobody will know.
func (h *histories) leave(node string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.floors, node)
}

// committed adds a write that the source has executed by now.
func (h *histories) committed(client int, c CommitCall, version int) {
	w := &write{Operation: history.Operation{Client: client, Call: int64(c.Began), Return: int64(now()), Commit: version, Value: version}}
	if c.Deleted {
		w.Value = 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.keys[c.Key]
	k.writes = append(k.writes, w)
	h.sums.Writes++
}

// returned is the return of an Update that its caller may rely on.
func (h *histories) returned(r Return) {
	kinds := h.record.kindsBetween(r.Began, r.Began+Instant(r.Waited))
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, kind := range kinds {
		h.sums.LongestWait[kind] = max(h.sums.LongestWait[kind], r.Waited.Milliseconds())
	}
	for _, w := range h.keys[r.Key].writes {
		if w.Commit == r.Version && r.Owned && r.Covered {
			w.Return, w.ended = int64(r.At), true
		}
	}
}

// take adds the reads of a report, and tells whether the checks are behind: nodes should read less then.
func (h *histories) take(node string, slot int, r Report) (behind bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, op := range operationsIn(r.Operations) {
		op.Client = clientOf(slot, op.Client)
		k := h.keys[keyNames[key]]
		k.done = append(k.done, op)
		h.buffered++
	}
	h.floors[node] = r.Floor
	h.sums.LocalHits += r.LocalHits
	return h.buffered > h.limit
}

const maxBuffered = 1_000_000 // 40 bytes each

// clientOf numbers the goroutines of all nodes.
func clientOf(slot, goroutine int) int { return slot*(workers+spinners) + goroutine }

// settled returns the instant before which no call is unknown.
func (h *histories) settled() Instant {
	least := now()
	for _, at := range h.floors {
		least = min(least, at)
	}
	return least
}

// begin checks again and again, until finish is called, which checks what is left.
func (h *histories) begin() (finish func()) {
	done := make(chan struct{})
	var checking sync.WaitGroup
	checking.Go(func() {
		tick := time.NewTicker(checkEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				h.check()
			case <-done:
				h.check()
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		close(done)
		checking.Wait()
	})
}

const checkEvery = 500 * time.Millisecond

// check checks all that is known.
func (h *histories) check() {
	for _, key := range slices.Sorted(maps.Keys(h.keys)) {
		ops, known := h.known(key)
		parts := ops.Parts(int64(known))
		for _, part := range parts {
			h.checkPart(key, part)
		}
		h.mu.Lock()
		h.keys[key].done = append(h.keys[key].done, ops...)
		h.mu.Unlock()
	}
}

// known takes what is not checked yet of a key, with the writes that have ended for sure.
func (h *histories) known(key string) (history.Operations, Instant) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, known := h.keys[key], h.settled()
	ops := k.done
	k.done = nil
	k.writes = slices.DeleteFunc(k.writes, func(w *write) bool {
		if w.Call >= int64(known) {
			return false
		}
		ops = append(ops, w.Operation)
		h.buffered++
		if !w.ended {
			h.sums.InDoubt++
		}
		return true
	})
	return ops, known
}

func (h *histories) checkPart(key string, part history.Operations) {
	k := h.keys[key]
	state, err := h.linear.Check(key, k.state, part)
	k.state = state
	if err != nil {
		begun := Instant(part[0].Call)
		h.accuse(fmt.Sprintf("%v; they begin at %s\n%s", err, h.record.since(begun), h.record.story(key)))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buffered -= len(part)
	h.sums.Operations += len(part)
	h.sums.Parts++
	h.sums.LongestPart = max(h.sums.LongestPart, len(part))
}

// sum returns what was checked so far.
func (h *histories) sum() Histories {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.sums
	out.LongestWait = maps.Clone(out.LongestWait)
	return out
}
