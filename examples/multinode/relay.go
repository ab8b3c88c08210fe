package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// relay is the network between one node and Redis. It can be cut, and it can
// make the node deaf: the node's pub/sub connections stay open and silent while
// its commands get their answers.
type relay struct {
	listener net.Listener
	target   string
	deaf     atomic.Bool
	lost     atomic.Int64 // bytes of pub/sub withheld from the deaf node
	done     sync.WaitGroup

	mu    sync.Mutex
	cut   bool // refuses connections
	lines map[*line]struct{}
}

// line is one connection of the node and its other half towards Redis.
type line struct {
	node, redis net.Conn
	subscribed  atomic.Bool
}

func newRelay(target string) (*relay, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: listener, target: target, lines: map[*line]struct{}{}}
	r.done.Go(r.accept)
	return r, nil
}

func (r *relay) addr() string { return r.listener.Addr().String() }

// sever resets all connections and refuses new ones until mend.
func (r *relay) sever() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = true
	r.hangUp(func(*line) bool { return true })
}

func (r *relay) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = false
}

// deafen withholds everything Redis says on pub/sub connections, old and new.
func (r *relay) deafen() { r.deaf.Store(true) }

// hear ends deafness. The deaf connections end too: bytes are missing in them.
func (r *relay) hear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hangUp(func(l *line) bool { return l.subscribed.Load() })
	r.deaf.Store(false)
}

// close ends all connections and waits for the relay's goroutines.
func (r *relay) close() error {
	err := r.listener.Close()
	r.sever()
	r.done.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (r *relay) hangUp(which func(*line) bool) {
	for l := range r.lines {
		if which(l) {
			l.close()
		}
	}
}

func (r *relay) accept() {
	for {
		node, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.done.Go(func() { r.connect(node) })
	}
}

func (r *relay) connect(node net.Conn) {
	redis, err := net.Dial("tcp", r.target)
	if err != nil {
		reset(node)
		return
	}
	l := &line{node: node, redis: redis}
	if !r.enter(l) {
		l.close()
		return
	}
	r.done.Go(func() { defer l.close(); l.ask() })
	l.answer(r)
	l.close()
	r.leave(l)
}

func (r *relay) enter(l *line) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.cut {
		r.lines[l] = struct{}{}
	}
	return !r.cut
}

func (r *relay) leave(l *line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.lines, l)
}

// ask carries commands to Redis and notices the one that turns the connection
// into a pub/sub connection. The mark is set before the command is passed on,
// so no answer to it can slip through.
func (l *line) ask() {
	var seen commandScan
	copyChunks(l.redis, l.node, func(chunk []byte) bool {
		if !l.subscribed.Load() && seen.subscribes(chunk) {
			l.subscribed.Store(true)
		}
		return true
	})
}

// answer carries replies to the node, unless it is deaf to them.
func (l *line) answer(r *relay) {
	copyChunks(l.node, l.redis, func(chunk []byte) bool {
		if r.deaf.Load() && l.subscribed.Load() {
			r.lost.Add(int64(len(chunk)))
			return false
		}
		return true
	})
}

func (l *line) close() {
	reset(l.node)
	reset(l.redis)
}

// reset closes without the farewell of TCP: the other side sees a failure.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}

func copyChunks(to io.Writer, from io.Reader, pass func([]byte) bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && pass(buf[:n]) {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// commandScan finds SUBSCRIBE or PSUBSCRIBE in a stream of commands, also when
// it is split between two reads.
type commandScan struct{ tail []byte }

var subscribe = []byte("subscribe\r\n")

func (s *commandScan) subscribes(chunk []byte) bool {
	s.tail = append(s.tail, bytes.ToLower(chunk)...)
	for rest := s.tail; ; {
		i := bytes.Index(rest, subscribe)
		if i < 0 {
			break
		}
		if before := rest[:i]; bytes.HasSuffix(before, []byte("$9\r\n")) || bytes.HasSuffix(before, []byte("$10\r\np")) {
			return true
		}
		rest = rest[i+len(subscribe):]
	}
	if keep := len(subscribe) + 8; len(s.tail) > keep {
		s.tail = append(s.tail[:0], s.tail[len(s.tail)-keep:]...)
	}
	return false
}
