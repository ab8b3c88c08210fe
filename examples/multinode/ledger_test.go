package main

import (
	"testing"
	"time"
)

const sec = int64(time.Second)

// bookOf is a ledger of one key whose version 1 costs 100 and version n n*100.
func bookOf(changes ...Change) *ledger {
	l := newLedger([]Product{{ID: "k", Cents: 100, Version: 1}})
	for _, c := range changes {
		c.Key, c.Cents = "k", c.Version*100
		l.add(c)
	}
	return l
}

func readAt(version, start int64) Sighting {
	return Sighting{Key: "k", Version: version, Cents: version * 100, Reads: 1, LastStart: start, FirstEnd: start}
}

func TestLedgerJudge(t *testing.T) {
	for _, tc := range []struct {
		name    string
		changes []Change
		read    Sighting
		oldest  time.Duration
		ok      bool
	}{
		{"no change", nil, readAt(1, 9*sec), 0, true},
		{"before the update returned", []Change{{Version: 2, Returned: 5 * sec}}, readAt(1, 4*sec), 0, true},
		{"at the bound", []Change{{Version: 2, Returned: 5 * sec}}, readAt(1, 6*sec), time.Second, true},
		{"planted stale read", []Change{{Version: 2, Returned: 5 * sec}}, readAt(1, 6*sec+1), time.Second + 1, false},
		{"new version", []Change{{Version: 2, Returned: 5 * sec}}, readAt(2, 60*sec), 0, true},
		{"newer than any return", []Change{{Version: 2, Committed: 5 * sec}}, readAt(2, 4*sec), 0, true},
		{"an update that never returned sets no bound", []Change{{Version: 2, Committed: sec}}, readAt(1, 60*sec), 0, true},
		{"but a later one does", []Change{{Version: 2, Committed: sec}, {Version: 3, Returned: 2 * sec}}, readAt(1, 4*sec), 2 * time.Second, false},
		{"two versions behind counts from the first", []Change{{Version: 2, Returned: sec}, {Version: 3, Returned: 9 * sec}}, readAt(1, 10*sec), 9 * time.Second, false},
		{"writers that return in the other order", []Change{{Version: 2, Returned: 9 * sec}, {Version: 3, Returned: 2 * sec}}, readAt(1, 4*sec), 2 * time.Second, false},
		{"one version behind counts from its successor", []Change{{Version: 2, Returned: sec}, {Version: 3, Returned: 9 * sec}}, readAt(2, 10*sec), time.Second, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := bookOf(tc.changes...).judge([]Sighting{tc.read}, time.Second)
			if j.oldest != tc.oldest || j.ok() != tc.ok || j.reads != 1 {
				t.Errorf("judge = %+v, want oldest %v, ok %v", j, tc.oldest, tc.ok)
			}
		})
	}
}

func TestLedgerFindsPhantoms(t *testing.T) {
	for name, s := range map[string]Sighting{
		"unknown version": {Key: "k", Version: 7, Cents: 700},
		"torn value":      {Key: "k", Version: 2, Cents: 100},
		"unknown key":     {Key: "other", Version: 1, Cents: 100},
	} {
		if j := bookOf(Change{Version: 2, Returned: sec}).judge([]Sighting{s}, time.Second); j.phantoms != 1 || j.ok() {
			t.Errorf("%s: judge = %+v, want 1 phantom and not ok", name, j)
		}
	}
}

func TestLedgerIgnoresWhatWasNotWritten(t *testing.T) {
	l := bookOf(Change{Version: 0, Returned: sec})
	if j := l.judge([]Sighting{readAt(1, 60*sec)}, time.Second); !j.ok() || j.oldest != 0 {
		t.Errorf("judge = %+v after a refused update, want ok", j)
	}
}

func TestReach(t *testing.T) {
	change := Change{Key: "k", Version: 2, Committed: sec}
	early := []Sighting{{Key: "k", Version: 2, FirstEnd: sec + 5}, {Key: "k", Version: 3, FirstEnd: sec + 9}}
	skipped := []Sighting{{Key: "k", Version: 1, FirstEnd: 1}, {Key: "k", Version: 3, FirstEnd: sec + 7}}
	never := []Sighting{{Key: "k", Version: 1, FirstEnd: 9 * sec}, {Key: "other", Version: 2, FirstEnd: sec}}
	if d, ok := reach(change, []map[string][]Sighting{byKey(early), byKey(skipped)}); !ok || d != 7 {
		t.Errorf("reach = %v, %v, want 7ns, true", d, ok)
	}
	if _, ok := reach(change, []map[string][]Sighting{byKey(early), byKey(never)}); ok {
		t.Error("reach = true although a node never served the version")
	}
}

// A sighting sums up reads without losing the one that matters: the last.
func TestSightingKeepsTheMostStaleRead(t *testing.T) {
	a := readerLog{seen: map[sight]*Sighting{}}
	b := readerLog{seen: map[sight]*Sighting{}}
	a.note("k", Look{1, 100}, 2*sec, 2*sec+1)
	a.note("k", Look{1, 100}, 3*sec, 3*sec+1)
	b.note("k", Look{1, 100}, 7*sec, 7*sec+9)
	b.note("k", Look{1, 100}, 1*sec, 1*sec+1)
	a.merge(b)
	got := *a.seen[sight{"k", 1, 100}]
	want := Sighting{Key: "k", Version: 1, Cents: 100, Reads: 4, FirstEnd: sec + 1, LastStart: 7 * sec}
	if got != want || a.slowest != 9 {
		t.Errorf("merged = %+v, slowest %v; want %+v, slowest 9ns", got, a.slowest, want)
	}
	book := bookOf(Change{Version: 2, Returned: 5 * sec})
	if j := book.judge([]Sighting{got}, time.Second); j.ok() || j.oldest != 2*time.Second {
		t.Errorf("judge = %+v, want the read at 7 s to break the bound", j)
	}
}
