package simulation

import (
	"context"
	"sync"
	"time"
)

// A Scenario breaks a fleet under load in one particular way.
type Scenario struct {
	Name string
	Want []string // what must have happened, by its name in the tally
	run  func(*Fleet)
}

// Scenarios are played on every rig.
var Scenarios = append([]Scenario{
	{"pub-sub killed twenty times", nil, (*Fleet).killPubSubs},
	{"pub-sub in a hole", []string{"event: in step", "repaired"}, (*Fleet).deafenOne},
	{"messages lost", nil, (*Fleet).loseMessages},
	{"messages duplicated and reordered", nil, func(f *Fleet) { f.often(20, func() { f.repeatMessages(10) }) }},
	{"messages garbled", []string{"event: malformed"}, func(f *Fleet) { f.often(5, func() { f.publish("no entry") }) }},

	{"link cut for half the bound", nil, breakLink(Link.Cut, 0.5)},
	{"link cut beyond the bound", []string{"event: adrift", "weak loads"}, breakLink(Link.Cut, 2)},
	{"link cut for more than the ring holds", []string{"event: missed"}, (*Fleet).outrunRing},
	{"link in a hole without FIN", []string{"event: adrift"}, breakLink(Link.Hole, 3)},
	{"link in a one-way hole", []string{"event: adrift"}, breakLink(Link.HoleReplies, 3)},
	{"links that overtake each other", nil, func(f *Fleet) {
		f.jitter.Store(int64(f.longestHold()))
		f.pass(10 * f.times.Bound)
		f.jitter.Store(0)
	}},
	{"link slow", nil, func(f *Fleet) { breakLink(func(l Link) { l.Delay(f.times.Timeout / 2) }, 3)(f) }},
	{"link slower than the timeout", nil, func(f *Fleet) { breakLink(func(l Link) { l.Delay(2 * f.times.Timeout) }, 3)(f) }},
	{"link reset again and again", nil, func(f *Fleet) { f.often(10, func() { onLink(Link.Reset)(f) }) }},
	{"link slow and then cut", nil, func(f *Fleet) { f.repeat(5, f.cutSlowLink) }},
	{"load begun in an outage, over before the write", nil, func(f *Fleet) { f.outlast(Link.Cut, f.times.Bound/8) }},
	{"load begun in an outage, outlasting the write", nil, func(f *Fleet) { f.outlast(Link.Cut, 4*f.times.Bound) }},
	{"load begun under a fence, outlasting the write", nil, func(f *Fleet) { f.outlast(Link.Heal, 4*f.times.Bound) }},
	{"load in an outage, on the writer's node", nil, (*Fleet).readOwnSource},
	{"commit after the writer has given up", nil, func(f *Fleet) { f.repeat(5, f.commitLate) }},

	{"write outside of the fleet, announced in an outage", []string{"unconfirmed writes", "settled claims"}, (*Fleet).announceInOutage},

	{"redis killed and restarted empty", []string{"event: history"}, func(f *Fleet) { f.restart(empty) }},
	{"redis killed and restarted on its data", []string{"event: history"}, func(f *Fleet) { f.restart(same) }},
	{"redis killed and restarted on an old snapshot", []string{"event: history"}, func(f *Fleet) { f.restart(snapshot) }},
	{"redis restarted twice on one snapshot", []string{"event: history"}, func(f *Fleet) {
		f.restart(snapshot)
		f.pass(f.times.Bound)
		f.restart(snapshot)
	}},
	{"redis killed while writers hold fences", []string{"event: history"}, func(f *Fleet) { f.underWriters(func() { f.restart(snapshot) }) }},
	{"redis frozen for half the bound", nil, freezeFor(func(t Times) time.Duration { return t.Bound / 2 })},
	{"redis frozen beyond the bound", []string{"event: adrift"}, freezeFor(func(t Times) time.Duration { return 2 * t.Bound })},
	{"redis frozen beyond the life of a fence", []string{"event: adrift"}, func(f *Fleet) {
		f.underWriters(func() { freezeFor(func(t Times) time.Duration { return t.Fence * 3 / 2 })(f) })
	}},
	{"FLUSHALL", nil, (*Fleet).flushAll},
	{"FLUSHALL while writers hold fences", nil, func(f *Fleet) { f.underWriters(f.flushAll) }},
	{"bus deleted", nil, (*Fleet).deleteBus},
	{"SCRIPT FLUSH", nil, func(f *Fleet) { f.often(5, f.flushScripts) }},
	{"redis refuses", nil, func(f *Fleet) {
		f.underWriters(func() {
			allow := f.refuse()
			f.pass(2 * f.times.Bound)
			allow()
		})
	}},
	{"every command executed twice", nil, func(f *Fleet) {
		stop := f.doubleCommands()
		f.pass(3 * f.times.Bound)
		stop()
	}},
	{"commands executed again later", []string{"late copies"}, func(f *Fleet) {
		stop := f.copyCommands()
		f.pass(3 * f.times.Bound)
		stop()
	}},
	{"records, leases and fences evicted", nil, func(f *Fleet) { f.underWriters(func() { f.often(10, f.evict) }) }},

	{"writer dead before its commit", []string{"crashes"}, func(f *Fleet) { f.die(beforeCommit) }},
	{"writer dead after its commit", []string{"crashes"}, func(f *Fleet) { f.die(afterCommit) }},
	{"holder of a lease dead", []string{"crashes", "waits"}, func(f *Fleet) { f.crashHolder(f.member(0)) }},
	{"everybody leaves under load", []string{"fault: leave under load"}, (*Fleet).rotate},
}, caught()...)

// caught are the scenarios of a writer whose link breaks at a step, for a while or for good.
func caught() []Scenario {
	var out []Scenario
	for at := beforeFence; at <= afterUnfence; at++ {
		name := at.String()
		out = append(out,
			Scenario{"writer cut " + name, []string{"caught " + name}, func(f *Fleet) { f.catch(f.member(0), at, false) }},
			Scenario{"writer dead " + name, []string{"caught " + name, "crashes"}, func(f *Fleet) { f.catch(f.member(0), at, true) }})
	}
	return out
}

// Play runs a scenario under load. Everything has been healed when it returns, and every process has
// agreed with the source.
func (f *Fleet) Play(s Scenario) {
	stop := f.employ(f.plain)
	defer stop()
	f.pace.Store(int64(f.times.Hurry))
	f.pass(f.times.Bound)
	f.save()
	f.pass(f.times.Bound)
	f.Ledger.note("-- scenario: %s", s.Name)
	s.run(f)
	f.pass(3 * f.times.Bound)
	f.heal()
	f.ready(f.recovery())
	f.pass(f.times.Bound)
	f.agree()
}

// pass lets time pass under load.
func (f *Fleet) pass(d time.Duration) {
	f.inspect()
	time.Sleep(d)
}

func (f *Fleet) often(n int, do func()) {
	for range n {
		do()
		f.pass(f.times.Bound / 10)
	}
}

func (f *Fleet) repeat(n int, do func()) {
	for range n {
		do()
	}
}

// heal ends what a scenario has left broken.
func (f *Fleet) heal() {
	f.rig.Lose(0)
	for _, m := range f.alive() {
		m.traps.disarm()
		m.wires.link.Heal()
	}
}

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
	l, m := f.member(0).wires.link, f.member(1)
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
	f.Ledger.seed(key)
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
