package simulation

import (
	"time"

	"github.com/tiercache/tiercache/internal/history"
)

// reading is one read under way.
type reading struct {
	member *member
	verb   string
	key    string
	began  time.Time
	call   int64 // see tick
	owned  int   // the newest version that must be seen because its write had returned on this node
}

// reads notes the start of a read; to be called before it.
func (l *Ledger) reads(m *member, verb, key string) reading {
	l.mu.Lock()
	defer l.mu.Unlock()
	return reading{m, verb, key, time.Now(), l.tick(), l.row(key).owned[m.name]}
}

// judge checks what a read returned: a version, or that there is no record.
func (l *Ledger) judge(r reading, v Value, found bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.member.dead.Load() {
		return
	}
	l.tally["reads"]++
	row := l.row(r.key)
	got := v.Version
	switch {
	case !found:
		got = row.versions.LastDeleted(time.Time{})
	case v.Key != r.key || got < 1 || got > len(row.versions) || row.versions.Deleted(got):
		l.violation(r.key, "%s of %s on %s: %+v was never stored under this key", r.verb, r.key, r.member.name, v)
		return
	}
	value := got
	if !found {
		value = 0
	}
	l.observe(r.key, history.Operation{Client: r.member.slot, Call: r.call, Return: l.tick(), Value: value})
	row.log.add("%s %s: %d found=%t, began %v ago", r.member.name, r.verb, got, found, time.Since(r.began))
	if need, rule := row.versions.Need(r.began, l.times.limits(row.swift), found); got < need {
		l.violation(r.key, "%s: %s of %s on %s, begun %v ago at %s, returned version %d (found=%t), want %d or later",
			rule, r.verb, r.key, r.member.name, time.Since(r.began), r.began.Format("15:04:05.000000"), got, found, need)
	}
	if got < r.owned {
		l.violation(r.key, "I14: %s of %s on %s, begun %v ago, returned version %d (found=%t), but %d had been written there",
			r.verb, r.key, r.member.name, time.Since(r.began), got, found, r.owned)
	}
	l.oldest = max(l.oldest, row.versions.Age(got, r.began))
}

// limits are those of a key: what a slow load returns may be as old as the load.
func (t Times) limits(swift bool) history.Limits {
	l := history.Limits{Bound: t.Bound, AtOnce: t.Strong, Found: t.Fresh + t.Stale + t.Slack, NotFound: t.NotFound + t.Slack}
	if !swift {
		l.Found += t.Load
		l.NotFound += t.Load
	}
	return l
}

// sound returns the oldest version that Redis may hold now, with no bound at all: a write removes
// what is older before it returns.
func (r *row) sound() int {
	for v := len(r.versions); v > 0; v-- {
		if e := r.versions[v-1]; !e.Covered.IsZero() || !e.Guarded.IsZero() {
			return v
		}
	}
	return 0
}
