package coherence

import (
	"bytes"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/tiercache/tiercache/internal/token"
)

// connections are those that a Monitor has dialled for its client and that are open. It
// ends them when they may lead to a Redis process that was replaced: a master that is
// demoted by hand keeps its connections, and answers them.
type connections struct {
	mu     sync.Mutex
	open   map[*connection]bool
	marked map[string]*connection // by the mark that each has sent, until it is taken
}

// connection is one of them. The mark tells OnConnect, which is given no net.Conn, which
// one it is about: it sends a mark of its own, and the connection that carries it is the
// one.
type connection struct {
	net.Conn
	owner  *connections
	met    uint64       // processes that the monitor had met when it was dialled
	writes atomic.Int32 // that were looked at
	ended  atomic.Bool  // by the monitor
}

// A mark goes to Redis as the argument of PING.
const (
	markPrefix = "tiercache-"
	markLength = len(markPrefix) + 32
	markWithin = 16 // writes of a new connection, of which HELLO, AUTH and SELECT are some
)

func newMark() string { return markPrefix + token.New().Hex() }

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// watch wraps a dialer. met counts the processes that were met so far.
func (cs *connections) watch(dial dialer, met *atomic.Uint64) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		before := met.Load() // first: what is met while it dials makes it an old one
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := &connection{Conn: conn, owner: cs, met: before}
		cs.mu.Lock()
		defer cs.mu.Unlock()
		if cs.open == nil {
			cs.open, cs.marked = make(map[*connection]bool), make(map[string]*connection)
		}
		cs.open[c] = true
		return c, nil
	}
}

// SyscallConn is what go-redis looks at before it uses an idle connection again: it drops
// one that was ended here without a caller's noticing.
func (c *connection) SyscallConn() (syscall.RawConn, error) {
	if c.ended.Load() {
		return nil, net.ErrClosed
	}
	if socket, ok := c.Conn.(syscall.Conn); ok {
		return socket.SyscallConn()
	}
	return unchecked{}, nil // TLS, or no socket: there is nothing to look at
}

// unchecked is a connection of which nothing can be seen from outside.
type unchecked struct{}

func (unchecked) Control(func(fd uintptr)) error    { return nil }
func (unchecked) Read(func(fd uintptr) bool) error  { return nil }
func (unchecked) Write(func(fd uintptr) bool) error { return nil }

func (c *connection) Write(b []byte) (int, error) {
	if c.writes.Load() < markWithin {
		c.writes.Add(1)
		if at := bytes.Index(b, []byte(markPrefix)); at >= 0 && len(b) >= at+markLength {
			c.writes.Store(markWithin)
			c.owner.note(string(b[at:at+markLength]), c)
		}
	}
	return c.Conn.Write(b)
}

func (c *connection) Close() error {
	c.owner.forget(c)
	return c.Conn.Close()
}

func (cs *connections) note(mark string, c *connection) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.open[c] {
		cs.marked[mark] = c
	}
}

func (cs *connections) forget(c *connection) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.open, c)
}

// take returns the connection that has carried a mark; nil if none of these has.
func (cs *connections) take(mark string) *connection {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.marked[mark]
	delete(cs.marked, mark)
	return c
}

// end closes all but one; nil: all. Whatever is under way on them fails.
func (cs *connections) end(but *connection) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.open {
		if c != but {
			delete(cs.open, c)
			c.ended.Store(true)
			_ = c.Conn.Close() // its user is told by the next read or write
		}
	}
}
