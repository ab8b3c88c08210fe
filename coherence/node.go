package coherence

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/script"
)

// A Node is one process's membership of a fleet. Its methods are safe for
// concurrent use. The package documentation lists its goroutines.
type Node struct {
	// Read on every hit, written at most once a probe.
	lease   atomic.Int64 // Instant up to which the node has proved itself in step
	assured atomic.Int64 // the same, by probes that entered it in the registry
	base    time.Time

	gens    generations
	history history
	clock   redisClock
	monitor *Monitor
	inbox   inbox
	journal journal
	memory  memory
	members membership

	attest   attestation
	debts    debts
	audience audience

	cfg     Config
	name    string
	keys    busKeys
	clients clients
	data    *script.Runner
	control *script.Runner

	wakeup   chan struct{} // the prober probes at once
	stepped  signal        // fires whenever the lease is extended
	sub      subscription
	prober   prober
	recovery recovery // the prober's
	counts   counters

	spacesMu sync.Mutex
	spaces   map[string]*Space

	closing sync.Once
	closed  atomic.Bool
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	result  error
}

// busKeys are the names of a fleet's own keys and channels.
type busKeys struct {
	bus, nodes, channel, inboxes string
}

// own are the keys of the scripts that keep the bus and the list of members.
func (k busKeys) own() []string { return []string{k.bus, k.nodes} }

// nodeName is the length of a node's name: what a waiter leaves in a lease.
const nodeName = 8

// Join makes this process a node of cfg.Fleet. It validates cfg and the client,
// starts the node's goroutines, and waits for the first proof of being in step,
// but not longer than a few probes: with Redis unreachable the node is returned
// in state Joining and goes on trying, so that a service starts without Redis.
// Call Ready to insist.
//
// rdb is a standalone, Sentinel or Cluster client of go-redis. *redis.Ring,
// reads from replicas and client-side caching are refused. It stays the
// caller's: close it after the node.
func Join(ctx context.Context, rdb redis.UniversalClient, cfg Config) (*Node, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	n := newNode(cfg)
	if err := n.watch(); err != nil {
		return nil, err
	}
	_, clustered := rdb.(*redis.ClusterClient)
	n.monitor.cluster.Store(clustered)
	n.clients, err = open(rdb, cfg, n.watchControl)
	if err != nil {
		n.monitor.detach()
		return nil, err
	}
	n.data, n.control = script.NewRunner(n.clients.data), script.NewRunner(n.clients.control)
	if n.clients.copied {
		n.event(Event{Kind: EventConfig, Note: "the client has ContextTimeoutEnabled off and would ignore deadlines: " +
			"the node uses a copy of it (without its hooks) that obeys them; use coherence.Instrument"})
	}
	if err := n.start(ctx); err != nil {
		return nil, err
	}
	return n, nil
}

func newNode(cfg Config) *Node {
	name := rand.Text()
	n := &Node{
		cfg:    cfg,
		base:   time.Now(),
		name:   name[:nodeName],
		wakeup: make(chan struct{}, 1),
		spaces: make(map[string]*Space),
		keys: busKeys{
			bus:     "{" + cfg.Fleet + "}:bus",
			nodes:   "{" + cfg.Fleet + "}:nodes",
			channel: cfg.Fleet + ":bus",
			inboxes: cfg.Fleet + ":n:",
		},
	}
	n.lease.Store(-1)
	n.assured.Store(-1)
	n.attest.sighted = math.MinInt64
	n.debts.more = make(chan struct{}, 1)
	n.sub.confirmed.Store(math.MaxInt64)
	n.prober.wall = time.Now
	n.prober.repair = newRepair()
	n.journal.init(n)
	return n
}

// watch attaches the user's monitor, or one that sees only our own connections.
func (n *Node) watch() error {
	n.monitor = n.cfg.Monitor
	if n.monitor == nil {
		n.monitor = &Monitor{}
		n.event(Event{Kind: EventConfig, Note: "no Monitor: a restart of Redis on old data is noticed by the next probe " +
			"instead of the first reply; use coherence.Instrument"})
	}
	if err := n.monitor.attach(n); err != nil {
		return err
	}
	if err := n.monitor.blindness(); err != nil {
		n.event(blind(err))
	}
	return nil
}

