package redistest

import (
	"bytes"
	"context"
	"net"
	"time"
)

// proxied is one connection through a proxy.
type proxied struct {
	proxy  *Proxy
	target string
	client net.Conn
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc

	// guarded by proxy.mu
	server net.Conn // nil until dialled
	lost   bool     // bytes, or the end of a side, vanished
}

// inFlight bounds the reads of replies that wait for their time.
const inFlight = 128

// piece is what one read of replies brought.
type piece struct {
	data []byte
	due  time.Time
}

// serve connects to the target and moves bytes until the connection is closed or reset.
func (c *proxied) serve() {
	defer c.finish()
	server, err := new(net.Dialer).DialContext(c.ctx, "tcp", c.target)
	if err != nil {
		if c.swallowed(fault.hidesReplies) { // a hole tells nobody that the target is down
			<-c.ctx.Done()
		}
		return
	}
	if !c.adopt(server) {
		return
	}
	pieces := make(chan piece, inFlight)
	c.proxy.running.Go(func() { c.readReplies(server, pieces) })
	c.proxy.running.Go(func() { c.sendReplies(pieces) })
	c.moveRequests(server)
	<-c.ctx.Done()
}

// adopt makes the server side part of the connection, unless that has ended meanwhile.
func (c *proxied) adopt(server net.Conn) bool {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	if c.ctx.Err() != nil {
		abort(server)
		return false
	}
	c.server = server
	return true
}

// moveRequests ends with the client's side. Through a hole the server does not learn of that end.
func (c *proxied) moveRequests(server net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := c.client.Read(buf)
		hidden := c.swallowed(fault.hidesRequests)
		if n > 0 && !hidden {
			if _, werr := server.Write(buf[:n]); werr != nil {
				return // readReplies meets the same end, behind the last reply
			}
		}
		if err != nil && !hidden {
			c.close()
		}
		if err != nil {
			return
		}
	}
}

// readReplies and sendReplies are two so that a delay holds replies back without slowing their flow.
func (c *proxied) readReplies(server net.Conn, pieces chan<- piece) {
	defer close(pieces)
	buf := make([]byte, 32<<10)
	for {
		n, err := server.Read(buf)
		select {
		case pieces <- piece{bytes.Clone(buf[:n]), time.Now().Add(c.delay())}:
		case <-c.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// sendReplies ends with the server's side. Through a hole the client does not learn of that end.
func (c *proxied) sendReplies(pieces <-chan piece) {
	for p := range pieces {
		if !c.sleep(time.Until(p.due)) {
			return
		}
		if c.swallowed(fault.hidesReplies) {
			continue
		}
		if _, err := c.client.Write(p.data); err != nil {
			break
		}
	}
	if !c.swallowed(fault.hidesReplies) {
		c.close()
	}
}

// swallowed tells whether the fault hides what is to be moved now, and remembers that it did.
func (c *proxied) swallowed(hides func(fault) bool) bool {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	hidden := hides(c.proxy.fault)
	c.lost = c.lost || hidden
	return hidden
}

func (c *proxied) delay() time.Duration {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	return c.proxy.fault.delay
}

// sleep returns false if the connection ended meanwhile.
func (c *proxied) sleep(d time.Duration) bool {
	if d <= 0 {
		return c.ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// close ends both sides in order: what was written still arrives.
func (c *proxied) close() {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	delete(c.proxy.conns, c)
	c.cancel()
	c.client.Close()
	c.server.Close()
}

// finish makes sure that nothing is left; after close it changes nothing.
func (c *proxied) finish() {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	c.proxy.reset(c)
}
