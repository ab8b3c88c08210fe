package coherence

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Monitor watches every connection of a client for the Redis process behind
// it. A process is known by its run_id and its master_replid: the first changes
// with every start, the second with every promotion, so that neither a restart
// nor a failover nor a fail-back goes unseen. What an unknown process says is
// not believed until the node has entered it into the fleet's records.
//
// It belongs to one client and serves one node at a time.
type Monitor struct {
	met     atomic.Uint64 // unknown processes met so far
	handled atomic.Uint64 // of these, entered into the fleet's records

	conns    connections
	cluster  atomic.Bool             // its client is one of a Cluster
	regained atomic.Bool             // INFO could be read again since the prober asked
	settings *redis.UniversalOptions // that were instrumented; nil: of a node's own connections

	mu      sync.Mutex
	seen    map[string]bool
	last    string // the process that was met last
	pending []string
	blind   error // why the identity could not be read, if so
	node    *Node // served now
}

// Instrument makes opts fit for a cache and returns the monitor that goes into
// Config: call it before redis.NewUniversalClient.
//
// It chains OnConnect and Dialer, sets ContextTimeoutEnabled, and fills in timeouts that
// are zero: DialTimeout 500 ms, ReadTimeout and WriteTimeout 250 ms,
// DialerRetries 1, MaxRetries 1. Set them first where others are wanted.
func Instrument(opts *redis.UniversalOptions) *Monitor {
	m := &Monitor{settings: opts}
	opts.OnConnect = m.chain(opts.OnConnect)
	dial := opts.Dialer
	opts.Dialer = m.conns.watch(func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dial != nil {
			return dial(ctx, network, addr)
		}
		return redis.NewDialer(opts.Simple())(ctx, network, addr) // what the client would have by itself, TLS included
	}, &m.met)
	opts.ContextTimeoutEnabled = true
	for _, d := range []struct {
		timeout *time.Duration
		def     time.Duration
	}{
		{&opts.DialTimeout, 500 * time.Millisecond},
		{&opts.ReadTimeout, 250 * time.Millisecond},
		{&opts.WriteTimeout, 250 * time.Millisecond},
	} {
		if *d.timeout == 0 {
			*d.timeout = d.def
		}
	}
	if opts.DialerRetries == 0 {
		opts.DialerRetries = 1
	}
	if opts.MaxRetries == 0 {
		opts.MaxRetries = 1
	}
	return m
}

type onConnect func(context.Context, *redis.Conn) error

func (m *Monitor) chain(next onConnect) onConnect {
	return func(ctx context.Context, cn *redis.Conn) error {
		if err := m.inspect(ctx, cn); err != nil || next == nil {
			return err
		}
		return next(ctx, cn)
	}
}

// inspect runs on every new connection before its first command.
func (m *Monitor) inspect(ctx context.Context, cn *redis.Conn) error {
	mark := newMark()
	pipe := cn.Pipeline()
	ping := pipe.Do(ctx, "ping", mark) // refused or not, it was sent
	server, replication := pipe.Info(ctx, "server"), pipe.Info(ctx, "replication")
	_, err := pipe.Exec(ctx)
	err = unless(err, ping, server, replication)
	self := m.conns.take(mark)
	var refused redis.Error
	if errors.As(err, &refused) && !isPassing(err) {
		if !m.isSentinel(ctx, cn, self) {
			m.unreadable(refused)
		}
		return nil
	}
	if err != nil {
		return err
	}
	process, role := identify(server.Val() + "\r\n" + replication.Val())
	if role == "sentinel" {
		return nil // it holds no data: a failover client asks it where the master is
	}
	if role != "" && role != "master" {
		return fmt.Errorf("%w: its role is %q", ErrReplica, role)
	}
	if process == "" {
		m.unreadable(errors.New("INFO names no run_id"))
		return nil
	}
	return m.meet(process, self)
}

// isSentinel reports whether a connection leads to a Sentinel, whose refusal of INFO says
// nothing of the master: by the mode that HELLO names, or where that is refused by its address.
func (m *Monitor) isSentinel(ctx context.Context, cn *redis.Conn, self *connection) bool {
	if m.settings == nil || m.settings.MasterName == "" {
		return false
	}
	hello := cn.Do(ctx, "hello")
	if fields, err := hello.Slice(); err == nil {
		for pair := range slices.Chunk(fields, 2) {
			if pair[0] == "mode" && len(pair) == 2 {
				return pair[1] == "sentinel"
			}
		}
	}
	if fields, ok := hello.Val().(map[any]any); ok {
		return fields["mode"] == "sentinel"
	}
	return self != nil && slices.Contains(m.settings.Addrs, self.RemoteAddr().String())
}

