package redistest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/proto"
	"github.com/alicebob/miniredis/v2/server"
)

// Embedded is an in-process Redis: miniredis whose TTLs follow the clock, with the identity a real
// process shows (INFO, ROLE) and with the ends a real process can come to (Crash, Restart,
// RestartEmpty, Restore). The data commands of miniredis (Set, Get, Keys, FlushAll ...) are promoted.
//
// All methods are safe for concurrent use. Every method that starts or stops the server has returned
// only when the connections and goroutines of the former server are gone.
type Embedded struct {
	*miniredis.Miniredis

	addr    string // the same for life, across restarts
	listens bool   // on TCP; else only Dialer and Link reach the server
	faked   faked

	life    sync.Mutex // held for the whole of a start or stop
	closed  bool
	accepts sync.WaitGroup

	mu    sync.Mutex // held for moments only: a dial never waits for a stop
	srv   *server.Server
	ln    net.Listener
	links []*Link

	refused atomic.Bool // whether a dial over memory ever was
}

// pipeAddr is the address of a server that does not listen. It is an IP literal so that no client
// looks a name up, which would leave a synctest bubble.
const pipeAddr = "127.0.0.1:6379"

var errClosed = errors.New("redistest: server is closed")

// StartEmbedded starts an embedded server that listens on a free port of 127.0.0.1. It can be reached
// over TCP and by Dialer and Link. End it with Close.
func StartEmbedded() (*Embedded, error) {
	e := newEmbedded()
	if err := e.reserve(); err != nil {
		return nil, fmt.Errorf("redistest: start embedded server: %w", err)
	}
	return e, e.Restart()
}

// reserve finds the address. miniredis listens on it once, because its CLUSTER replies name the port it
// listened on. From then on the listener is ours, so that nobody is let in before data and
// identity are in place.
func (e *Embedded) reserve() (err error) {
	for range 5 { // another process may take a free port first
		var port int
		if port, err = freePort(); err != nil {
			return err
		}
		e.addr, e.listens = net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), true
		if err = e.StartAddr(e.addr); err == nil {
			e.Miniredis.Close()
			return nil
		}
	}
	return err
}

// StartPipe starts an embedded server that never opens a socket: only Dialer and Link reach it, over
// memory. That makes it fit for a testing/synctest bubble, in which a goroutine parked on a real
// socket would stop the clock. It must be started and closed in the same bubble.
func StartPipe() (*Embedded, error) {
	e := newEmbedded()
	e.addr = pipeAddr
	return e, e.Restart()
}

// RunEmbedded is StartEmbedded for the length of a test.
func RunEmbedded(t testing.TB) *Embedded { return runEmbedded(t, StartEmbedded) }

// RunPipe is StartPipe for the length of a test, or of the synctest bubble whose t it is given. Call it
// before clients are made, so that they are closed first. If dials were refused, its cleanup waits for
// the goroutines in which go-redis dials again: they outlive Client.Close by up to a second and
// would break the end of a bubble.
func RunPipe(t testing.TB) *Embedded {
	t.Helper()
	var e *Embedded
	t.Cleanup(func() {
		if e != nil && e.refused.Load() {
			time.Sleep(redialPause)
		}
	})
	e = runEmbedded(t, StartPipe)
	return e
}

// redialPause is longer than the second go-redis sleeps between the dials of a pool that failed often.
const redialPause = 1100 * time.Millisecond

