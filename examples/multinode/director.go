package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// actLimit ends an act that hangs.
const actLimit = time.Minute

// director owns everything a run needs and plays the acts on it.
type director struct {
	opts   options
	screen *screen
	dir    string
	fleet  string
	shop   *shop
	redis  backend
	links  []*relay // one per node, in front of redis
	nodes  []*process
}

// act is one scene of the story.
type act struct {
	name    string
	promise string // in one line
	play    func(ctx context.Context, d *director, r *Result) error
}

// script is the story.
var script = []act{
	{"The incident", "after a lost invalidation no order is charged the old price later than 1 s", playIncident},
	{"Herd", "many readers of a cold key cost one load in the whole fleet", playHerd},
	{"Update", "every read is younger than the bound while prices change", playUpdate},
	{"Stale while revalidate", "an expired value is served while one node refreshes it", playRefresh},
	{"Deaf node", "a node without pub/sub stays under the bound", playDeaf},
	{"Redis dies", "reads go on, updates are refused, nothing stale afterwards", playOutage},
	{"A writer is killed", "all nodes agree with the database in time", playCrash},
	{"A permission is revoked", "no read that begins after the revoke has returned is allowed, on any node", playRevoke},
}

// play runs one act with its own random numbers, so that an act does the same
// alone and in the whole story.
func (d *director) play(ctx context.Context, number int) (Result, error) {
	a := script[number-1]
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	r := &Result{Act: number, Name: a.name, Promise: a.promise, OK: true, Figures: map[string]any{}, screen: d.screen}
	d.screen.act(number, a.name, a.promise)
	err := a.play(ctx, d, r)
	if err != nil {
		r.OK, r.Error = false, err.Error()
	}
	return *r, err
}

func (d *director) random(act int) *rand.Rand {
	return rand.New(rand.NewPCG(d.opts.seed, uint64(act)))
}

// open starts Redis, the shop and the nodes. What it started is ended by close,
// also if it fails midway.
func (d *director) open(ctx context.Context) (err error) {
	d.screen.begin(d.opts)
	if d.dir, err = os.MkdirTemp("", "tiercache-multinode-"); err != nil {
		return err
	}
	d.fleet = filepath.Base(d.dir) // unique on this machine
	if d.redis, err = openBackend(d.opts, d.fleet, func() []*relay { return d.links }); err != nil {
		return err
	}
	if d.shop, err = openShop(d.database()); err != nil {
		return err
	}
	if err = d.shop.stock(ctx, catalogue()); err != nil {
		return err
	}
	for i := range d.opts.nodes {
		if err = d.hire(i); err != nil {
			return err
		}
	}
	return d.ready(ctx, d.nodes)
}

func (d *director) database() string { return filepath.Join(d.dir, "shop.db") }

// hire starts node i behind a link of its own.
func (d *director) hire(i int) error {
	link, err := newRelay(d.redis.Addr())
	if err != nil {
		return err
	}
	d.links = append(d.links, link)
	p, err := d.start(i)
	if err != nil {
		return err
	}
	d.nodes = append(d.nodes, p)
	return nil
}

func (d *director) start(i int) (*process, error) {
	return startProcess(nodeConfig{
		Name: fmt.Sprintf("n%d", i+1), Redis: d.links[i].addr(), Database: d.database(), Fleet: d.fleet,
	})
}

func (d *director) ready(ctx context.Context, nodes []*process) error {
	_, err := all[None](ctx, nodes, "Ready", callLimit/2)
	return err
}

// close ends nodes, links and Redis and removes the files.
func (d *director) close() error {
	var errs []error
	errs = append(errs, d.dismiss()...)
	for _, l := range d.links {
		errs = append(errs, l.close())
	}
	if d.shop != nil {
		errs = append(errs, d.shop.close())
	}
	if d.redis != nil {
		errs = append(errs, d.redis.Close())
	}
	if d.dir != "" {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(errs...)
}

// dismiss stops all nodes at the same time.
func (d *director) dismiss() []error {
	errs := make([]error, len(d.nodes))
	var stops sync.WaitGroup
	for i, p := range d.nodes {
		stops.Go(func() { errs[i] = p.stop() })
	}
	stops.Wait()
	return errs
}

// readAll begins the same read load on all the nodes.
func readAll(ctx context.Context, nodes []*process, plan ReadPlan) error {
	_, err := all[None](ctx, nodes, "StartReads", plan)
	return err
}

func endReads(ctx context.Context, nodes []*process) ([]ReadLog, error) {
	return all[ReadLog](ctx, nodes, "StopReads", None(false))
}

// loadsOf adds up what the nodes asked of the database since the last reset.
func loadsOf(ctx context.Context, nodes []*process, reset bool) (SourceLog, error) {
	logs, err := all[SourceLog](ctx, nodes, "Source", reset)
	var sum SourceLog
	for _, l := range logs {
		sum.Loads += l.Loads
		sum.Running += l.Running
		sum.Weak += l.Weak
		sum.Peak = max(sum.Peak, l.Peak)
		sum.Spans = append(sum.Spans, l.Spans...)
	}
	return sum, err
}

func (d *director) slow(ctx context.Context, delay time.Duration) error {
	_, err := all[None](ctx, d.nodes, "Slow", delay)
	return err
}
