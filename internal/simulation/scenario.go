package simulation

import "time"

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
	{"pub-sub of a slow consumer", []string{"repaired"}, (*Fleet).slowOne},
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
