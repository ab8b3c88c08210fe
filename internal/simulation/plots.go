package simulation

import (
	"context"
	"sync"
	"time"
)

// What the scenarios do, each under the load of all other keys.

func (f *Fleet) killPubSubs() {
	f.often(20, func() {
		if m := f.some(); m != nil {
			m.wires.killPubSub()
		}
	})
}

func (f *Fleet) deafenOne() {
	m := f.member(0)
	m.wires.deafen()
	f.pass(3 * f.times.Bound)
	m.wires.undeafen()
}

// slowOne makes one process take up what its subscription brings later than the probe
// brings it, and later than the bound: a slow consumer.
func (f *Fleet) slowOne() {
	m := f.member(0)
	m.wires.slow.Store(int64(f.times.Bound * 3 / 2))
	f.pass(8 * f.times.Bound)
	m.wires.slow.Store(0)
}

func (f *Fleet) loseMessages() {
	f.rig.Lose(0.9)
	f.pass(5 * f.times.Bound)
	f.rig.Lose(0)
}

// breakLink breaks the link of one process for a number of bounds.
func breakLink(do func(Link), bounds float64) func(*Fleet) {
	return func(f *Fleet) {
		l := f.member(0).wires.link
		do(l)
		f.pass(time.Duration(bounds * float64(f.times.Bound)))
		l.Heal()
	}
}

func freezeFor(d func(Times) time.Duration) func(*Fleet) {
	return func(f *Fleet) {
		cont := f.stop()
		f.pass(d(f.times))
		cont()
	}
}

// outrunRing announces more than the bus keeps while one process is away.
func (f *Fleet) outrunRing() {
	const more = 1024 + 100
	l, m := f.member(0).wires.link, f.member(2) // whose journal does not overflow
	l.Cut()
	f.pass(f.times.Bound)
	before, end := m.node.Stats().Announced, time.Now().Add(f.recovery())
	var crowd sync.WaitGroup
	for i := range 8 {
		crowd.Go(func() {
			for m.node.Stats().Announced < before+more && time.Now().Before(end) {
				_ = f.invalidate(context.Background(), m, f.keys[i]) // judged
			}
		})
	}
	crowd.Wait()
	l.Heal()
}

// outlast begins a load without Redis under a fence whose announcement was heard, and reads again
// when the write has been over for longer than the bound: the node is in step and has heard nothing new,
// and must neither keep nor share what that load has read.
func (f *Fleet) outlast(break_ func(Link), length time.Duration) {
	reader, writer, key := f.member(0), f.member(1), "slow"
	f.Ledger.seed(key)
	ctx, cancel := context.WithTimeout(context.Background(), 4*f.times.Load)
	defer cancel()
	var slow sync.WaitGroup
	_ = f.update(ctx, writer, key, writePlan{before: f.times.Bound / 2, began: func() { // judged
		time.Sleep(f.times.Bound / 4) // the announcement is heard
		break_(reader.wires.link)
		slow.Go(func() { f.get(ctx, reader, key, loadPlan{after: length}) })
		time.Sleep(f.times.Bound / 4) // the load has read the old record
		reader.wires.link.Heal()
	}})
	time.Sleep(f.times.Bound * 3 / 2)
	f.get(ctx, reader, key, loadPlan{})
	slow.Wait()
	f.get(ctx, reader, key, loadPlan{})
}

// cutSlowLink cuts a node off after it has got the reply to a probe that was sent before a write, and
// before it hears of the write: its lease counts from the sending (I4).
func (f *Fleet) cutSlowLink() {
	reader, writer, key := f.member(0), f.member(1), "slow"
	ctx, cancel := context.WithTimeout(context.Background(), 2*f.times.Load)
	defer cancel()
	f.Ledger.seed(key)
	_ = f.invalidate(ctx, writer, key) // judged
	delay := f.times.Timeout * 3 / 4
	f.get(ctx, reader, key, loadPlan{})
	reader.wires.link.Delay(delay)
	time.Sleep(f.times.Bound)
	_ = f.update(ctx, writer, key, writePlan{})
	time.Sleep(delay * 9 / 10)
	reader.wires.link.Cut()
	time.Sleep(f.times.Bound - delay*9/10 + f.times.Latency)
	for range 4 {
		f.get(ctx, reader, key, loadPlan{})
		time.Sleep(delay / 5)
	}
	reader.wires.link.Heal()
	f.slotReady(ctx, reader.slot)
}

// readOwnSource reads without Redis on the node of a writer that has not committed, and again when it
// has returned (I14). Another writer overlaps, so that neither leaves its record behind.
func (f *Fleet) readOwnSource() {
	m, other, key := f.member(0), f.member(1), "slow"
	f.Ledger.seed(key)
	ctx, cancel := context.WithTimeout(context.Background(), 2*f.times.Load)
	defer cancel()
	f.aside(func(ctx context.Context) { _ = f.update(ctx, other, key, writePlan{before: 2 * f.times.Bound}) })
	time.Sleep(f.times.Bound / 2)
	_ = f.update(ctx, m, key, writePlan{began: func() { // judged
		m.wires.link.Cut()
		f.get(ctx, m, key, loadPlan{})
		m.wires.link.Heal()
	}})
	f.get(ctx, m, key, loadPlan{})
}

// commitLate is a write whose writer got an error while the source was still at it: until the fence
// ends nobody may cache what was there before.
func (f *Fleet) commitLate() {
	writer, key := f.member(1), "slow"
	if f.Ledger.latest(key) == 0 { // once: a write that is refused announces no version seeded before it
		f.Ledger.seed(key)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*f.times.Load)
	defer cancel()
	_ = f.update(ctx, writer, key, writePlan{end: doubts, late: f.times.Fence / 2}) // judged
	for end := time.Now().Add(f.times.Fence + 2*f.times.Bound); time.Now().Before(end); time.Sleep(f.times.Fence / 10) {
		for _, m := range f.alive() {
			f.get(ctx, m, key, loadPlan{})
		}
	}
}

// announceInOutage lets an invalidation fail and reads on the same node as soon as Redis can be reached
// again, where the old record still stands.
func (f *Fleet) announceInOutage() {
	m := f.member(0)
	ctx, cancel := context.WithTimeout(context.Background(), 2*f.times.Load)
	defer cancel()
	for _, key := range f.keys {
		f.get(ctx, m, key, loadPlan{})
		m.wires.link.Cut()
		f.Ledger.commitOutside(key, false)
		_ = f.invalidate(ctx, m, key) // judged
		m.wires.link.Heal()
		f.get(ctx, m, key, loadPlan{})
	}
}

// underWriters runs do while every process writes the same keys.
func (f *Fleet) underWriters(do func()) {
	for _, m := range f.alive() {
		for _, key := range f.keys[:3] {
			f.aside(func(ctx context.Context) {
				_ = f.update(ctx, m, key, writePlan{before: f.dice.upTo(f.times.Fence / 2)})
			})
		}
	}
	f.pass(f.times.Fence / 8)
	do()
}

func (f *Fleet) die(at crashPoint) {
	m := f.member(0)
	f.aside(func(ctx context.Context) {
		_ = f.update(ctx, m, f.key(), writePlan{before: f.times.Latency, crash: at})
	})
}

func (f *Fleet) rotate() {
	for slot := range f.members {
		if m := f.member(slot); m != nil {
			f.leave(m)
		}
		f.pass(f.times.Bound)
	}
}
