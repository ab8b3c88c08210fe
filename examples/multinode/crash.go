package main

import (
	"context"
	"fmt"
	"time"
)

func playCrash(ctx context.Context, d *director, r *Result) error {
	products := keys(90, 4)
	book, err := d.newLedger(ctx, products)
	if err != nil {
		return err
	}
	const victim = 1
	survivors := append(append([]*process(nil), d.nodes[:victim]...), d.nodes[victim+1:]...)
	plan := ReadPlan{Shelf: shelfPrice, Keys: products, Readers: 4, Pause: 2 * time.Millisecond}
	if err := readAll(ctx, survivors, plan); err != nil {
		return err
	}
	change, killed, err := d.killWriter(ctx, r, d.nodes[victim], UpdateArgs{Shelf: shelfPrice, Key: products[0], Cents: 7700})
	if err != nil {
		return err
	}
	if err := d.screen.wait(ctx, fence+bound, nil); err != nil {
		return err
	}
	if err := r.reportCached(ctx, d, survivors); err != nil {
		return err
	}
	logs, err := endReads(ctx, survivors)
	if err != nil {
		return err
	}
	r.reportAgreement(*book, change, killed, logs)
	return d.rehire(ctx, r, victim, products)
}

// reportAgreement: the update never returned, so the end of its writer's fence
// stands in for that, and the bound runs from there. Counted from the commit,
// the last read of the old price tells when the nodes agreed for good.
func (r *Result) reportAgreement(book ledger, change Change, killed int64, logs []ReadLog) {
	change.Returned = killed + int64(fence)
	promised := verdictOn(&book, []Change{change}, logs...)
	change.Returned = change.Committed
	measured := verdictOn(&book, []Change{change}, logs...)
	r.Figures["last_old_ms"], r.Figures["last_old_bound_ms"] = ms(measured.oldest), ms(fence+bound)
	r.Figures["reads_checked"], r.Figures["reads_late"] = promised.reads, promised.late
	r.check(promised.ok() && promised.reads > 0, fmt.Sprintf("all nodes agree within %v of the kill", fence+bound),
		"last old price %.1f ms after COMMIT, %d reads", ms(measured.oldest), promised.reads)
}

// killWriter kills a node between its database write and the end of its update.
func (d *director) killWriter(ctx context.Context, r *Result, p *process, args UpdateArgs) (Change, int64, error) {
	if err := d.screen.wait(ctx, 300*time.Millisecond, nil); err != nil {
		return Change{}, 0, err
	}
	change, _, err := holdWriter(ctx, p, args) // the update never ends: its process dies
	if err != nil {
		return change, 0, err
	}
	err = p.kill()
	killed := now()
	r.step("node %s wrote version %d of %s to the database and was killed before its update ended", p.name, change.Version, change.Key)
	return change, killed, err
}

const (
	cachedWindow = 300 * time.Millisecond
	cachedTries  = 5 // if this machine is too busy for Redis to answer in time
)

// reportCached: when the dead writer's fence is over, the key is cached again.
func (r *Result) reportCached(ctx context.Context, d *director, nodes []*process) error {
	loads, err := loadsOf(ctx, nodes, true)
	for range cachedTries {
		if err == nil {
			err = d.screen.wait(ctx, cachedWindow, nil)
		}
		if err != nil {
			return err
		}
		if loads, err = loadsOf(ctx, nodes, true); loads.Weak == 0 {
			break
		}
	}
	r.Figures["loads_after_fence"] = loads.Loads
	r.check(loads.Loads == 0, "then the key is cached again", "%d loads in the next %v", loads.Loads, cachedWindow)
	return err
}

// rehire starts the killed node again; it must serve and change prices.
func (d *director) rehire(ctx context.Context, r *Result, i int, products []string) error {
	p, err := d.start(i)
	if err != nil {
		return err
	}
	d.nodes[i] = p
	if err := d.ready(ctx, d.nodes[i:i+1]); err != nil {
		return err
	}
	c, err := insist(ctx, p, UpdateArgs{Shelf: shelfPrice, Key: products[0], Cents: 8800})
	if err != nil {
		return err
	}
	r.check(c.Outcome == outcomeDone, "the node starts again and changes that price", "%s, version %d", c.Outcome, c.Version)
	return r.checkAgreed(ctx, d, d.nodes, products)
}
