package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	rankingTTL  = time.Second
	rankingLoad = 400 * time.Millisecond
	refreshTime = 6 * time.Second
	rankingKey  = "bestsellers"

	// refreshTries is how often the window is played if this machine is too
	// busy for Redis to answer the nodes in time.
	refreshTries = 4
)

func playRefresh(ctx context.Context, d *director, r *Result) error {
	if err := d.slow(ctx, rankingLoad); err != nil {
		return err
	}
	r.step("a ranking is fresh for %v, and its query takes %v; all nodes read it for %v", rankingTTL, rankingLoad, refreshTime)
	var w refreshWindow
	for try := range refreshTries {
		var err error
		if w, err = d.refreshes(ctx); err != nil {
			return err
		}
		r.Figures["windows_repeated"] = try
		if w.loads.Weak == 0 {
			break
		}
		r.step("Redis did not answer a node in time, which then loads for itself; this is repeated")
	}
	r.reportRefreshes(w)
	r.reportLatency(w.logs, w.loads)
	return d.slow(ctx, 0)
}

// refreshWindow is what was seen while all nodes read a ranking that expires.
// The database numbers the builds of the ranking, so the numbers count the
// loads of the whole fleet.
type refreshWindow struct {
	first int64 // build that was stored at the beginning
	last  int64 // build that was stored in the end
	made  int64 // last build that was made
	logs  []ReadLog
	loads SourceLog
}

func (d *director) refreshes(ctx context.Context) (w refreshWindow, err error) {
	if w.first, err = d.warm(ctx); err != nil {
		return w, err
	}
	plan := ReadPlan{Shelf: shelfRanking, Keys: []string{rankingKey}, Readers: 4, Pause: 2 * time.Millisecond, Timed: true}
	if err = readAll(ctx, d.nodes, plan); err != nil {
		return w, err
	}
	if err = d.screen.wait(ctx, refreshTime, nil); err != nil {
		return w, err
	}
	if w.logs, err = endReads(ctx, d.nodes); err != nil {
		return w, err
	}
	w.loads, w.last, w.made, err = d.settle(ctx)
	return w, err
}

// warm loads the ranking on all nodes and returns the build that is stored; the
// loads so far do not count.
func (d *director) warm(ctx context.Context) (int64, error) {
	if _, err := all[Look](ctx, d.nodes, "Look", LookArgs{Shelf: shelfRanking, Key: rankingKey}); err != nil {
		return 0, err
	}
	_, first, _, err := d.settle(ctx)
	if err != nil {
		return 0, err
	}
	_, err = loadsOf(ctx, d.nodes, true)
	return first, err
}

// settle waits for the loads under way and for the last of them to be stored.
// A build that is not stored in time never will be: its load was one too many.
func (d *director) settle(ctx context.Context) (loads SourceLog, last, made int64, err error) {
	enough := time.Now().Add(2 * time.Second)
	for err == nil {
		if loads, err = loadsOf(ctx, d.nodes, false); err != nil {
			break
		}
		if last, made, err = d.rankingBuilds(ctx); err != nil {
			break
		}
		if loads.Running == 0 && (last == made || time.Now().After(enough)) {
			break
		}
		err = pause(ctx, 20*time.Millisecond)
	}
	return loads, last, made, err
}

// rankingBuilds are the newest that is stored and the newest that was made.
func (d *director) rankingBuilds(ctx context.Context) (stored, made int64, err error) {
	looks, err := all[Look](ctx, d.nodes, "Look", LookArgs{Shelf: shelfRanking, Key: rankingKey, Peek: true})
	if err != nil {
		return 0, 0, err
	}
	for _, l := range looks {
		stored = max(stored, l.Version)
	}
	made, err = d.shop.builds(ctx, rankingKey)
	return stored, made, err
}

// expiries counts the builds that took the place of an expired one: those newer
// than the first that the fleet stored or served. (A node may still have shown
// the one before the first: to serve what has expired is the point.)
func (w refreshWindow) expiries() int64 {
	newer := map[int64]bool{}
	if w.last > w.first {
		newer[w.last] = true
	}
	for _, l := range w.logs {
		for _, s := range l.Sightings {
			if s.Version > w.first {
				newer[s.Version] = true
			}
		}
	}
	return int64(len(newer))
}

// reportRefreshes: had two nodes refreshed the same value, one of the two
// answers would have been thrown away and never served, or the loads would have
// overlapped.
func (r *Result) reportRefreshes(w refreshWindow) {
	loads, expiries := w.made-w.first, w.expiries()
	overlaps := overlapping(w.loads.Spans)
	per := 0.0
	if expiries > 0 {
		per = float64(loads) / float64(expiries)
	}
	failed, example := readErrors(w.logs)
	r.Figures["expiries"], r.Figures["loads"], r.Figures["loads_per_expiry"] = expiries, loads, per
	r.Figures["loads_overlapping"], r.Figures["read_errors"] = overlaps, failed
	r.check(per == 1 && overlaps == 0, "1 refresh in the fleet per expiry", "%d refreshes for %d expiries, %d overlap", loads, expiries, overlaps)
	r.check(failed == 0, "every read is served", "%d failed reads%s", failed, example)
}

// reportLatency looks at the reads that started while a refresh was running.
func (r *Result) reportLatency(logs []ReadLog, loads SourceLog) {
	var took []time.Duration
	for _, l := range logs {
		for _, s := range l.Samples {
			if during(loads.Spans, s.Start) {
				took = append(took, s.Took)
			}
		}
	}
	p50, p99, worst := percentile(took, 50), percentile(took, 99), percentile(took, 100)
	r.Figures["reads_during_refresh"] = len(took)
	r.Figures["read_p50_ms"], r.Figures["read_p99_ms"], r.Figures["read_max_ms"] = ms(p50), ms(p99), ms(worst)
	r.Figures["load_ms"] = ms(rankingLoad)
	r.check(len(took) > 0 && p99 < rankingLoad, fmt.Sprintf("a read does not wait for a refresh of %v", rankingLoad),
		"p50 %.3f, p99 %.3f, max %.1f ms", float64(p50)/1e6, float64(p99)/1e6, ms(worst))
}

// overlapping counts the loads that began before an earlier one had ended.
func overlapping(spans []Span) int {
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	n, busy := 0, int64(0)
	for _, s := range spans {
		if s.Start < busy {
			n++
		}
		busy = max(busy, s.End)
	}
	return n
}

func during(spans []Span, at int64) bool {
	return slices.ContainsFunc(spans, func(s Span) bool { return s.Start <= at && at < s.End })
}