// identify reads the process identity and the role out of INFO's text. A
// sentinel tells no role; its mode stands for it.
func identify(info string) (process, role string) {
	field := func(name string) string {
		_, rest, _ := strings.Cut("\n"+info, "\n"+name+":")
		value, _, _ := strings.Cut(rest, "\n")
		return strings.TrimSpace(value)
	}
	if runID := field("run_id"); runID != "" {
		process = runID + ":" + field("master_replid")
	}
	for _, mode := range []string{field("redis_mode"), field("server_mode")} { // of Redis, of Valkey
		if mode == "sentinel" {
			return "", mode
		}
	}
	return process, field("role")
}

// errOld: a connection leads to a process whose place another one has taken since it was
// dialled.
var errOld = errors.New("coherence: another Redis process took over while this connection was made")

// meet notes the process to which a new connection leads. If it is unknown, all connections
// that were there before are closed before it can be entered: they may lead to the process
// that it has replaced, which may live on as a replica of it. On a Cluster, where there are
// many processes, the servers see to that themselves (MOVED).
//
// The first connection whose INFO can be read again after one was refused does the same, and
// counts as one to an unknown process: nobody has seen what took over meanwhile. On a Cluster
// one server says nothing of the others, each of which has an ACL of its own: see sight.
func (m *Monitor) meet(process string, self *connection) error {
	return m.enroll(process, self, !m.cluster.Load())
}

// sight notes that every server of the client can be told which process it is again; the
// given one is among them.
func (m *Monitor) sight(process string) { _ = m.enroll(process, nil, true) }

// enroll is meet; forAll says whether the connection shows what all others would.
func (m *Monitor) enroll(process string, self *connection, forAll bool) error {
	m.mu.Lock()
	regained := m.blind != nil && forAll
	if m.seen[process] && !regained {
		defer m.mu.Unlock()
		if self != nil && self.met != m.met.Load() && process != m.last && !m.cluster.Load() {
			return errOld
		}
		return nil
	}
	if m.seen == nil {
		m.seen = make(map[string]bool)
	}
	others := len(m.seen) > 0 && !m.cluster.Load()
	m.seen[process], m.last = true, process
	if !slices.Contains(m.pending, process) {
		m.pending = append(m.pending, process)
		m.met.Add(1)
	}
	if others || regained {
		m.conns.end(self)
	}
	if regained {
		m.blind = nil
		m.regained.Store(true)
	}
	node := m.node
	m.mu.Unlock()
	if node != nil {
		node.wake()
		if regained {
			node.event(Event{Kind: EventConfig, Note: "INFO can be read again; what was seen while it was refused counts as a possible loss"})
		}
	}
	return nil
}

// unreadable notes that a connection cannot be told which process it leads to.
func (m *Monitor) unreadable(err error) {
	m.mu.Lock()
	news := m.blind == nil
	m.blind = err
	node := m.node
	m.mu.Unlock()
	if news && node != nil {
		node.event(blind(err))
	}
}

func blind(err error) Event {
	return Event{Kind: EventConfig, Note: "INFO is refused: a restart of Redis on old data is noticed late, and Strong caches refuse writes; allow +info", Err: err}
}

// attach begins to serve a node. What earlier nodes knew counts as unknown: the
// new one has entered nothing.
func (m *Monitor) attach(n *Node) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.node != nil {
		return errors.New("coherence.Config.Monitor: serves another node already; instrument one client per node")
	}
	m.node = n
	m.pending = m.pending[:0]
	for process := range m.seen {
		m.pending = append(m.pending, process)
	}
	m.handled.Store(m.met.Load() - uint64(len(m.pending)))
	return nil
}

func (m *Monitor) detach() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.node = nil
}

// unhandled returns the processes that were met and not entered yet.
func (m *Monitor) unhandled() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.pending...)
}

// known returns the processes that were met and entered.
func (m *Monitor) known() (processes []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for process := range m.seen {
		if !slices.Contains(m.pending, process) {
			processes = append(processes, process)
		}
	}
	return processes
}

// enter marks the first pending process as handled.
func (m *Monitor) enter() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending = m.pending[1:]
	m.handled.Add(1)
}

// view says how many processes were met, and whether all of them are handled.
func (m *Monitor) view() (met uint64, ok bool) {
	// handled first: a process met in between makes the two differ.
	handled := m.handled.Load()
	met = m.met.Load()
	return met, met == handled
}

// sees reports whether the monitor can tell Redis processes apart: it is on the
// client's connections, and INFO is allowed.
func (m *Monitor) sees() bool { return m.met.Load() > 0 && m.blindness() == nil }

func (m *Monitor) blindness() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.blind
}
