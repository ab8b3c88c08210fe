package main

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// ledger knows every price that was ever in the database and when the Update
// that wrote it returned. Against it every read is judged.
//
// The rule: a read that started at a must not return a version older than the
// newest version whose Update had returned before a - D.
type ledger struct {
	prices  map[string]map[int64]int64 // key, version: cents
	returns map[string][]returned      // key: sorted by version after settle
	settled bool
}

type returned struct{ version, at int64 }

// newLedger begins with the prices in the database now.
func newLedger(stock []Product) *ledger {
	l := &ledger{prices: map[string]map[int64]int64{}, returns: map[string][]returned{}}
	for _, p := range stock {
		l.prices[p.ID] = map[int64]int64{p.Version: p.Cents}
	}
	return l
}

// add enters a change. One whose Update did not return enters its price only:
// no bound runs for it.
func (l *ledger) add(c Change) {
	if c.Version == 0 {
		return
	}
	if l.prices[c.Key] == nil {
		l.prices[c.Key] = map[int64]int64{}
	}
	l.prices[c.Key][c.Version] = c.Cents
	if c.Returned != 0 {
		l.returns[c.Key] = append(l.returns[c.Key], returned{c.Version, c.Returned})
		l.settled = false
	}
}

// settle sorts by version and turns each time into the earliest return of this
// version or a newer one: two writers may return in the other order.
func (l *ledger) settle() {
	if l.settled {
		return
	}
	for _, list := range l.returns {
		slices.SortFunc(list, func(a, b returned) int { return cmp.Compare(a.version, b.version) })
		for i := len(list) - 2; i >= 0; i-- {
			list[i].at = min(list[i].at, list[i+1].at)
		}
	}
	l.settled = true
}

// replaced is when the first Update to a version newer than v returned.
func (l *ledger) replaced(key string, v int64) int64 {
	l.settle()
	list := l.returns[key]
	i, _ := slices.BinarySearchFunc(list, v+1, func(r returned, v int64) int { return cmp.Compare(r.version, v) })
	if i == len(list) {
		return math.MaxInt64
	}
	return list[i].at
}

// judgement of a set of reads.
type judgement struct {
	reads    int64
	oldest   time.Duration // the longest any read was behind the first newer Update that had returned
	late     int           // versions that were read beyond the bound
	phantoms int           // versions or prices that never were in the database
}

func (j judgement) ok() bool { return j.late == 0 && j.phantoms == 0 }

func (l *ledger) judge(sightings []Sighting, bound time.Duration) judgement {
	var j judgement
	for _, s := range sightings {
		j.reads += s.Reads
		if cents, ok := l.prices[s.Key][s.Version]; !ok || cents != s.Cents {
			j.phantoms++
		}
		behind := time.Duration(max(0, s.LastStart-l.replaced(s.Key, s.Version)))
		j.oldest = max(j.oldest, behind)
		if behind > bound {
			j.late++
		}
	}
	return j
}

// reach is how long after the commit of c the last of the nodes served it, or
// something newer. False: some node never did.
func reach(c Change, nodes []map[string][]Sighting) (time.Duration, bool) {
	var last int64
	for _, byKey := range nodes {
		first := int64(math.MaxInt64)
		for _, s := range byKey[c.Key] {
			if s.Version >= c.Version {
				first = min(first, s.FirstEnd)
			}
		}
		if first == math.MaxInt64 {
			return 0, false
		}
		last = max(last, first)
	}
	return time.Duration(max(0, last-c.Committed)), true
}

// byKey groups sightings for reach.
func byKey(sightings []Sighting) map[string][]Sighting {
	m := map[string][]Sighting{}
	for _, s := range sightings {
		m[s.Key] = append(m[s.Key], s)
	}
	return m
}
