package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/tiered"
)

// nodeEnv marks a process as a node; its value is the Config.
const nodeEnv = "TIERCACHE_CHAOS"

const cacheName = "rec"

// node is one process of the fleet: it uses a cache as an application does, and notes what it sees.
type node struct {
	cfg      Config
	ctx      context.Context // ends when the director says so
	stop     context.CancelFunc
	dice     *dice
	clock    stopwatch
	director *rpc.Client

	rdb    redis.UniversalClient
	fleet  *coherence.Node
	cache  *tiered.Cache[Value]
	notes  notes
	logs   logs        // with Strong
	behind atomic.Bool // the director is, and wants fewer reads
}

// nodeMain is a node's whole life. It ends with the director: its input is closed then.
func nodeMain(raw string) int {
	signal.Ignore(os.Interrupt) // Ctrl-C reaches the whole group; the director ends us
	logging.Disable()
	var cfg Config
	if err := json.Unmarshal([]byte(raw), &cfg); err != nil {
		return complain(err)
	}
	n := &node{cfg: cfg, dice: newDice(cfg.Seed), clock: newStopwatch()}
	n.ctx, n.stop = context.WithCancel(context.Background())
	n.director = rpc.NewClient(pipes{os.Stdin, os.Stdout})
	if err := n.live(); err != nil {
		return complain(err)
	}
	return 0
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "node:", err)
	return 1
}

// live joins, works until it is told to stop, and reports all the while.
func (n *node) live() error {
	var reporting sync.WaitGroup
	quiet, hush := context.WithCancel(context.Background())
	reporting.Go(func() { n.reportLoop(quiet) })
	err := n.join()
	if n.cache != nil {
		n.work()
		err = n.close()
	}
	hush()
	reporting.Wait()
	return errors.Join(err, n.report())
}

// join enters the fleet and opens the cache, unless it is told to stop before. A Redis that refuses, because it is
// out of memory, say, is a fault like any other here.
func (n *node) join() (err error) {
	monitor := n.connect()
	for n.ctx.Err() == nil {
		n.fleet, err = coherence.Join(n.ctx, n.rdb, coherence.Config{
			Fleet: n.cfg.Fleet, MaxStale: bound, Probe: probe, Warm: n.cfg.Warm, Monitor: monitor, OnEvent: n.heard,
		})
		if err == nil {
			break
		}
		n.notes.count("joins refused")
		sleep(n.ctx, probe)
	}
	if n.fleet == nil {
		return n.rdb.Close()
	}
	cfg := tiered.Config[Value]{
		Name: cacheName, TTL: fresh, StaleTTL: stale, NotFoundTTL: notFound, FenceTTL: fence,
		LoadTimeout: loading, LeaseTTL: lease, WaitMax: waiting, SourceLimit: 32,
	}
	if n.cfg.Strong {
		cfg.Consistency, cfg.FenceTTL = tiered.Strong, tiered.DefaultStrongFenceTTL
	}
	n.cache, err = tiered.New(n.fleet, cfg)
	if err != nil {
		return err
	}
	n.notes.stateOf(n.fleet, func() int { return int(n.cache.Stats().LocalHits) })
	return nil
}

// connect opens the client, as the documentation asks for: on a Cluster the state is reloaded every second, and
// connections do not outlive a master that is demoted and promoted again.
func (n *node) connect() *coherence.Monitor {
	opts := &redis.UniversalOptions{
		Addrs: n.cfg.Redis.Addrs, MasterName: n.cfg.Redis.Master, IsClusterMode: n.cfg.Redis.Cluster, PoolSize: 64,
	}
	monitor := coherence.Instrument(opts)
	switch {
	case opts.IsClusterMode:
		cluster := opts.Cluster()
		cluster.ClusterStateReloadInterval = time.Second
		cluster.ConnMaxLifetime = connLife
		n.rdb = redis.NewClusterClient(cluster)
	default:
		n.rdb = redis.NewUniversalClient(opts)
	}
	return monitor
}

// connLife is shorter than the time between two failovers of one shard.
const connLife = time.Second

func (n *node) close() error {
	err := errors.Join(n.cache.Close(), n.cache.Close())
	if left := n.fleet.Close(); !errors.Is(left, coherence.ErrUnconfirmed) {
		err = errors.Join(err, left)
	}
	return errors.Join(err, n.rdb.Close())
}

func (n *node) heard(e coherence.Event) {
	n.notes.count("event: " + e.Kind.String())
	if e.Kind == coherence.EventInStep {
		n.notes.step()
	}
}

const reportEvery = 50 * time.Millisecond

// reportLoop tells the director what was seen. Without a director there is nothing to live for.
func (n *node) reportLoop(ctx context.Context) {
	for sleep(ctx, reportEvery) == nil {
		if n.report() != nil {
			os.Exit(3)
		}
	}
}

func (n *node) report() error {
	var order Order
	operations, floor := n.logs.take() // before the notes: writes that ended by then are in them
	r := n.notes.take()
	r.Operations, r.Floor = operations, floor
	err := n.director.Call("Source.Report", r, &order)
	n.behind.Store(order.Behind)
	if err == nil && order.Stop {
		n.stop()
	}
	return err
}

// ask calls the director's source. A caller that gives up leaves the call under way, as with any database.
func ask[R any](ctx context.Context, n *node, method string, args any) (R, error) {
	var reply R
	call := n.director.Go("Source."+method, args, &reply, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		return reply, call.Error
	case <-ctx.Done():
		var none R
		return none, ctx.Err()
	}
}

// pipes are both directions to the other process as one connection.
type pipes struct {
	io.Reader
	io.WriteCloser
}

// sleep returns the context's error if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
