package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tiercache/tiercache/internal/history"
)

// record is what happened: to the source, to the writes, to Redis. The director keeps it; reads are
// judged by it. It is safe for concurrent use.
type record struct {
	mu     sync.Mutex
	rows   map[string]*row
	losses history.Losses
	phases []phase
	began  Instant
}

// row is the history of one key.
type row struct {
	versions history.Versions
	owned    map[string][]owning // by node, both members growing
	lines    []line              // the last ones
}

// owning is the return of a write on a node: reads that begin there later must see the version.
type owning struct {
	at      Instant
	version int
}

// phase is a time in which the same faults were at work. It ends where the next one begins.
type phase struct {
	from  Instant
	kinds []string
}

type line struct {
	at   Instant
	text string
}

const kept = 200 // lines of a key

func newRecord() *record {
	r := &record{rows: make(map[string]*row), began: now()}
	r.phases = []phase{{from: r.began}}
	for _, key := range slices.Concat(keyNames, shelfNames) {
		r.rows[key] = &row{owned: make(map[string][]owning)}
		r.commit(key, history.Version{Committed: r.began.time(), Covered: r.began.time()}, "before the fleet")
	}
	return r
}

func (r *row) note(at Instant, format string, args ...any) {
	if len(r.lines) == kept {
		r.lines = append(r.lines[:0], r.lines[1:]...)
	}
	r.lines = append(r.lines, line{at, fmt.Sprintf(format, args...)})
}

// latest returns the newest version of a key, 0 if there is no record.
func (r *record) latest(node, key string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	row := r.rows[key]
	if row == nil {
		return 0
	}
	v := len(row.versions)
	row.note(now(), "%s loads %d", node, v)
	if row.versions.Deleted(v) {
		return 0
	}
	return v
}

// update commits the next version under a fence and returns it, unless the fence is over.
func (r *record) update(node string, c CommitCall) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := now()
	if c.Deadline > 0 && at > c.Deadline {
		return 0, errTooLate
	}
	v := history.Version{Committed: at.time(), Deleted: c.Deleted, Guarded: r.losses.Guarded(c.Began.time(), at.time(), fence)}
	return r.commit(c.Key, v, node), nil
}

// outside commits the next version, unknown to the fleet.
func (r *record) outside(node, key string, deleted bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.commit(key, history.Version{Committed: now().time(), Deleted: deleted}, node+" outside")
}

func (r *record) commit(key string, v history.Version, by string) int {
	row := r.rows[key]
	row.versions = append(row.versions, v)
	row.note(Instant(v.Committed.UnixNano()), "%s commits %d deleted=%t guarded=%t", by, len(row.versions), v.Deleted, !v.Guarded.IsZero())
	return len(row.versions)
}

// returned notes that a write has returned on a node.
func (r *record) returned(node string, w Return) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row := r.rows[w.Key]
	row.note(w.At, "%s: write of %d returned, covered=%t", node, w.Version, w.Covered)
	if w.Owned {
		row.owned[node] = own(row.owned[node], owning{w.At, w.Version})
	}
	if v := &row.versions[w.Version-1]; w.Covered && (v.Covered.IsZero() || w.At.time().Before(v.Covered)) {
		v.Covered = w.At.time()
	}
}

// own keeps the list sorted by instant and by version: what an earlier return of a later version implies is left out.
func own(list []owning, w owning) []owning {
	i, _ := slices.BinarySearchFunc(list, w.at, func(o owning, at Instant) int { return cmp.Compare(o.at, at) })
	if i > 0 && list[i-1].version >= w.version {
		return list
	}
	j := i
	for j < len(list) && list[j].version <= w.version {
		j++
	}
	return slices.Replace(list, i, j, w)
}

// mine returns the newest version whose write had returned on the node at the instant.
func (r *row) mine(node string, at Instant) int {
	list := r.owned[node]
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].at <= at {
			return list[i].version
		}
	}
	return 0
}

// losing notes that Redis loses keys, until the returned function is called.
func (r *record) losing() (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ended := r.losses.Begin(now().time())
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		ended(now().time())
	}
}

// enter begins a phase.
func (r *record) enter(kinds []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.phases = append(r.phases, phase{now(), kinds})
}

// phaseAt returns the index of the phase that an instant is in.
func (r *record) phaseAt(at Instant) int {
	for i := len(r.phases) - 1; i > 0; i-- {
		if r.phases[i].from <= at {
			return i
		}
	}
	return 0
}

// kindsBetween returns the faults that were at work at some moment of an interval.
func (r *record) kindsBetween(from, to Instant) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kinds []string
	for i := r.phaseAt(from); i < len(r.phases) && r.phases[i].from <= to; i++ {
		kinds = append(kinds, r.kindsOf(i)...)
	}
	return kinds
}

// story is tell of what happened last.
func (r *record) story(key string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tell(key, now())
}

// since tells an instant as the log does.
func (r *record) since(at Instant) string { return fmt.Sprintf("%8.3fs", at.sub(r.began).Seconds()) }

// tell returns the last lines of a key, and the phases shortly before the instant, in their order.
func (r *record) tell(key string, before Instant) string {
	lines := slices.Clone(r.rows[key].lines)
	for _, p := range r.phases {
		if p.from <= before && before.sub(p.from) < 10*bound {
			lines = append(lines, line{p.from, fmt.Sprintf("-- faults now: %s", strings.Join(p.kinds, ", "))})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "    %s %s\n", r.since(l.at), l.text)
	}
	return b.String()
}
