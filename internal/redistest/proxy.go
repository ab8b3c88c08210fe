package redistest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// Proxy is a TCP proxy on 127.0.0.1 with the faults of a network. Its faults have the names and meanings they have
// at Link. It owns its goroutines: one accepts, and three serve each connection; Close ends and joins them all.
// All methods are safe for concurrent use.
type Proxy struct {
	ln      net.Listener
	running sync.WaitGroup

	mu     sync.Mutex
	target string
	fault  fault
	conns  map[*proxied]struct{}
	closed bool
}

// NewProxy starts a proxy in front of the target, a host:port that need not listen yet.
func NewProxy(target string) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("redistest: proxy: %w", err)
	}
	p := &Proxy{ln: ln, target: target, conns: map[*proxied]struct{}{}}
	p.running.Go(p.accept)
	return p, nil
}

// Addr returns the host:port clients are to use.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// SetTarget sends new connections to addr. Current ones stay where they are; Reset moves them.
func (p *Proxy) SetTarget(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = addr
}

// Cut resets all connections and refuses new ones until Heal. Refused means reset right after the accept: the
// port stays taken, so that no other process can get it.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault.cut = true
	p.resetAll()
}

// Hole lets all bytes vanish, both ways, until Heal. New connections are accepted. Nobody sees an error
// or an end of file, only silence.
func (p *Proxy) Hole() { p.swallow(true) }

// HoleReplies lets requests pass and replies vanish, until Heal.
func (p *Proxy) HoleReplies() { p.swallow(false) }

// Delay holds each reply back for d, in order, until Heal or the next Delay. What is under way keeps
// the delay it had. A long delay is also a slow reader: at most 128 reads are under way on one connection.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault.delay = d
}

// Heal ends every fault. A connection that lost bytes is reset, because a stream with a gap must not go on.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault{}
	for c := range p.conns {
		if c.lost {
			p.reset(c)
		}
	}
}

// Reset closes the current connections once, as a restarted firewall does.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resetAll()
}

// Close resets all connections, ends the proxy and waits for its goroutines. Further calls do nothing.
func (p *Proxy) Close() error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	p.resetAll()
	p.mu.Unlock()
	var err error
	if first {
		err = p.ln.Close()
	}
	p.running.Wait()
	return err
}

func (p *Proxy) swallow(requests bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault.requests, p.fault.replies = requests, true
}

func (p *Proxy) resetAll() {
	for c := range p.conns {
		p.reset(c)
	}
}

// reset ends a connection; its goroutines notice and end.
func (p *Proxy) reset(c *proxied) {
	delete(p.conns, c)
	c.cancel()
	abort(c.client)
	if c.server != nil {
		abort(c.server)
	}
}

func (p *Proxy) accept() {
	for {
		conn, err := p.ln.Accept()
		if err != nil {
			return
		}
		if c := p.admit(conn); c != nil {
			p.running.Go(c.serve)
		} else {
			abort(conn)
		}
	}
}

// admit registers a connection; nil if it is to be refused.
func (p *Proxy) admit(conn net.Conn) *proxied {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.fault.cut {
		return nil
	}
	c := &proxied{proxy: p, client: conn, target: p.target}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	p.conns[c] = struct{}{}
	return c
}

// abort closes with a reset instead of an orderly end, and drops what was not sent yet.
func abort(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}
