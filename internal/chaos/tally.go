package main

import (
	"sync"
	"time"
)

// Reads are reads by one node of one key that returned the same version.
//
// Millions of them a minute could not be sent and judged one by one. They need not be: a read that began at a
// and returned version v is wrong if a write of a later version had returned before a - D, and that stays true
// of any later read that returns v. So the last read to begin decides for all of them, and a count and that one
// instant lose nothing. The same holds for the writes that have returned on the node itself (I14), for the end of a
// fence (I9), and for the age of what was served.
//
// A read that found no record does not say which deletion it saw: any that was committed before it ended will
// do. Those are merged only with others that began within the same span, so that a deletion excuses
// no read that ended long before it.
type Reads struct {
	Verb    string
	Key     string
	Version int
	Absent  bool // no record was found; Version is 0
	Count   int
	Latest  Instant // when the last one began
	Ended   Instant // Absent: when the last one returned
}

// span is what absent reads are merged by.
const span = Instant(5 * time.Millisecond)

// same is what reads have in common that are merged.
type same struct {
	verb, key string
	version   int
	span      Instant
}

func (r Reads) same() same {
	s := same{r.Verb, r.Key, r.Version, 0}
	if r.Absent {
		s.span = 1 + r.Latest/span
	}
	return s
}

// merge adds reads that are the same.
func (r Reads) merge(o Reads) Reads {
	r.Count += o.Count
	r.Latest = max(r.Latest, o.Latest)
	r.Ended = max(r.Ended, o.Ended)
	return r
}

// tally merges the reads of a process. It is safe for concurrent use.
type tally struct {
	mu    sync.Mutex
	reads map[same]Reads
}

func (t *tally) add(reads ...Reads) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reads == nil {
		t.reads = make(map[same]Reads)
	}
	for _, r := range reads {
		k := r.same()
		if old, ok := t.reads[k]; ok {
			r = old.merge(r)
		}
		t.reads[k] = r
	}
}

// take empties the tally.
func (t *tally) take() []Reads {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Reads
	for _, r := range t.reads {
		out = append(out, r)
	}
	t.reads = nil
	return out
}

// streak merges the reads of one goroutine without a lock: those of a key that follow each other usually return the
// same version.
type streak struct {
	out  *tally
	last map[string]*Reads
}

func newStreak(out *tally) *streak { return &streak{out, make(map[string]*Reads)} }

func (c *streak) add(r Reads) {
	old := c.last[r.Key]
	switch {
	case old == nil:
		first := r
		c.last[r.Key] = &first
	case old.same() == r.same():
		*old = old.merge(r)
	default:
		c.out.add(*old)
		*old = r
	}
}

// flush hands over what is held.
func (c *streak) flush() {
	for key, r := range c.last {
		c.out.add(*r)
		delete(c.last, key)
	}
}
