package simulation

import "time"

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
		got = row.lastDeleted()
	case v.Key != r.key || got < 1 || got > len(row.versions) || row.versions[got-1].deleted:
		l.violation(r.key, "%s of %s on %s: %+v was never stored under this key", r.verb, r.key, r.member.name, v)
		return
	}
	value := got
	if !found {
		value = 0
	}
	l.observe(r.key, r.member.slot, access{value: value}, r.call, l.tick())
	row.log.add("%s %s: %d found=%t, began %v ago", r.member.name, r.verb, got, found, time.Since(r.began))
	if need, rule := row.need(r.began, l.times, found); got < need {
		l.violation(r.key, "%s: %s of %s on %s, begun %v ago at %s, returned version %d (found=%t), want %d or later",
			rule, r.verb, r.key, r.member.name, time.Since(r.began), r.began.Format("15:04:05.000000"), got, found, need)
	}
	if got < r.owned {
		l.violation(r.key, "I14: %s of %s on %s, begun %v ago, returned version %d (found=%t), but %d had been written there",
			r.verb, r.key, r.member.name, time.Since(r.began), got, found, r.owned)
	}
	l.oldest = max(l.oldest, row.age(got, r.began))
}

// lastDeleted returns the newest version that is no record.
func (r *row) lastDeleted() int {
	for v := len(r.versions); v > 0; v-- {
		if r.deleted(v) {
			return v
		}
	}
	return 0
}

// need returns the oldest version that a read begun at a may return, and the rule that says so.
func (r *row) need(a time.Time, t Times, found bool) (int, string) {
	due := a.Add(-t.Bound)
	promised := due
	if t.Strong {
		promised = a
	}
	life := t.life(found) // nothing is served longer, announced or not
	if !r.swift {
		life += t.Load
	}
	for v := len(r.versions); v > 0; v-- {
		e := r.versions[v-1]
		switch {
		case !e.covered.IsZero() && e.covered.Before(promised):
			return v, "I1"
		case !e.guarded.IsZero() && e.guarded.Before(due):
			return v, "I9"
		case e.committed.Add(life).Before(due):
			return v, "I17"
		}
	}
	return 0, ""
}

// life is the longest that a record, or the lack of one, is served after it was read.
func (t Times) life(found bool) time.Duration {
	if !found {
		return t.NotFound + t.Slack
	}
	return t.Fresh + t.Stale + t.Slack
}

// age returns how long before a read begun at a the version had been replaced.
func (r *row) age(got int, a time.Time) (d time.Duration) {
	for v := got; v < len(r.versions); v++ {
		if e := r.versions[v]; !e.covered.IsZero() && e.covered.Before(a) {
			d = max(d, a.Sub(e.covered))
		}
	}
	return d
}

// sound returns the oldest version that Redis may hold now, with no bound at all: a write removes
// what is older before it returns.
func (r *row) sound() int {
	for v := len(r.versions); v > 0; v-- {
		if e := r.versions[v-1]; !e.covered.IsZero() || !e.guarded.IsZero() {
			return v
		}
	}
	return 0
}
