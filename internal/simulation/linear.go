package simulation

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// operations are what has been read from and written to a key, for a check that reads
// are linearizable (I15). Calls and returns are numbered in the order in which they
// were seen, because on a simulated clock many of them fall on one instant.
type operations []porcupine.Operation

// access is the input of an operation.
type access struct {
	commit int // the version that was committed, 0 for a read
	value  int // what the source holds then, or the read returned: a version, 0 for no record
}

// tick numbers a call, a return or a commit. The caller holds the ledger's lock.
func (l *Ledger) tick() int64 {
	l.ticks++
	return l.ticks
}

// observe adds an operation that ends now to the history of a key.
func (l *Ledger) observe(key string, client int, a access, call, end int64) {
	if r := l.row(key); l.times.Strong && !r.swift && !r.past {
		r.done = append(r.done, porcupine.Operation{ClientId: client, Input: a, Output: a.value, Call: call, Return: end})
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
		l.observe(key, m.slot, op.effect(), op.call, l.tick())
	default:
		l.observe(key, m.slot, op.effect(), op.call, op.committed)
	}
}

// effect is what a committed write leaves in the source.
func (op *writing) effect() access {
	if op.deletes {
		return access{commit: op.version}
	}
	return access{commit: op.version, value: op.version}
}

// register is a key of the source that begins with a version.
func register(first int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return first },
		Step: func(state, input, output any) (bool, any) {
			if a := input.(access); a.commit > 0 {
				return true, a.value
			}
			return output == state, state
		},
		DescribeOperation: func(input, output any) string {
			if input.(access).commit > 0 {
				return fmt.Sprintf("write %v", output)
			}
			return fmt.Sprintf("read %v", output)
		},
	}
}

// checkTimeout bounds the check of one part of a history.
const checkTimeout = time.Minute

// Linearizable checks what was done to each key since the last check, in parts
// between moments at which nothing was under way; what is not linearizable is a
// violation. Nothing may be under way now. The counterexamples are drawn into the
// directory, if one is named.
func (l *Ledger) Linearizable(dir string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, r := range l.rows {
		if r.past {
			continue
		}
		for _, part := range r.done.parts() {
			model := register(r.state)
			result, info := porcupine.CheckOperationsVerbose(model, part, checkTimeout)
			l.tally["linearized parts"]++
			if result != porcupine.Ok {
				l.violation(key, "I15: %d operations on %s are not linearizable: %s%s", len(part), key, result, draw(model, info, dir, key, part[0].Call))
			}
			r.state = part.last(r.state)
		}
		r.done = nil
	}
}

func draw(model porcupine.Model, info porcupine.LinearizationInfo, dir, key string, at int64) string {
	if dir == "" {
		return ""
	}
	path := filepath.Join(dir, fmt.Sprintf("%s-%d.html", key, at))
	if err := porcupine.VisualizePath(model, info, path); err != nil {
		return ", and cannot be drawn: " + err.Error()
	}
	return ", see " + path
}

// parts cuts a history where nothing is under way.
func (h operations) parts() (parts []operations) {
	slices.SortFunc(h, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	begin, end := 0, int64(0)
	for i, op := range h {
		if i > begin && op.Call > end {
			parts = append(parts, h[begin:i])
			begin = i
		}
		end = max(end, op.Return)
	}
	if len(h) > 0 {
		parts = append(parts, h[begin:])
	}
	return parts
}

// last returns what the source holds after a part. It knows the order of its commits.
func (h operations) last(before int) int {
	latest := access{value: before}
	for _, op := range h {
		if a := op.Input.(access); a.commit > latest.commit {
			latest = a
		}
	}
	return latest.value
}