// watchControl puts the node's own monitor on the control connections; a user's
// monitor is there already, by way of the client's options.
func (n *Node) watchControl(next onConnect, dial dialer) (onConnect, dialer) {
	if n.cfg.Monitor != nil {
		return next, dial
	}
	if dial != nil {
		dial = n.monitor.conns.watch(dial, &n.monitor.met)
	}
	return n.monitor.chain(next), dial
}

func (n *Node) start(joining context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.ended.Go(func() { n.probeLoop(ctx) })
	n.ended.Go(func() { n.receiveLoop(ctx) })
	n.ended.Go(func() { n.journal.loop(ctx) })
	n.ended.Go(func() { n.confirmLoop(ctx) })

	first, stop := context.WithTimeout(joining, 4*n.cfg.Timeout)
	defer stop()
	err := n.Ready(first)
	if err == nil {
		n.hearing(first)
	}
	if err != nil && joining.Err() == nil {
		// Redis that refuses is a mistake in the configuration; Redis that
		// does not answer is weather.
		err = n.prober.refusal()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("coherence.Join %q: %w", n.cfg.Fleet, err), n.Close())
	}
	if n.cfg.Monitor != nil && n.State() == InStep && n.monitor.met.Load() == 0 && n.monitor.blindness() == nil {
		n.event(Event{Kind: EventConfig, Note: "the Monitor has seen no connection: was the client made from the instrumented options?"})
	}
	return nil
}

// Name is the node's name in the fleet: 8 characters, unique.
func (n *Node) Name() string { return n.name }

// Redis is the client to use for data that shares this node's guarantees. It
// obeys deadlines.
func (n *Node) Redis() redis.UniversalClient { return n.clients.data }

// Scripts runs scripts on Redis. It is of use to packages of this module only.
func (n *Node) Scripts() *script.Runner { return n.data }

// Config returns the node's configuration with all defaults filled in.
func (n *Node) Config() Config { return n.cfg }

// Close leaves the fleet: it tries failed invalidations once more, ends the
// node's goroutines and waits for them. It returns an error that counts the
// invalidations that could not be confirmed, if any. It may be called more than
// once and returns the same each time.
func (n *Node) Close() error {
	n.closing.Do(func() {
		unconfirmed := n.journal.close()
		spaces := n.shut()
		n.stepped.fire()
		n.cancel()
		for _, s := range spaces {
			s.errands.Close()
		}
		n.ended.Wait()
		n.dropLease()
		n.unlist(context.Background())
		n.leave()
		n.monitor.detach()
		n.result = errors.Join(unconfirmed, n.clients.close())
	})
	return n.result
}

// shut lets nobody open spaces any more, and returns those that are open.
func (n *Node) shut() []*Space {
	n.spacesMu.Lock()
	defer n.spacesMu.Unlock()
	n.closed.Store(true)
	return slices.Collect(maps.Values(n.spaces))
}

// wake makes the prober probe at once.
func (n *Node) wake() {
	select {
	case n.wakeup <- struct{}{}:
	default:
	}
}

// Check asks the prober to compare notes with Redis at once: for a caller that
// has seen a sign of change, such as a value of a newer epoch.
func (n *Node) Check() { n.wake() }

// Report passes on an event of a package that is built on the node.
func (n *Node) Report(e Event) { n.event(e) }

func (n *Node) event(e Event) {
	if n.cfg.OnEvent == nil {
		logEvent(e)
		return
	}
	// A panic of the application's would take down the prober, and the process with it.
	defer func() {
		if p := recover(); p != nil {
			n.counts.panics.Add(1)
			logEvent(e)
			logEvent(Event{Kind: EventPanic, Note: "Config.OnEvent panicked", Err: fmt.Errorf("panic of type %T", p)})
		}
	}()
	n.cfg.OnEvent(e)
}

// bounded returns a context for one round trip to Redis.
func (n *Node) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, n.cfg.Timeout)
}