func runEmbedded(t testing.TB, start func() (*Embedded, error)) *Embedded {
	t.Helper()
	e, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func newEmbedded() *Embedded {
	e := &Embedded{Miniredis: miniredis.NewMiniRedis()}
	e.ClockTTL(true)
	return e
}

// Addr returns host:port. It stays the same over restarts. A server of StartPipe returns an IP literal
// nobody listens on.
func (e *Embedded) Addr() string { return e.addr }

// Host returns the host of Addr.
func (e *Embedded) Host() string { host, _, _ := net.SplitHostPort(e.addr); return host }

// Port returns the port of Addr.
func (e *Embedded) Port() string { _, port, _ := net.SplitHostPort(e.addr); return port }

// Crash closes the listener and all connections, as kill -9 does. The data stay, for Restart. A crashed
// server refuses dials. Crash waits for the command handlers that run, so a hook given to Intercept
// must not wait for whoever calls Crash.
func (e *Embedded) Crash() {
	e.life.Lock()
	defer e.life.Unlock()
	e.stop()
}

// Restart crashes the server and starts it on the data it had, as a Redis with a perfect append-only
// file does: new identity, no scripts.
func (e *Embedded) Restart() error { return e.restart(func() {}) }

// RestartEmpty crashes the server and starts it without data, as a Redis without persistence does.
func (e *Embedded) RestartEmpty() error { return e.restart(e.FlushAll) }

// Close ends the server and resets the connections of its links, those in a hole too, so that nobody
// waits on them any more. Further calls do nothing.
func (e *Embedded) Close() {
	e.life.Lock()
	defer e.life.Unlock()
	e.closed = true
	e.stop()
	e.mu.Lock()
	links := e.links
	e.links = nil
	e.mu.Unlock()
	for _, l := range links {
		l.Reset()
	}
}

// restart is the life of a process: the old one dies, and the new one accepts nobody before load ran.
func (e *Embedded) restart(load func()) error {
	e.life.Lock()
	defer e.life.Unlock()
	if e.closed {
		return errClosed
	}
	e.stop()
	e.NewProcess()
	srv, err := e.boot()
	if err != nil {
		return fmt.Errorf("redistest: start embedded server: %w", err)
	}
	mustDispatch(srv, "SCRIPT", "FLUSH")
	load()
	if err := e.open(srv); err != nil {
		e.Miniredis.Close()
		return fmt.Errorf("redistest: listen again: %w", err)
	}
	return nil
}

// boot starts miniredis without a listener; the connection it is asked for is only the way to say so.
func (e *Embedded) boot() (*server.Server, error) {
	e.Ctx, e.CtxCancel = context.WithCancel(context.Background()) // Close of miniredis cancelled the last
	conn, err := e.Miniredis.Dial()
	if err != nil {
		return nil, err
	}
	srv := e.Miniredis.Server()
	srv.SetPreHook(e.hook)
	return srv, conn.Close()
}

func (e *Embedded) open(srv *server.Server) error {
	var ln net.Listener
	if e.listens {
		var err error
		if ln, err = net.Listen("tcp", e.addr); err != nil {
			return err
		}
		e.accepts.Go(func() { e.accept(ln) })
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.srv, e.ln = srv, ln
	return nil
}

func (e *Embedded) stop() {
	e.mu.Lock()
	ln := e.ln
	e.srv, e.ln = nil, nil
	e.mu.Unlock()
	if ln != nil {
		ln.Close()
	}
	e.accepts.Wait()
	e.Miniredis.Close()
}

func (e *Embedded) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		if !e.serve(conn) {
			conn.Close()
		}
	}
}

// serve hands conn to the running server, which then owns it; false if there is none.
func (e *Embedded) serve(conn net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.srv == nil {
		return false
	}
	e.srv.ServeConn(conn)
	return true
}

// Dialer returns a dial function over memory, fit for redis.Options.Dialer. It ignores the address it
// is asked for. Its connections have no faults of their own; Link has.
func (e *Embedded) Dialer() func(ctx context.Context, network, addr string) (net.Conn, error) {
	return e.Link().Dialer()
}

// Dial connects over memory.
func (e *Embedded) Dial() (net.Conn, error) { return e.Link().dial(context.Background()) }

// mustDispatch runs one command in the server and returns its raw reply. Scripts run under the lock of
// miniredis, so an EVAL sees one moment. An error reply is a mistake of this package.
func mustDispatch(srv *server.Server, args ...string) string {
	var reply bytes.Buffer
	peer := server.NewPeer(bufio.NewWriter(&reply))
	srv.Dispatch(peer, args)
	peer.Flush()
	if msg, err := proto.ReadError(reply.String()); err == nil {
		panic(fmt.Sprintf("redistest: %s: %s", args[0], msg))
	}
	return reply.String()
}
