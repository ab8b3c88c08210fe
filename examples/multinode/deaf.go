package main

import (
	"context"
	"errors"
	"time"
)

const (
	deafTime  = 3 * time.Second
	deafEvery = 20 * time.Millisecond
)

func playDeaf(ctx context.Context, d *director, r *Result) error {
	products := keys(40, 8)
	book, err := d.newLedger(ctx, products)
	if err != nil {
		return err
	}
	last := len(d.nodes) - 1
	link, deaf, others := d.links[last], d.nodes[last], d.nodes[:last]
	r.step("node %s hears nothing on pub/sub from now on: connected, but silent; its commands work", deaf.name)
	link.deafen()
	defer link.hear()
	plan := ReadPlan{Shelf: shelfPrice, Keys: products, Readers: 4, Pause: time.Millisecond}
	changes, logs, err := d.changeAndRead(ctx, d.nodes, &changer{keys: products, nodes: others, rng: d.random(5), every: deafEvery}, plan, deafTime)
	if err != nil {
		return err
	}
	lost := link.lost.Load()
	if lost == 0 {
		return errors.New("the node was not deaf: nothing was withheld from it")
	}
	r.step("%d bytes of pub/sub were withheld from it while %d prices changed", lost, len(changes))
	rest := verdictOn(book, changes, logs[:last]...)
	r.Figures["changes"], r.Figures["withheld_bytes"] = len(changes), lost
	r.Figures["others_oldest_ms"] = ms(rest.oldest)
	r.reportReach("the deaf node", changes, logs[last:])
	r.checkBound("the deaf node never serves", verdictOn(book, nil, logs[last]))
	r.check(rest.ok(), "nor do the others", "oldest %.1f ms behind, %d reads", ms(rest.oldest), rest.reads)
	return nil
}
