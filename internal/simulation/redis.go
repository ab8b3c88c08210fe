package simulation

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// What befalls Redis. All of it but stop needs a Redis that is not stopped.

func (f *Fleet) busKey() string { return "{" + fleetName + "}:bus" }

// power is held by whoever stops, kills or asks the server: one at a time. It is a channel because
// in a synctest bubble no time passes while somebody waits for a mutex.
type power chan struct{}

func (p power) take() { p <- struct{}{} }
func (p power) give() { <-p }

// up runs do while Redis is up, or not at all if it is frozen.
func (f *Fleet) up(do func()) {
	f.power.take()
	defer f.power.give()
	if !f.frozen {
		do()
	}
}

// stop freezes Redis.
func (f *Fleet) stop() (cont func()) {
	f.up(func() {
		f.frozen = true
		f.must(f.rig.Stop())
		f.freeze.begin()
		cont = f.cont
	})
	return cont
}

func (f *Fleet) cont() {
	f.power.take()
	defer f.power.give()
	f.frozen = false
	f.freeze.end()
	f.must(f.rig.Cont())
}

// refuse makes Redis answer with errors.
func (f *Fleet) refuse() (allow func()) {
	f.up(func() {
		f.frozen = true // nobody else is to ask it
		f.must(f.rig.Refuse(true))
		allow = func() {
			f.power.take()
			defer f.power.give()
			f.must(f.rig.Refuse(false))
			f.frozen = false
		}
	})
	return allow
}

// doubleCommands makes all clients send every command twice.
func (f *Fleet) doubleCommands() (stop func()) {
	members := f.alive()
	for _, m := range members {
		m.traps.copies.twice.Store(true)
	}
	return func() {
		for _, m := range members {
			m.traps.copies.twice.Store(false)
		}
	}
}

// copyCommands makes all clients send some commands again a while later.
func (f *Fleet) copyCommands() (stop func()) {
	members := f.alive()
	later := func(send func()) {
		if f.dice.chance(0.5) {
			return
		}
		f.Ledger.count("late copies")
		f.running.Go(func() {
			time.Sleep(f.dice.upTo(f.times.Bound))
			send()
		})
	}
	for _, m := range members {
		m.traps.copies.late.Store(&later)
	}
	return func() {
		for _, m := range members {
			m.traps.copies.late.Store(nil)
		}
	}
}

// restart kills Redis and starts another process a while later.
func (f *Fleet) restart(on data) {
	f.up(func() {
		if on != same {
			defer f.Ledger.loss()()
		}
		f.must(f.rig.Restart(on, f.dice.upTo(f.times.Bound)))
		f.unmet = on == snapshot || on == same && f.unmet
	})
}

// save makes the snapshot for the next restart.
func (f *Fleet) save() { f.up(func() { f.must(f.rig.Save()) }) }

func (f *Fleet) flushAll() {
	f.up(func() {
		defer f.Ledger.loss()()
		f.do("flushall")
		f.unmet = false
	})
}

func (f *Fleet) deleteBus() {
	f.up(func() {
		f.do("del", f.busKey())
		f.unmet = false
	})
}

func (f *Fleet) flushScripts() { f.up(func() { f.do("script", "flush") }) }

// evict deletes records, leases and fences, as a server that is short of memory does.
func (f *Fleet) evict() {
	f.up(func() {
		defer f.Ledger.loss()()
		for _, key := range f.keys[:1+f.dice.below(len(f.keys))] {
			f.do("del", f.redisKey(key))
		}
	})
}

func (f *Fleet) publish(message string) {
	f.up(func() { f.do("publish", fleetName+":bus", message) })
}

// repeatMessages publishes entries of the ring again, old and new ones in any order.
func (f *Fleet) repeatMessages(n int) {
	f.up(func() {
		for range n {
			slot := strconv.Itoa(f.dice.below(1024))
			if entry, err := f.rig.Admin().HGet(context.Background(), f.busKey(), slot).Result(); err == nil {
				f.do("publish", fleetName+":bus", entry)
			}
		}
	})
}

// do runs a command on a Redis that is up.
func (f *Fleet) do(args ...any) {
	f.must(f.rig.Admin().Do(context.Background(), args...).Err())
}

// must reports what the rig itself could not do.
func (f *Fleet) must(err error) {
	if err != nil {
		f.Ledger.violate("", "the rig failed: %v", err)
	}
}

// What befalls writers and holders.

func (f *Fleet) anyStep() step { return beforeFence + step(f.dice.below(int(afterUnfence))) }

// catch breaks the link of a process at a step of its next Update: for good, because the process
// dies, or until the fault phase ends.
func (f *Fleet) catch(m *member, at step, dies bool) {
	f.Ledger.note("-- %s will be caught %s, dies=%t", m.name, at, dies)
	m.traps.arm(at, func() {
		f.Ledger.count("caught " + at.String())
		if dies {
			f.crash(m)
			return
		}
		m.wires.link.Cut()
		f.running.Go(func() {
			time.Sleep(f.dice.upTo(2 * f.times.Bound))
			if !m.dead.Load() {
				m.wires.link.Heal()
			}
		})
	})
	f.aside(func(ctx context.Context) { _ = f.update(ctx, m, f.key(), writePlan{before: f.times.Latency}) })
}

// crashWriter kills a process inside of a writer.
func (f *Fleet) crashWriter(m *member) {
	p := writePlan{before: f.dice.upTo(f.times.Bound), crash: beforeCommit + crashPoint(f.dice.below(2))}
	f.aside(func(ctx context.Context) { _ = f.update(ctx, m, f.key(), p) })
}

// crashHolder kills a process inside of a loader, for which the others wait by then.
func (f *Fleet) crashHolder(m *member) {
	f.aside(func(ctx context.Context) {
		key := fmt.Sprintf("orphan%d", f.herds.Add(1))
		f.Ledger.seed(key)
		held := make(chan struct{})
		var heirs sync.WaitGroup
		defer heirs.Wait()
		for _, other := range f.alive() {
			heirs.Go(func() {
				<-held
				f.get(ctx, other, key, loadPlan{})
			})
		}
		begin := sync.OnceFunc(func() { close(held) })
		defer begin()
		f.get(ctx, m, key, loadPlan{began: begin, before: f.dice.upTo(f.times.Bound), crash: true})
	})
}

// aside runs do next to the workers.
func (f *Fleet) aside(do func(context.Context)) {
	f.busy.Add(1)
	f.running.Go(func() {
		defer f.busy.Add(-1)
		ctx, cancel := context.WithTimeout(context.Background(), 2*f.times.Load)
		defer cancel()
		do(ctx)
	})
}
