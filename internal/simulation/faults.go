package simulation

// A fault breaks something. The function it returns heals it again; nil: there is nothing to heal.
type fault struct {
	name  string
	begin func(f *Fleet) (heal func())
}

// faults are what the random run draws from.
var faults = []fault{
	{"link cut", onLink(Link.Cut)},
	{"link hole", onLink(Link.Hole)},
	{"link one-way hole", onLink(Link.HoleReplies)},
	{"link delayed", func(f *Fleet) func() {
		d := f.dice.upTo(2 * f.times.Timeout)
		return onLink(func(l Link) { l.Delay(d) })(f)
	}},
	{"link reset", once(func(f *Fleet) { onLink(Link.Reset)(f) })},
	{"pub/sub killed", onMember(func(_ *Fleet, m *member) func() { m.wires.killPubSub(); return nil })},
	{"pub/sub hole", onMember(func(_ *Fleet, m *member) func() { m.wires.deafen(); return m.wires.undeafen })},
	{"messages lost", func(f *Fleet) func() {
		f.rig.Lose(0.5)
		return func() { f.rig.Lose(0) }
	}},
	{"messages duplicated", once(func(f *Fleet) { f.repeatMessages(5) })},
	{"message garbled", once(func(f *Fleet) { f.publish("7|gibberish") })},
	{"commands doubled", (*Fleet).doubleCommands},
	{"commands copied late", (*Fleet).copyCommands},
	{"redis refuses", (*Fleet).refuse},
	{"redis frozen", (*Fleet).stop},
	{"redis restarted", once(func(f *Fleet) { f.restart(same) })},
	{"redis restarted empty", once(func(f *Fleet) { f.restart(empty) })},
	{"redis restarted on a snapshot", once(func(f *Fleet) { f.restart(snapshot) })},
	{"redis restarted twice on a snapshot", once(func(f *Fleet) { f.restart(snapshot); f.restart(snapshot) })},
	{"FLUSHALL", once((*Fleet).flushAll)},
	{"bus deleted", once((*Fleet).deleteBus)},
	{"SCRIPT FLUSH", once((*Fleet).flushScripts)},
	{"keys evicted", once((*Fleet).evict)},
	{"writer caught", onMember(func(f *Fleet, m *member) func() { f.catch(m, f.anyStep(), f.dice.chance(0.5)); return nil })},
	{"writer crashed", onMember(func(f *Fleet, m *member) func() { f.crashWriter(m); return nil })},
	{"holder crashed", onMember(func(f *Fleet, m *member) func() { f.crashHolder(m); return nil })},
	{"leave under load", onMember(func(f *Fleet, m *member) func() { f.leave(m); return nil })},
}

func once(do func(*Fleet)) func(*Fleet) func() {
	return func(f *Fleet) func() {
		do(f)
		return nil
	}
}

func onMember(do func(*Fleet, *member) func()) func(*Fleet) func() {
	return func(f *Fleet) func() {
		if m := f.some(); m != nil {
			return do(f, m)
		}
		return nil
	}
}

func onLink(do func(Link)) func(*Fleet) func() {
	return onMember(func(_ *Fleet, m *member) func() {
		do(m.wires.link)
		return func() {
			if !m.dead.Load() {
				m.wires.link.Heal()
			}
		}
	})
}

// strike begins a fault and notes it.
func (f *Fleet) strike(x fault) (heal func()) {
	f.Ledger.count("fault: " + x.name)
	f.Ledger.note("-- fault: %s", x.name)
	end := x.begin(f)
	return func() {
		if end != nil {
			f.Ledger.note("-- healed: %s", x.name)
			end()
		}
	}
}
