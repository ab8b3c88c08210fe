package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

const (
	outageTime   = 2 * time.Second
	outageCalm   = 800 * time.Millisecond // before the crash and after each return
	outageSource = 5 * time.Millisecond   // a load takes so long
	outageEvery  = 40 * time.Millisecond
	reviveMargin = 500 * time.Millisecond // an update asked later may meet the Redis that is back
)

// outage is the state of act 6.
type outage struct {
	d       *director
	r       *Result
	keys    []string
	writers *changer
	extra   []Change // made outside of writers
	begin   int64    // of the long outage
	end     int64
}

func playOutage(ctx context.Context, d *director, r *Result) error {
	o := &outage{d: d, r: r, keys: keys(50, 40)}
	book, err := d.newLedger(ctx, o.keys)
	if err != nil {
		return err
	}
	if err := d.slow(ctx, outageSource); err != nil {
		return err
	}
	plan := ReadPlan{Shelf: shelfPrice, Keys: o.keys, Readers: 24, Pause: 40 * time.Millisecond}
	if err := readAll(ctx, d.nodes, plan); err != nil {
		return err
	}
	o.writers = (&changer{keys: o.keys, nodes: d.nodes, rng: d.random(6), every: outageEvery}).begin(ctx)
	if err := o.scenes(ctx); err != nil {
		return err
	}
	changes, err := o.writers.stop()
	if err != nil {
		return err
	}
	changes = append(changes, o.extra...)
	if err := r.checkAgreed(ctx, d, d.nodes, o.keys); err != nil {
		return err
	}
	logs, err := endReads(ctx, d.nodes)
	if err != nil {
		return err
	}
	failed, example := readErrors(logs)
	r.Figures["read_errors"], r.Figures["read_max_ms"] = failed, ms(slowest(logs))
	r.check(failed == 0, "no read fails, from beginning to end", "%d failed reads%s, slowest %.0f ms", failed, example, ms(slowest(logs)))
	r.checkBound("afterwards too nobody serves", verdictOn(book, changes, logs...))
	return errors.Join(o.reportRefusals(ctx, changes), d.slow(ctx, 0))
}

// scenes: Redis dies and comes back empty, then dies and comes back old.
func (o *outage) scenes(ctx context.Context) error {
	if err := o.d.screen.wait(ctx, outageCalm, nil); err != nil {
		return err
	}
	if err := o.empty(ctx); err != nil {
		return err
	}
	if err := o.d.screen.wait(ctx, outageCalm, nil); err != nil {
		return err
	}
	if err := o.old(ctx); err != nil {
		return err
	}
	return o.d.screen.wait(ctx, outageCalm, nil)
}

func (o *outage) empty(ctx context.Context) error {
	if err := o.d.redis.Crash(); err != nil {
		return err
	}
	o.r.step("Redis is dead; readers and writers go on")
	o.begin = now()
	before, err := o.progress(ctx, true)
	if err != nil {
		return err
	}
	if err := o.d.screen.wait(ctx, outageTime, nil); err != nil {
		return err
	}
	after, err := o.progress(ctx, false)
	if err != nil {
		return err
	}
	o.reportLoad(before, after)
	o.end = now()
	if err := o.d.redis.Revive(ctx); err != nil {
		return err
	}
	return o.recovered(ctx, "recovered_empty_ms", "empty")
}

// old puts Redis back to a snapshot that misses the latest price changes.
func (o *outage) old(ctx context.Context) error {
	switch err := o.d.redis.Save(); {
	case errors.Is(err, errNoSnapshot):
		o.r.step("the return on an old snapshot is left out: %v", err)
		return nil
	case err != nil:
		return err
	}
	saved := o.writers.soFar()
	if err := o.d.screen.wait(ctx, outageCalm, nil); err != nil {
		return err
	}
	if err := o.d.redis.Crash(); err != nil {
		return err
	}
	missing := o.writers.soFar() - saved
	o.r.Figures["changes_after_snapshot"] = missing
	o.r.step("Redis is killed again and comes back on a snapshot that misses the last %d changes", missing)
	if err := o.d.redis.ReviveOld(); err != nil {
		return err
	}
	return o.recovered(ctx, "recovered_old_ms", "with old data")
}

