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
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/tiered"
)

// nodeEnv marks a process as a node; its value is the nodeConfig.
const nodeEnv = "TIERCACHE_MULTINODE"

// What the demo promises is made of these.
const (
	bound       = time.Second            // D: the longest a value is served after a newer Update returned
	probe       = 100 * time.Millisecond // H
	fence       = 3 * time.Second        // longest a dead writer holds a key back
	sourceLimit = 16                     // loads a node runs at one time
)

// nodeConfig is what a node must know to begin.
type nodeConfig struct {
	Name, Redis, Database, Fleet string
}

// node is one process of the shop.
type node struct {
	name        string
	ctx         context.Context // ends with the process's input
	shop        *shop
	source      *source
	rdb         []*redis.Client
	fleet       *coherence.Node
	textbook    *textbook
	prices      *tiered.Cache[Product]
	rankings    *tiered.Cache[Ranking]
	permissions *tiered.Cache[Permission]

	held    chan Change   // a writer stopped after its commit
	release chan struct{} // and goes on

	mu     sync.Mutex
	reads  *readLoad
	orders *orderLoad
	checks *checkLoad
	gone   []string // what was told of nodes that did not confirm a write
	weak   uint64   // loads without Redis at the last reset
}

// nodeMain is a node's whole life: it serves the director until its input ends.
func nodeMain(raw string) int {
	signal.Ignore(os.Interrupt) // Ctrl-C reaches the whole group; the director ends us
	redis.SetLogger(quiet{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var cfg nodeConfig
	if err := json.Unmarshal([]byte(raw), &cfg); err != nil {
		return fail("reading the configuration", err)
	}
	n, err := openNode(ctx, cfg)
	if err != nil {
		return fail("starting", err)
	}
	server := rpc.NewServer()
	if err := server.RegisterName("Node", &Service{n}); err != nil {
		return fail("registering", err)
	}
	server.ServeConn(&stdio{ended: cancel})
	if err := n.close(); err != nil {
		return fail("closing", err)
	}
	return 0
}

func fail(doing string, err error) int {
	fmt.Fprintf(os.Stderr, "node: %s: %v\n", doing, err)
	return 1
}

func openNode(ctx context.Context, cfg nodeConfig) (n *node, err error) {
	n = &node{name: cfg.Name, ctx: ctx, held: make(chan Change, 1), release: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if n.shop, err = openShop(cfg.Database); err != nil {
		return n, err
	}
	n.source = &source{shop: n.shop}
	n.textbook = newTextbook(n.connect(cfg, nil), n.source, cfg.Fleet+textbookSuffix)
	go n.textbook.listen(ctx)
	return n, n.join(cfg)
}

// join enters the fleet and opens the caches.
func (n *node) join(cfg nodeConfig) (err error) {
	var monitor *coherence.Monitor
	rdb := n.connect(cfg, &monitor)
	n.fleet, err = coherence.Join(n.ctx, rdb, coherence.Config{
		Fleet: cfg.Fleet, MaxStale: bound, Probe: probe, Monitor: monitor,
		OnEvent: n.hear,
	})
	if err != nil {
		return err
	}
	n.prices, err = tiered.New(n.fleet, tiered.Config[Product]{
		Name: "product", TTL: 5 * time.Minute, FenceTTL: fence, SourceLimit: sourceLimit,
	})
	if err != nil {
		return err
	}
	n.rankings, err = tiered.New(n.fleet, tiered.Config[Ranking]{
		Name: "ranking", TTL: rankingTTL, StaleTTL: time.Minute, Jitter: -1, FenceTTL: fence,
	})
	if err != nil {
		return err
	}
	n.permissions, err = tiered.New(n.fleet, tiered.Config[Permission]{
		Name: "permission", TTL: 5 * time.Minute, SourceLimit: sourceLimit, Consistency: tiered.Strong, FenceTTL: fence,
	})
	return err
}

// hear keeps what is told of silent nodes. Other faults are expected here, and the
// director knows them.
func (n *node) hear(e coherence.Event) {
	if e.Kind == coherence.EventGone {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.gone = append(n.gone, e.Note)
	}
}

// connect opens a client of Redis. Both kinds of cache get the same options.
func (n *node) connect(cfg nodeConfig, monitor **coherence.Monitor) *redis.Client {
	opts := &redis.UniversalOptions{Addrs: []string{cfg.Redis}, PoolSize: 32, MaxRetries: 1, DialerRetries: 1}
	m := coherence.Instrument(opts)
	if monitor != nil {
		*monitor = m
	}
	rdb := redis.NewClient(opts.Simple())
	n.rdb = append(n.rdb, rdb)
	return rdb
}

// close ends what the node began, in the opposite order.
func (n *node) close() error {
	var errs []error
	if n.prices != nil {
		errs = append(errs, n.prices.Close())
	}
	if n.rankings != nil {
		errs = append(errs, n.rankings.Close())
	}
	if n.permissions != nil {
		errs = append(errs, n.permissions.Close())
	}
	if n.fleet != nil {
		errs = append(errs, n.fleet.Close())
	}
	for _, rdb := range n.rdb {
		errs = append(errs, rdb.Close())
	}
	if n.shop != nil {
		errs = append(errs, n.shop.close())
	}
	return errors.Join(errs...)
}

// stdio is the connection to the director. When the director is gone, all that
// the node is doing is cancelled, and what does not end soon is ended.
type stdio struct {
	ended func()
	once  sync.Once
}

func (s *stdio) Read(p []byte) (int, error) {
	n, err := os.Stdin.Read(p)
	if err != nil {
		s.once.Do(func() {
			s.ended()
			time.AfterFunc(stopLimit/2, func() { os.Exit(3) })
		})
	}
	return n, err
}

func (s *stdio) Write(p []byte) (int, error) { return os.Stdout.Write(p) }

func (s *stdio) Close() error { return os.Stdin.Close() }

var _ io.ReadWriteCloser = (*stdio)(nil)

// quiet keeps go-redis from logging the faults the demo makes.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
