package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	herdReaders = 300 // on each node
	herdLoad    = 100 * time.Millisecond
	herdRounds  = 5
	herdSpoiled = 10 // rounds that may be repeated
)

// round is one herd on one cold key.
type round struct {
	took   []time.Duration
	loads  int64
	weak   int64         // loads of nodes that Redis did not answer in time
	load   time.Duration // the longest load
	errors int
	err    string
}

func playHerd(ctx context.Context, d *director, r *Result) error {
	if err := d.slow(ctx, herdLoad); err != nil {
		return err
	}
	cold := keys(10, 1+herdRounds+herdSpoiled)
	readers := len(d.nodes) * herdReaders
	r.step("%d nodes x %d readers ask for one cold key at the same moment; a load takes %v", len(d.nodes), herdReaders, herdLoad)
	book, err := d.herd(ctx, shelfTextbook, cold[0])
	if err != nil {
		return err
	}
	r.step("textbook: %d readers, %d loads", readers, book.loads)
	rounds, err := d.herds(ctx, r, cold[1:])
	if err != nil {
		return err
	}
	worst, loads, errors, example := sumRounds(rounds)
	ratio := float64(percentile(worst.took, 100)) / float64(worst.load)
	r.Figures["readers"], r.Figures["rounds"], r.Figures["read_errors"] = readers, len(rounds), errors
	r.Figures["loads_per_round"], r.Figures["textbook_loads"] = loads, book.loads
	r.Figures["load_ms"] = ms(worst.load)
	r.Figures["read_p50_ms"], r.Figures["read_p99_ms"] = ms(percentile(worst.took, 50)), ms(percentile(worst.took, 99))
	r.Figures["read_max_ms"], r.Figures["read_max_loads"] = ms(percentile(worst.took, 100)), ratio
	r.check(len(loads) == herdRounds && slices.Max(loads) == 1 && slices.Min(loads) == 1, fmt.Sprintf("1 load for %d readers, %d times", readers, herdRounds),
		"loads %v (textbook %d)", loads, book.loads)
	r.check(errors == 0, "every reader is served", "%d errors%s; slowest took %.2f loads", errors, example, ratio)
	return d.slow(ctx, 0)
}

// herds plays the rounds. One in which this machine was too busy for Redis to
// answer a node in time is repeated: such a node loads for itself, by design.
func (d *director) herds(ctx context.Context, r *Result, cold []string) ([]round, error) {
	var rounds []round
	spoiled := 0
	for _, key := range cold {
		got, err := d.herd(ctx, shelfPrice, key)
		switch {
		case err != nil:
			return nil, err
		case got.weak > 0:
			spoiled++
			r.step("tiercache: Redis did not answer in time; this round is repeated")
			continue
		}
		rounds = append(rounds, got)
		r.step("tiercache, round %d: loads %d, p99 %.1f ms, slowest %.1f ms, one load %.1f ms", len(rounds), got.loads,
			ms(percentile(got.took, 99)), ms(percentile(got.took, 100)), ms(got.load))
		if len(rounds) == herdRounds {
			break
		}
	}
	r.Figures["rounds_repeated"] = spoiled
	return rounds, nil
}

// herd sends all readers of all nodes to one key at one moment.
func (d *director) herd(ctx context.Context, shelf, key string) (round, error) {
	if _, err := loadsOf(ctx, d.nodes, true); err != nil {
		return round{}, err
	}
	at := time.Now().Add(100 * time.Millisecond).UnixNano()
	logs, err := all[HerdLog](ctx, d.nodes, "Herd", HerdPlan{shelf, key, herdReaders, at})
	if err != nil {
		return round{}, err
	}
	asked, err := loadsOf(ctx, d.nodes, true)
	got := round{loads: asked.Loads, weak: asked.Weak}
	for _, s := range asked.Spans {
		got.load = max(got.load, time.Duration(s.End-s.Start))
	}
	for _, l := range logs {
		got.took = append(got.took, l.Took...)
		got.errors += l.Errors
		got.err = max(got.err, l.Err)
	}
	return got, err
}

// sumRounds finds the round with the slowest reader and adds up the rest.
func sumRounds(rounds []round) (worst round, loads []int64, errors int, example string) {
	for _, got := range rounds {
		loads = append(loads, got.loads)
		errors += got.errors
		if got.err != "" {
			example = " (" + got.err + ")"
		}
		if percentile(got.took, 100) > percentile(worst.took, 100) {
			worst = got
		}
	}
	return worst, loads, errors, example
}
