package main

import (
	"fmt"
	"time"
)

// checker judges reads by the record. It waits with that until every node that lives has reported past the
// begin of a read: then no write can come to be known any more that had returned before. It is safe for
// concurrent use, under the record's lock.
type checker struct {
	record   *record
	reported map[string]Instant // by living node: all that it noted before is known
	pending  map[readBy]Reads
	reads    int                      // judged
	oldest   map[string]time.Duration // by kind of fault: the age of the oldest value served
	wrong    []string
}

// readBy is what reads have in common that are judged as one.
type readBy struct {
	node  string
	phase int
	same
}

// calm is the name of the phases without a fault.
const calm = "none"

func newChecker(r *record) *checker {
	return &checker{record: r, reported: make(map[string]Instant), pending: make(map[readBy]Reads), oldest: make(map[string]time.Duration)}
}

// join makes the checker wait for a node.
func (c *checker) join(node string) {
	c.record.mu.Lock()
	defer c.record.mu.Unlock()
	c.reported[node] = 0
}

// leave is the end of a node: whatever it has seen and not reported, nobody will know.
func (c *checker) leave(node string) {
	c.record.mu.Lock()
	defer c.record.mu.Unlock()
	delete(c.reported, node)
}

// take adds the reads of a report, and judges what can be judged.
func (c *checker) take(node string, at Instant, reads []Reads) {
	c.record.mu.Lock()
	defer c.record.mu.Unlock()
	for _, r := range reads {
		k := readBy{node, c.record.phaseAt(r.Latest), r.same()}
		if old, ok := c.pending[k]; ok {
			r = old.merge(r)
		}
		c.pending[k] = r
	}
	c.reported[node] = at
	c.judgeUntil(c.settled())
}

// settled returns the instant up to which all is known.
func (c *checker) settled() Instant {
	least := now()
	for _, at := range c.reported {
		least = min(least, at)
	}
	return least
}

func (c *checker) judgeUntil(end Instant) {
	for k, r := range c.pending {
		if r.Latest <= end {
			c.judge(k, r)
			delete(c.pending, k)
		}
	}
}

func (c *checker) judge(k readBy, r Reads) {
	c.reads += r.Count
	row := c.record.rows[k.key]
	got := k.version
	switch {
	case r.Absent:
		got = row.versions.LastDeleted(r.Ended.time())
	case got > len(row.versions) || row.versions.Deleted(got):
		c.violation(k, r, "%d was never stored", got)
		return
	}
	if need, rule := row.versions.Need(r.Latest.time(), limits, !r.Absent); got < need {
		c.violation(k, r, "%s: want %d or later", rule, need)
	}
	if mine := row.mine(k.node, r.Latest); got < mine {
		c.violation(k, r, "I14: %d had been written there", mine)
	}
	age := row.versions.Age(got, r.Latest.time())
	for _, kind := range c.record.kindsOf(k.phase) {
		c.oldest[kind] = max(c.oldest[kind], age)
	}
}

// violation reports what was read, and the rule it breaks.
func (c *checker) violation(k readBy, r Reads, format string, args ...any) {
	got := fmt.Sprint("version ", k.version)
	if r.Absent {
		got = "no record"
	}
	what := fmt.Sprintf("%s of %s on %s, %d times, the last begun at %s, returned %s; ",
		k.verb, k.key, k.node, r.Count, c.record.since(r.Latest), got)
	what += fmt.Sprintf(format, args...)
	if len(c.wrong) < reportedInFull {
		what += "\n" + c.record.tell(k.key, r.Latest)
	}
	c.wrong = append(c.wrong, what)
}

const reportedInFull = 5 // violations, with what had happened to the key

// accuse notes what no history is needed for.
func (c *checker) accuse(what string) {
	c.record.mu.Lock()
	defer c.record.mu.Unlock()
	c.wrong = append(c.wrong, what)
}

// finish judges the rest: nobody will report any more.
func (c *checker) finish() {
	c.record.mu.Lock()
	defer c.record.mu.Unlock()
	c.judgeUntil(now())
}

// violations returns how many there are so far.
func (c *checker) violations() int {
	c.record.mu.Lock()
	defer c.record.mu.Unlock()
	return len(c.wrong)
}

// kindsOf returns the faults of a phase.
func (r *record) kindsOf(phase int) []string {
	if kinds := r.phases[phase].kinds; len(kinds) > 0 {
		return kinds
	}
	return []string{calm}
}