// recovered waits until every node accepts a price change again.
func (o *outage) recovered(ctx context.Context, figure, how string) error {
	start := time.Now()
	errs := make([]error, len(o.d.nodes))
	done := make([]Change, len(o.d.nodes))
	var nodes sync.WaitGroup
	for i, p := range o.d.nodes {
		nodes.Go(func() {
			done[i], errs[i] = insist(ctx, p, UpdateArgs{Shelf: shelfPrice, Key: o.keys[i%len(o.keys)], Cents: 4200})
		})
	}
	nodes.Wait()
	o.extra = append(o.extra, done...)
	took := time.Since(start)
	o.r.Figures[figure] = ms(took)
	o.r.step("Redis is back, %s; every node accepts updates again after %.0f ms", how, ms(took))
	return errors.Join(errs...)
}

// progress of reads and loads.
type progress struct {
	reads  []int64 // of each node
	source SourceLog
}

// since is how many reads there were after the other progress, in all and on
// the node that had fewest.
func (p progress) since(o progress) (sum, least int64) {
	least = math.MaxInt64
	for i, n := range p.reads {
		sum += n - o.reads[i]
		least = min(least, n-o.reads[i])
	}
	return sum, least
}

func (o *outage) progress(ctx context.Context, reset bool) (progress, error) {
	loads, err := loadsOf(ctx, o.d.nodes, reset)
	counts, err2 := all[ReadCount](ctx, o.d.nodes, "CountReads", None(false))
	p := progress{source: loads}
	for _, c := range counts {
		p.reads = append(p.reads, c.Reads)
	}
	return p, errors.Join(err, err2)
}

func (o *outage) reportLoad(before, after progress) {
	reads, least := after.since(before)
	loads := after.source
	o.r.Figures["outage_ms"], o.r.Figures["outage_reads"] = ms(outageTime), reads
	o.r.Figures["outage_reads_fewest_on_a_node"] = least
	o.r.Figures["outage_loads"], o.r.Figures["outage_peak_loads"] = loads.Loads, loads.Peak
	o.r.Figures["source_limit"] = sourceLimit
	o.r.check(least > 0, "reads go on without Redis on every node", "%d reads in %v, %d or more a node", reads, outageTime, least)
	o.r.check(loads.Peak <= sourceLimit, fmt.Sprintf("at most %d loads at a time on a node", sourceLimit),
		"peak %d; %d loads for those reads", loads.Peak, loads.Loads)
}

// reportRefusals: without Redis no update may write. Updates that were under
// way when Redis died or came back may have come to something else.
func (o *outage) reportRefusals(ctx context.Context, changes []Change) error {
	asked, refused, written, example := 0, 0, 0, ""
	for _, c := range changes {
		if c.Outcome == outcomeRefused && c.Version != 0 {
			written++
		}
		if c.Asked < o.begin || c.Asked > o.end-int64(reviveMargin) {
			continue
		}
		asked++
		if c.Outcome == outcomeRefused {
			refused++
			example = c.Err
		}
	}
	same, err := o.sameInDatabase(ctx, changes)
	o.r.step("an update without Redis says: %s", example)
	o.r.Figures["updates_asked"], o.r.Figures["updates_refused"] = asked, refused
	o.r.Figures["updates_refused_but_written"] = written
	o.r.Figures["updates_unconfirmed"] = count(changes, outcomeUnconfirmed)
	o.r.check(asked > 0 && refused == asked, "updates without Redis are refused", "%d of %d (ErrNotWritten)", refused, asked)
	o.r.check(written == 0 && same, "a refused update has not written", "%d wrote; the database agrees: %v", written, same)
	return err
}

// sameInDatabase: the version of a product counts its writes, so it must be the
// number of changes that wrote.
func (o *outage) sameInDatabase(ctx context.Context, changes []Change) (bool, error) {
	writes := map[string]int64{}
	for _, c := range changes {
		if c.Version != 0 {
			writes[c.Key]++
		}
	}
	stock, err := o.d.shop.products(ctx, o.keys)
	same := err == nil
	for _, p := range stock {
		same = same && p.Version == 1+writes[p.ID]
	}
	return same, err
}
