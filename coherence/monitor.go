package coherence

import (
	"context"
	"errors"
	"fmt"
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

	mu      sync.Mutex
	seen    map[string]bool
	pending []string
	blind   error // why the identity could not be read, if so
	node    *Node // served now
}

// Instrument makes opts fit for a cache and returns the monitor that goes into
// Config: call it before redis.NewUniversalClient.
//
// It chains OnConnect, sets ContextTimeoutEnabled, and fills in timeouts that
// are zero: DialTimeout 500 ms, ReadTimeout and WriteTimeout 250 ms,
// DialerRetries 1, MaxRetries 1. Set them first where others are wanted.
func Instrument(opts *redis.UniversalOptions) *Monitor {
	m := &Monitor{}
	opts.OnConnect = m.chain(opts.OnConnect)
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
	pipe := cn.Pipeline()
	server, replication := pipe.Info(ctx, "server"), pipe.Info(ctx, "replication")
	_, err := pipe.Exec(ctx)
	var refused redis.Error
	if errors.As(err, &refused) && !isPassing(err) {
		m.unreadable(refused)
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
	m.meet(process)
	return nil
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
	if mode := field("redis_mode"); mode == "sentinel" {
		return "", mode
	}
	return process, field("role")
}

func (m *Monitor) meet(process string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen[process] {
		return
	}
	if m.seen == nil {
		m.seen = make(map[string]bool)
	}
	m.seen[process] = true
	m.pending = append(m.pending, process)
	m.met.Add(1)
	if m.node != nil {
		m.node.wake()
	}
}

func (m *Monitor) unreadable(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blind = err
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
