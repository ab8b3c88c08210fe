package main

import (
	"context"
	"syscall"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// What befalls nodes and their links. Only the director's thread for nodes runs these, so that no two meet at one.

var nodeFaults = []fault{
	{"node frozen past its lease", [2]time.Duration{bound * 6 / 5, 3 * bound}, freezeNode},
	{"node frozen for a moment", [2]time.Duration{bound / 10, bound / 2}, freezeNode},
	once("node killed", func(ctx context.Context, d *thread) error {
		slot := d.slot()
		d.fleet.node(slot).kill()
		return d.replace(ctx, slot)
	}),
	once("node killed in an Update, before the commit", killWriter(beforeCommit)),
	once("node killed in an Update, after the commit", killWriter(afterCommit)),
	once("node joins in an Update", joinInUpdate),
	once("node closed under load", func(_ context.Context, d *thread) error {
		slot := d.slot()
		d.fleet.dismiss(d.fleet.node(slot))
		return d.fleet.spawn(slot)
	}),
}

// linkFaults need a proxy in front of each node's Redis.
func linkFaults(links []*redistest.Proxy) []fault {
	if len(links) == 0 {
		return nil
	}
	on := func(kind string, least, most time.Duration, do func(*redistest.Proxy, *dice)) fault {
		return fault{kind, [2]time.Duration{least, most}, func(_ context.Context, d *thread) (func() error, error) {
			link := links[d.slot()]
			do(link, d.dice)
			return func() error { link.Heal(); return nil }, nil
		}}
	}
	return []fault{
		on("link cut", bound/10, 2*bound, func(p *redistest.Proxy, _ *dice) { p.Cut() }),
		on("link in a hole", bound/2, 3*bound, func(p *redistest.Proxy, _ *dice) { p.Hole() }),
		on("link in a one-way hole", bound/2, 3*bound, func(p *redistest.Proxy, _ *dice) { p.HoleReplies() }),
		on("link delayed", bound/2, 2*bound, func(p *redistest.Proxy, d *dice) { p.Delay(d.between(0, bound/2)) }),
		on("link delayed beyond the bound", bound*3/2, 3*bound, func(p *redistest.Proxy, _ *dice) { p.Delay(bound * 11 / 10) }),
		on("link reset", 0, 0, func(p *redistest.Proxy, _ *dice) { p.Reset() }),
	}
}

func (d *thread) slot() int { return d.dice.below(d.fleet.size()) }

func freezeNode(_ context.Context, d *thread) (func() error, error) {
	p := d.fleet.node(d.slot())
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	return func() error { return p.signal(syscall.SIGCONT) }, nil
}

// killWriter kills a node while the source is executing its commit: the node never hears of it.
func killWriter(at killPoint) func(context.Context, *thread) error {
	return func(ctx context.Context, d *thread) error {
		slot := d.slot()
		p := d.fleet.node(slot)
		p.trap.arm(at)
		select {
		case <-p.done:
			return d.replace(ctx, slot)
		case <-time.After(2 * fence): // Redis refuses all writes
		case <-ctx.Done():
		}
		if p.trap.spring() == nowhere {
			return d.replace(ctx, slot)
		}
		return errNoChance
	}
}

// replace starts a new node where one was killed, a while later.
func (d *thread) replace(ctx context.Context, slot int) error {
	<-d.fleet.node(slot).done
	_ = sleep(ctx, d.dice.between(0, bound)) // the end of the run finds the slot filled
	return d.fleet.spawn(slot)
}

// joinInUpdate replaces a node while the commit of another one is held: who joins must not bring along what the write
// is about to replace.
func joinInUpdate(ctx context.Context, d *thread) error {
	writer := d.slot()
	slot := (writer + 1) % d.fleet.size()
	d.fleet.dismiss(d.fleet.node(slot))
	hold := d.fleet.node(writer).hold.place()
	defer hold.lift()
	err := errNoChance
	select {
	case <-hold.reached:
		err = nil
	case <-time.After(2 * fence): // Redis refuses all writes
	case <-ctx.Done():
	}
	if failed := d.fleet.spawn(slot); failed != nil {
		return failed
	}
	// The source refuses a commit that comes too late: the joiner has less time than a fence lives.
	_ = await(ctx, "the joiner is in step", fence/4, func() error { return d.fleet.joined(slot) })
	return err
}
