package main

import (
	"cmp"
	"slices"
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	var batch tally
	one, two := newStreak(&batch), newStreak(&batch)
	for _, s := range []*streak{one, two} {
		s.add(get(1, 1*time.Second))
		s.add(get(1, 3*time.Second))
		s.add(get(2, 4*time.Second))
		s.add(get(1, 2*time.Second)) // the same again, later and begun earlier
		s.flush()
	}
	got := batch.take()
	slices.SortFunc(got, func(a, b Reads) int { return cmp.Compare(a.Version, b.Version) })
	want := []Reads{
		{Verb: "Get", Key: key, Version: 1, Count: 6, Latest: at(3 * time.Second)},
		{Verb: "Get", Key: key, Version: 2, Count: 2, Latest: at(4 * time.Second)},
	}
	if !slices.Equal(got, want) {
		t.Errorf("take() = %+v, want %+v", got, want)
	}
	if again := batch.take(); len(again) != 0 {
		t.Errorf("taken twice: %+v", again)
	}
}

func TestTallyKeepsApart(t *testing.T) {
	var batch tally
	peek := get(1, time.Second)
	peek.Verb = "Peek"
	elsewhere := get(1, time.Second)
	elsewhere.Key = other
	batch.add(get(1, time.Second), peek, elsewhere, absent(time.Second, time.Second), absent(2*time.Second, 2*time.Second))
	if got := batch.take(); len(got) != 5 {
		t.Errorf("%d groups of reads, want 5: %+v", len(got), got)
	}
	batch.add(absent(time.Second, time.Second+3), absent(time.Second+1, time.Second+2))
	want := Reads{Verb: "Get", Key: key, Absent: true, Count: 2, Latest: at(time.Second + 1), Ended: at(time.Second + 3)}
	if got := batch.take(); len(got) != 1 || got[0] != want {
		t.Errorf("take() = %+v, want %+v", got, want)
	}
}

// Hits come by the million: merging one must not allocate.
func TestStreakDoesNotAllocate(t *testing.T) {
	var batch tally
	s := newStreak(&batch)
	s.add(get(1, 0))
	begun := time.Duration(0)
	if n := testing.AllocsPerRun(1000, func() { begun++; s.add(get(1, begun)) }); n > 0 {
		t.Errorf("%v allocations a read", n)
	}
}
