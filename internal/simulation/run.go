package simulation

import (
	"context"
	"sync"
	"time"
)

// workersPerNode share a process.
const workersPerNode = 4

// Run breaks the fleet at random for as long as given. Everything has been healed when it returns, and every
// process has agreed with the source.
func (f *Fleet) Run(length time.Duration) {
	stop := f.employ(f.anything)
	defer stop()
	f.save()
	for end, round := time.Now().Add(length), 1; time.Now().Before(end); round++ {
		f.calm(round)
		f.storm()
		if round%4 == 0 {
			f.agree()
		}
	}
	f.agree()
}

// RunStrong is Run for caches whose reads are linearizable, and checks that they are
// whenever the fleet has come to rest. Counterexamples are drawn into the directory.
func (f *Fleet) RunStrong(length time.Duration, dir string) {
	for end := time.Now().Add(length); time.Now().Before(end); {
		f.Run(min(time.Until(end), 10*f.times.Calm))
		f.Ledger.Linearizable(dir)
	}
}

// employ starts the workers; they rest until the pace is set.
func (f *Fleet) employ(do func(context.Context, *member)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for slot := range f.members {
		for range workersPerNode {
			workers.Go(func() { f.work(ctx, slot, do) })
		}
	}
	return func() {
		cancel()
		workers.Wait()
	}
}

// calm is a phase in which nothing is broken.
func (f *Fleet) calm(round int) {
	f.pace.Store(int64(f.times.Think))
	time.Sleep(f.times.Calm/2 + f.dice.upTo(f.times.Calm/2))
	f.inspect()
	f.herd()
	if round%2 == 0 || f.dice.chance(0.3) {
		f.save()
	}
}

// storm is a phase in which one to three things break, one after the other or together, and are
// healed in the same order.
func (f *Fleet) storm() {
	f.pace.Store(int64(f.times.Hurry))
	if f.dice.chance(0.5) {
		f.jitter.Store(int64(f.dice.upTo(f.longestHold())))
		defer f.jitter.Store(0)
	}
	var broken sync.WaitGroup
	for range 1 + f.dice.below(3) {
		x := f.draw()
		delay, last := f.dice.upTo(f.times.Storm/2), f.dice.upTo(f.times.Storm/2)
		if f.dice.chance(0.3) {
			last = f.dice.upTo(f.times.Bound / 2)
		}
		broken.Go(func() {
			time.Sleep(delay)
			heal := f.strike(x)
			time.Sleep(last)
			f.inspect()
			heal()
		})
	}
	broken.Wait()
	for _, m := range f.alive() {
		m.traps.disarm()
	}
	f.ready(f.recovery())
	time.Sleep(f.times.Bound)
	f.settleClaims()
	f.inspect()
}

// draw deals the faults from a shuffled deck: each has its turn before any comes again.
func (f *Fleet) draw() fault {
	if len(f.deck) == 0 {
		f.deck = f.dice.shuffled(faults)
	}
	x := f.deck[0]
	f.deck = f.deck[1:]
	return x
}

// recovery is how long a healed fleet may take to be in step: a few probes, dials and timeouts.
func (f *Fleet) recovery() time.Duration {
	return 10*(f.times.Probe+f.times.Timeout) + 5*time.Second + f.times.Slack
}

// agree lets the fleet come to rest and wants every process to agree with the source.
func (f *Fleet) agree() {
	f.rest()
	f.ready(f.recovery())
	f.settleJournals()
	if due := time.Until(f.Ledger.settled()); due > 0 {
		time.Sleep(due)
	}
	time.Sleep(f.times.Bound + f.times.Probe)
	f.inspect()
	for _, m := range f.alive() {
		for _, key := range f.keys {
			f.verify(m, key)
		}
	}
	f.Ledger.count("agreements")
}

func (f *Fleet) settleJournals() {
	deadline := time.Now().Add(f.recovery())
	for _, m := range f.alive() {
		for m.node.Stats().Journal > 0 && !m.closing.Load() {
			if time.Now().After(deadline) {
				f.Ledger.violate("", "the journal of %s is not empty %v after everything was healed", m.name, f.recovery())
				return
			}
			time.Sleep(f.times.Probe)
		}
	}
	f.settleClaims()
}

// verify reads a key of a fleet at rest: it must not fail.
func (f *Fleet) verify(m *member, key string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*f.times.Load)
	defer cancel()
	before := f.Ledger.Tally()["failed reads"]
	f.get(ctx, m, key, loadPlan{})
	if f.Ledger.Tally()["failed reads"] != before && !m.closing.Load() {
		f.Ledger.violate(key, "Get of %s on %s failed in a fleet at rest", key, m.name)
	}
}
