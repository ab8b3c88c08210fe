package main

import (
	"testing"
	"time"
)

// tellRound reports a fleet that was warm, lost its master at 10 s, and recovered.
func tellRound(lowUntil time.Duration) *round {
	r := &round{killed: at(10 * time.Second), holds: func(k string) bool { return k == key }}
	for d := 5 * time.Second; d < 20*time.Second; d += 100 * time.Millisecond {
		report := Report{At: at(d), Shelf: Shelf{Reads: 100, Loads: 2}}
		if d > 10*time.Second && d < lowUntil {
			report.Shelf.Loads = 60
		}
		r.hear(report)
	}
	return r
}

func TestRoundRecovered(t *testing.T) {
	r := tellRound(14 * time.Second)
	f := newFleet("f", 2, nil, newDice(1))
	var out Recovery
	if err := r.recovered(f, &out); err == nil {
		t.Error("recovered without an Update")
	}
	done := func(k string, began, ended time.Duration) Return {
		return Return{Key: k, Version: 1, Began: at(began), At: at(ended), Update: true, Covered: true}
	}
	r.hear(Report{At: at(20 * time.Second), Steps: []Instant{at(9 * time.Second), at(12 * time.Second), at(11 * time.Second)}, Returns: []Return{
		done(other, 11*time.Second, 12*time.Second),      // of another master
		done(key, 9*time.Second, 10500*time.Millisecond), // begun before
		done(key, 13*time.Second, 15*time.Second),
		done(key, 12*time.Second, 14*time.Second),
	}})
	if err := r.recovered(f, &out); err != nil || out.InStep != 2000 || out.Update != 4000 {
		t.Errorf("recovered: %v, %+v", err, out)
	}
	f.inStep["n0.0"] = false
	if err := r.recovered(f, &out); err == nil {
		t.Error("recovered with a node adrift")
	}
}

func TestRoundWarm(t *testing.T) {
	var out Recovery
	if err := tellRound(14 * time.Second).warm(&out); err != nil || out.Warm != 4000 {
		t.Errorf("warm: %v, %+v", err, out)
	}
	if err := tellRound(0).warm(&out); err != nil || out.Warm != 0 {
		t.Errorf("never cold: %v, %+v", err, out)
	}
	if err := tellRound(19 * time.Second).warm(&out); err == nil {
		t.Errorf("warm after a moment: %+v", out)
	}
	if before, lowest := tellRound(14 * time.Second).ratios(); before != 0.98 || lowest != 0.4 {
		t.Errorf("ratios: %v before, %v at worst", before, lowest)
	}
}

func TestSpread(t *testing.T) {
	var all []Recovery
	for _, ms := range []int64{5, 1, 9, 3, 7} {
		all = append(all, Recovery{InStep: ms})
	}
	if got := spreadOf(all, func(r Recovery) int64 { return r.InStep }); got != (spread{1, 5, 9}) {
		t.Errorf("spread %v", got)
	}
}
