package simulation

import (
	"math"

	"github.com/tiercache/tiercache/internal/history"
)

// The histories of keys are checked for linearizable reads (I15). Calls and returns are numbered
// in the order in which they were seen, because on a simulated clock many of them fall on one instant.

// tick numbers a call, a return or a commit. The caller holds the ledger's lock.
func (l *Ledger) tick() int64 {
	l.ticks++
	return l.ticks
}

// observe adds an operation to the history of a key.
func (l *Ledger) observe(key string, op history.Operation) {
	if r := l.row(key); l.times.Strong && !r.swift && !r.past {
		r.done = append(r.done, op)
		l.tally["operations"]++
	}
}

// ended notes that an Update has returned. A write whose outcome its caller does not
// know has taken effect by its commit, which may still be to come.
func (l *Ledger) ended(m *member, op *writing, key string, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	op.client, op.over = m.slot, true
	switch {
	case op.version == 0:
	case known && !m.dead.Load():
		l.observe(key, op.operation(l.tick()))
	default:
		l.observe(key, op.operation(op.committed))
	}
}

// operation is a committed write that took effect by the given tick.
func (op *writing) operation(end int64) history.Operation {
	o := history.Operation{Client: op.client, Call: op.call, Return: end, Commit: op.version}
	if !op.deletes {
		o.Value = op.version
	}
	return o
}

// Linearizable checks what was done to each key since the last check; what is not
// linearizable is a violation. Nothing may be under way now. The counterexamples are
// drawn into the directory, if one is named.
func (l *Ledger) Linearizable(dir string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	check := history.Linear{Dir: dir}
	for key, r := range l.rows {
		if r.past {
			continue
		}
		for _, part := range r.done.Parts(math.MaxInt64) {
			var err error
			if r.state, err = check.Check(key, r.state, part); err != nil {
				l.violation(key, "%v", err)
			}
			l.tally["linearized parts"]++
		}
	}
}
