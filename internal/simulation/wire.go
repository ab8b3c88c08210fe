package simulation

import (
	"bytes"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// wires are the connections of one process. They add to a Link the faults of pub/sub alone.
type wires struct {
	link   Link
	freeze *freeze
	hold   func() // keeps each read back for a moment, so that connections overtake each other

	mu   sync.Mutex
	open map[*wire]struct{}
	deaf atomic.Bool  // what arrives on subscriptions vanishes
	slow atomic.Int64 // what arrives on subscriptions is taken up this much later, ns
}

func newWires(l Link, f *freeze, hold func()) *wires {
	return &wires{link: l, freeze: f, hold: hold, open: make(map[*wire]struct{})}
}

func (ws *wires) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := ws.link.Dial(ctx)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: conn, set: ws}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.open[w] = struct{}{}
	return w, nil
}

// killPubSub closes all subscriptions.
func (ws *wires) killPubSub() {
	for _, w := range ws.subscribers() {
		_ = w.Conn.Close() // closed already is as good
	}
}

// deafen lets everything vanish that arrives on subscriptions. Nobody sees an error.
func (ws *wires) deafen() { ws.deaf.Store(true) }

// undeafen ends deafen. A stream that lost bytes must not go on.
func (ws *wires) undeafen() {
	ws.deaf.Store(false)
	ws.killPubSub()
}

func (ws *wires) subscribers() []*wire {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var out []*wire
	for w := range ws.open {
		if w.subscriber.Load() {
			out = append(out, w)
		}
	}
	return out
}

// wire is one connection.
type wire struct {
	net.Conn
	set        *wires
	subscriber atomic.Bool
	hungUp     atomic.Bool // closed while Redis was frozen
}

func (w *wire) Write(b []byte) (int, error) {
	if len(b) < 1024 && bytes.Contains(b, []byte("$9\r\nsubscribe\r\n")) {
		w.subscriber.Store(true)
	}
	return w.set.freeze.write(w, b)
}

func (w *wire) Read(b []byte) (int, error) {
	for {
		n, err := w.Conn.Read(b)
		switch {
		case w.hungUp.Load():
			return 0, net.ErrClosed
		case err == nil && w.subscriber.Load() && w.set.deaf.Load():
			continue
		case w.subscriber.Load():
			time.Sleep(time.Duration(w.set.slow.Load()))
		}
		w.set.hold()
		return n, err
	}
}

func (w *wire) Close() error {
	w.set.mu.Lock()
	delete(w.set.open, w)
	w.set.mu.Unlock()
	return w.set.freeze.close(w)
}

// freeze stands in for a stopped server process where there is none to stop: what clients send is
// taken and executed later, even if they have given up and closed the connection meanwhile. That is what
// the buffers of a kernel do.
type freeze struct {
	mu     sync.Mutex
	on     bool
	queue  []parcel
	closed []*wire
}

type parcel struct {
	to   *wire
	data []byte
}

func (f *freeze) write(w *wire, b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.on {
		return w.Conn.Write(b)
	}
	f.queue = append(f.queue, parcel{w, bytes.Clone(b)})
	return len(b), nil
}

func (f *freeze) close(w *wire) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.on {
		return w.Conn.Close()
	}
	w.hungUp.Store(true)
	f.closed = append(f.closed, w)
	return w.Conn.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
}

func (f *freeze) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = true
}

func (f *freeze) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = false
	for _, p := range f.queue {
		_, _ = p.to.Conn.Write(p.data) // reset meanwhile: the bytes are lost
	}
	for _, w := range f.closed {
		_ = w.Conn.Close()
	}
	f.queue, f.closed = nil, nil
}
