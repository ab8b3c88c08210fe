package main

import (
	"context"
	"fmt"
	"time"
)

const (
	updateTime  = 4 * time.Second
	updateEvery = 12 * time.Millisecond
	settleTime  = bound + 100*time.Millisecond // reads go on so long after the last change
)

func playUpdate(ctx context.Context, d *director, r *Result) error {
	products := keys(20, 12)
	book, err := d.newLedger(ctx, products)
	if err != nil {
		return err
	}
	r.step("random nodes change %d prices, one every %v, while all nodes read", len(products), updateEvery)
	plan := ReadPlan{Shelf: shelfPrice, Keys: products, Readers: 4, Pause: time.Millisecond}
	changes, logs, err := d.changeAndRead(ctx, d.nodes, &changer{keys: products, nodes: d.nodes, rng: d.random(3), every: updateEvery}, plan, updateTime)
	if err != nil {
		return err
	}
	r.reportReach("every node", changes, logs)
	r.checkBound("nobody serves", verdictOn(book, changes, logs...))
	failed, example := readErrors(logs)
	r.Figures["changes"], r.Figures["changes_done"], r.Figures["read_errors"] = len(changes), count(changes, outcomeDone), failed
	r.check(failed == 0 && count(changes, outcomeFailed) == 0, "no read and no change fails",
		"%d of %d changes done, %d failed reads%s", count(changes, outcomeDone), len(changes), failed, example)
	return nil
}

// changeAndRead reads on the given nodes while c changes prices for a time, and
// for the bound longer, so that a stale read had its chance to show.
func (d *director) changeAndRead(ctx context.Context, readers []*process, c *changer, plan ReadPlan, long time.Duration) ([]Change, []ReadLog, error) {
	if err := readAll(ctx, readers, plan); err != nil {
		return nil, nil, err
	}
	writers := c.begin(ctx)
	if err := d.screen.wait(ctx, long, func() string { return fmt.Sprintf("%d price changes", writers.soFar()) }); err != nil {
		return nil, nil, err
	}
	changes, err := writers.stop()
	if err != nil {
		return nil, nil, err
	}
	if err := d.screen.wait(ctx, settleTime, nil); err != nil {
		return nil, nil, err
	}
	logs, err := endReads(ctx, readers)
	return changes, logs, err
}

// reportReach shows how soon after its commit a change was served by all the
// nodes whose logs these are.
func (r *Result) reportReach(who string, changes []Change, logs []ReadLog) {
	var nodes []map[string][]Sighting
	for _, l := range logs {
		nodes = append(nodes, byKey(l.Sightings))
	}
	var took []time.Duration
	written := 0
	for _, c := range changes {
		if c.Version == 0 {
			continue
		}
		written++
		if d, ok := reach(c, nodes); ok {
			took = append(took, d)
		}
	}
	p50, p99, worst := percentile(took, 50), percentile(took, 99), percentile(took, 100)
	r.Figures["reach_p50_ms"], r.Figures["reach_p99_ms"], r.Figures["reach_max_ms"] = ms(p50), ms(p99), ms(worst)
	r.check(len(took) == written && written > 0, "every new price reaches "+who,
		"%d of %d, after p50 %.1f, p99 %.1f, max %.1f ms", len(took), written, ms(p50), ms(p99), ms(worst))
}
