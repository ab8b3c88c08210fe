package main

import (
	"context"
	"fmt"
	"time"
)

// agreeLimit is what a dead writer's fence and the bound allow, and a second for
// the asking.
const agreeLimit = fence + bound + time.Second

// checkAgreed enters as a promise that the nodes come to serve what the
// database holds.
func (r *Result) checkAgreed(ctx context.Context, d *director, nodes []*process, keys []string) error {
	took, odd, err := d.agree(ctx, nodes, keys)
	r.Figures["agreed_ms"] = ms(took)
	measured := fmt.Sprintf("after %.1f ms", ms(took))
	if odd != "" {
		measured += ": " + odd
	}
	r.check(err == nil && odd == "", "in the end all nodes agree with the database", "%s", measured)
	return err
}

// agree waits until the nodes serve what the database holds, at most for
// agreeLimit. If they do not, odd says what was different.
func (d *director) agree(ctx context.Context, nodes []*process, keys []string) (took time.Duration, odd string, err error) {
	start := time.Now()
	for {
		if odd, err = d.disagreement(ctx, nodes, keys); err != nil || odd == "" || time.Since(start) > agreeLimit {
			return time.Since(start), odd, err
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return time.Since(start), odd, err
		}
	}
}

// disagreement names a node that serves something else than the database.
func (d *director) disagreement(ctx context.Context, nodes []*process, keys []string) (string, error) {
	for _, key := range keys {
		want, err := d.shop.product(ctx, key)
		if err != nil {
			return "", err
		}
		looks, err := all[Look](ctx, nodes, "Look", LookArgs{Shelf: shelfPrice, Key: key})
		if err != nil {
			return "", err
		}
		for i, l := range looks {
			if l != (Look{want.Version, want.Cents}) {
				return fmt.Sprintf("node %s has %v of %s, the database %v", nodes[i].name, l, key, want), nil
			}
		}
	}
	return "", nil
}

// newLedger begins a ledger with the prices of the keys now.
func (d *director) newLedger(ctx context.Context, keys []string) (*ledger, error) {
	stock, err := d.shop.products(ctx, keys)
	return newLedger(stock), err
}

// verdictOn judges the reads of the nodes against the changes.
func verdictOn(l *ledger, changes []Change, logs ...ReadLog) judgement {
	for _, c := range changes {
		l.add(c)
	}
	var seen []Sighting
	for _, log := range logs {
		seen = append(seen, log.Sightings...)
	}
	return l.judge(seen, bound)
}

// checkBound enters the rule of the ledger as a promise of the act.
func (r *Result) checkBound(who string, j judgement) {
	r.Figures["oldest_ms"] = ms(j.oldest)
	r.Figures["bound_ms"] = ms(bound)
	r.Figures["reads_checked"] = j.reads
	r.Figures["reads_late"], r.Figures["reads_phantom"] = j.late, j.phantoms
	r.check(j.ok() && j.reads > 0, fmt.Sprintf("%s a price older than %v", who, bound),
		"oldest %.1f ms behind, %d reads", ms(j.oldest), j.reads)
}

// slowest is the longest any read took.
func slowest(logs []ReadLog) (d time.Duration) {
	for _, l := range logs {
		d = max(d, l.Slowest)
	}
	return d
}

// readErrors adds up the failed reads.
func readErrors(logs []ReadLog) (n int64, example string) {
	for _, l := range logs {
		n += l.Errors
		if l.Err != "" {
			example = " (" + l.Err + ")"
		}
	}
	return n, example
}
