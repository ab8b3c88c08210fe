package redistest

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Link is one client's way to an embedded server, over memory, with the faults of a network. Give each
// simulated node a link of its own. The faults have the names and meanings they have at Proxy. A link owns no
// goroutine and needs no Close. All methods are safe for concurrent use.
type Link struct {
	mu     sync.Mutex
	server *Embedded
	fault  fault
	wires  map[*wire]struct{}
}

// fault is what a link or a proxy does to its connections. The zero value is a healthy network.
type fault struct {
	cut      bool          // no connection
	requests bool          // requests vanish
	replies  bool          // replies vanish
	delay    time.Duration // of replies
}

func (f fault) hidesRequests() bool { return f.requests }
func (f fault) hidesReplies() bool  { return f.replies }

// Link returns a new link to e, healthy.
func (e *Embedded) Link() *Link {
	l := &Link{server: e, wires: map[*wire]struct{}{}}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.links = append(e.links, l)
	return l
}

// Cut resets all connections and refuses new ones until Heal.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault.cut = true
	l.resetAll()
}

// Hole lets all bytes vanish, both ways, until Heal. New connections are accepted. Nobody sees an error
// or an end of file, only silence.
func (l *Link) Hole() { l.swallow(true) }

// HoleReplies lets requests pass and replies vanish, until Heal.
func (l *Link) HoleReplies() { l.swallow(false) }

// Delay holds each reply back for d, in order, until Heal or the next Delay. What is under way keeps
// the delay it had.
func (l *Link) Delay(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault.delay = d
}

// Heal ends every fault. A connection that lost bytes is reset, because a stream with a gap must not go on.
func (l *Link) Heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = fault{}
	for w := range l.wires {
		if w.lost {
			l.reset(w)
		}
	}
}

// Reset closes the current connections once, as a restarted firewall does.
func (l *Link) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resetAll()
}

// Lead closes the current connections once and leads new ones to another server, as the
// name of a master does that was moved. The former server lives.
func (l *Link) Lead(e *Embedded) {
	e.mu.Lock()
	e.links = append(e.links, l)
	e.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server = e
	l.resetAll()
}

// Dialer returns a dial function fit for redis.Options.Dialer. It ignores the address it is asked for.
func (l *Link) Dialer() func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) }
}

// Options returns client options that work in a synctest bubble: the dialer of the link, an IP literal
// as address, a pool larger than usual numbers of goroutines, contexts obeyed, no maintenance notifications, and one
// attempt a dial: go-redis retries a dial in a goroutine that outlives Client.Close, and with it the bubble.
func (l *Link) Options() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs:                 []string{l.leads().Addr()},
		Dialer:                l.Dialer(),
		PoolSize:              64,
		DialerRetries:         1,
		ContextTimeoutEnabled: true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
}

func (l *Link) dial(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e := l.leads()
	w, ok := l.connect()
	if !ok {
		return nil, l.refuse()
	}
	if !e.serve(&memConn{wire: w, in: w.requests, out: w.replies}) {
		l.mu.Lock()
		l.reset(w)
		l.mu.Unlock()
		return nil, l.refuse()
	}
	return &memConn{wire: w, in: w.replies, out: w.requests}, nil
}

func (l *Link) leads() *Embedded {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.server
}

func (l *Link) connect() (*wire, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault.cut {
		return nil, false
	}
	w := &wire{link: l, requests: newStream(), replies: newStream()}
	l.wires[w] = struct{}{}
	return w, true
}

func (l *Link) refuse() error {
	l.leads().refused.Store(true)
	return &net.OpError{Op: "dial", Net: "memory", Addr: memAddr{}, Err: syscall.ECONNREFUSED}
}

func (l *Link) swallow(requests bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault.requests, l.fault.replies = requests, true
	for w := range l.wires {
		if w.replies.dropUnderWay() {
			w.lost = true
		}
	}
}

func (l *Link) resetAll() {
	for w := range l.wires {
		l.reset(w)
	}
}

func (l *Link) reset(w *wire) {
	delete(l.wires, w)
	w.requests.abort(syscall.ECONNRESET)
	w.replies.abort(syscall.ECONNRESET)
}
