package redistest

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// wire is one connection of a link: two streams. Unlike net.Pipe it buffers without bound, because
// miniredis publishes under its lock and must never wait for a reader.
type wire struct {
	link              *Link
	requests, replies *stream
	lost              bool // bytes, or the end of a side, vanished; guarded by link.mu
}

// send decides the fate of bytes: on their way, or lost.
func (w *wire) send(s *stream, b []byte) (int, error) {
	l := w.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.swallows(s) {
		w.lost = true
		return len(b), nil
	}
	var due time.Time
	if s == w.replies && l.fault.delay > 0 {
		due = time.Now().Add(l.fault.delay)
	}
	return s.write(b, due)
}

// hangUp ends the side that writes to out and reads from in. Through a hole the other side does not learn of it.
func (w *wire) hangUp(in, out *stream) {
	l := w.link
	l.mu.Lock()
	defer l.mu.Unlock()
	in.abort(net.ErrClosed)
	if w.swallows(out) {
		w.lost = true
		return
	}
	out.end()
	if out == w.requests {
		delete(l.wires, w) // the client has left; the server side follows
	}
}

func (w *wire) swallows(s *stream) bool {
	if s == w.requests {
		return w.link.fault.hidesRequests()
	}
	return w.link.fault.hidesReplies()
}

// memConn is one side of a wire.
type memConn struct {
	wire    *wire
	in, out *stream
	closed  atomic.Bool
}

func (c *memConn) Read(b []byte) (int, error) { return c.in.read(b) }

func (c *memConn) Write(b []byte) (int, error) {
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	return c.wire.send(c.out, b)
}

func (c *memConn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.wire.hangUp(c.in, c.out)
	}
	return nil
}

func (c *memConn) LocalAddr() net.Addr  { return memAddr{} }
func (c *memConn) RemoteAddr() net.Addr { return memAddr{} }

func (c *memConn) SetDeadline(t time.Time) error     { return c.SetReadDeadline(t) }
func (c *memConn) SetReadDeadline(t time.Time) error { c.in.setDeadline(t); return nil }

// SetWriteDeadline does nothing: a write never waits.
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

type memAddr struct{}

func (memAddr) Network() string { return "memory" }
func (memAddr) String() string  { return pipeAddr }

// stream is one direction of a wire: a queue of bytes, each with the time it arrives.
type stream struct {
	mu       sync.Mutex
	changed  *sync.Cond
	queue    []packet
	ended    bool  // the writer closed: end of file after the queue
	broken   error // the reader closed, or a reset: at once
	deadline time.Time
	alarm    *time.Timer
}

type packet struct {
	data []byte
	due  time.Time // zero: has arrived
}

func newStream() *stream {
	s := &stream{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stream) write(b []byte, due time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.broken == net.ErrClosed:
		return 0, io.ErrClosedPipe
	case s.broken != nil:
		return 0, s.broken
	}
	if n := len(s.queue); n > 0 && s.queue[n-1].due.After(due) {
		due = s.queue[n-1].due // bytes do not overtake
	}
	s.queue = append(s.queue, packet{append([]byte(nil), b...), due})
	s.changed.Broadcast()
	return len(b), nil
}

func (s *stream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		now := time.Now()
		until := s.deadline
		switch {
		case s.broken != nil:
			return 0, s.broken
		case !until.IsZero() && !now.Before(until):
			return 0, os.ErrDeadlineExceeded
		case len(s.queue) == 0 && s.ended:
			return 0, io.EOF
		case len(s.queue) > 0 && !s.queue[0].due.After(now):
			return s.take(b), nil
		case len(s.queue) > 0 && (until.IsZero() || s.queue[0].due.Before(until)):
			until = s.queue[0].due
		}
		s.wait(now, until)
	}
}

func (s *stream) take(b []byte) int {
	head := &s.queue[0]
	n := copy(b, head.data)
	if head.data = head.data[n:]; len(head.data) == 0 {
		s.queue = s.queue[1:]
	}
	return n
}

// wait returns when something changed or the time has come; zero waits for a change only.
func (s *stream) wait(now, until time.Time) {
	if !until.IsZero() {
		if s.alarm == nil {
			s.alarm = time.AfterFunc(until.Sub(now), s.wake)
		} else {
			s.alarm.Reset(until.Sub(now))
		}
		defer s.alarm.Stop()
	}
	s.changed.Wait()
}

func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

func (s *stream) setDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	s.changed.Broadcast()
}

func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.changed.Broadcast()
}

// abort ends the stream at once; the first cause stays.
func (s *stream) abort(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken, s.queue = cause, nil
	}
	s.changed.Broadcast()
}

// dropUnderWay loses the packets that have not arrived and tells whether there were any.
func (s *stream) dropUnderWay() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for i, p := range s.queue {
		if p.due.After(now) {
			s.queue = s.queue[:i]
			return true
		}
	}
	return false
}
