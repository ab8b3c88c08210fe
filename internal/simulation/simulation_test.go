package simulation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What a long run must have seen, so that what it proves is known.
var eventful = []string{
	"reads", "updates", "invalidations", "silent writes", "loads", "failed reads",
	"local hits", "remote hits", "misses", "waits", "refreshes", "served stale", "weak loads", "bypassed", "refused fills",
	"written through", "not written", "unconfirmed writes", "settled claims", "crashes",
	"messages", "repaired", "event: adrift", "event: history", "herds", "inspections", "agreements",
}

func TestSimulation(t *testing.T) {
	for _, seed := range seeds(1, 2, 3) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { simulate(t, seed, Defaults(), 2*time.Hour) })
	}
}

func TestSimulationOfADay(t *testing.T) {
	for _, seed := range seeds(4) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { simulate(t, seed, Relaxed(), 24*time.Hour) })
	}
}

// A fleet that keeps its values over restarts of Redis, where it can be proved that they are good.
func TestSimulationOfAWarmFleet(t *testing.T) {
	for _, seed := range seeds(8, 9, 10) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { simulate(t, seed, Warm(), 2*time.Hour, "kept", "repeated") })
	}
}

// Durations that nobody would choose together.
func TestSimulationWithOddTimes(t *testing.T) {
	for _, seed := range seeds(5, 6, 7) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			times := Odd(seed)
			t.Logf("%+v", times)
			simulate(t, seed, times, 10*time.Minute)
		})
	}
}

func seeds(usual ...uint64) []uint64 {
	if *seedFlag != 0 {
		return []uint64{*seedFlag}
	}
	return usual
}

// simulate breaks a fleet at random for the usual time, or for what the flag says.
// Besides what every long run sees, it must have seen the things named.
func simulate(t *testing.T, seed uint64, times Times, usual time.Duration, things ...string) {
	length := usual / shorter
	if *hoursFlag > 0 {
		length = time.Duration(*hoursFlag * float64(time.Hour))
	}
	began := time.Now()
	inBubble(t, Config{Nodes: *nodesFlag, Keys: 16, Seed: seed, Times: times}, func(f *Fleet) { f.Run(length) }, func(l *Ledger) {
		t.Logf("seed %d: %v of virtual time in %v; %s", seed, length, time.Since(began).Round(time.Millisecond), summary(l))
		if length < 2*time.Hour || length < usual {
			return
		}
		happened(t, l, append(things, eventful...)...)
		for _, x := range faults {
			happened(t, l, "fault: "+x.name)
		}
	})
}

// summary says what a run consisted of.
func summary(l *Ledger) string {
	tally := l.Tally()
	var b strings.Builder
	fmt.Fprintf(&b, "oldest value served: %.2f of the bound", l.Oldest())
	for _, what := range slices.Sorted(maps.Keys(tally)) {
		fmt.Fprintf(&b, ", %s %d", what, tally[what])
	}
	return b.String()
}

// inBubble runs a fleet on an embedded rig and fails the test for whatever the ledger has found.
func inBubble(t *testing.T, cfg Config, run func(*Fleet), then func(*Ledger)) {
	t.Helper()
	l := play(t, cfg, run)
	then(l)
	for _, v := range l.Violations() {
		t.Error(v)
	}
}

// play runs a fleet in a bubble of its own and returns its ledger.
func play(t *testing.T, cfg Config, run func(*Fleet)) (l *Ledger) {
	t.Helper()
	return playOn(t, cfg, func(r Rig) Rig { return r }, run)
}

// playOn is play on a rig that is changed first.
func playOn(t *testing.T, cfg Config, change func(Rig) Rig, run func(*Fleet)) (l *Ledger) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		rig, err := NewEmbedded(cfg.Seed)
		if err != nil {
			t.Fatal(err)
		}
		f, err := New(context.Background(), change(rig), cfg)
		if err != nil {
			t.Fatal(err)
		}
		l = f.Ledger
		run(f)
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := rig.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute) // go-redis redials for a while after a Close
	})
	return l
}
