package redistest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// runProxy returns a proxy in front of a fresh server, which is embedded: what is tested is the proxy.
func runProxy(t *testing.T) (*Proxy, *Embedded) {
	t.Helper()
	noLeak(t)
	e := RunEmbedded(t)
	p, err := NewProxy(e.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p, e
}

func viaProxy(t *testing.T) (*Proxy, *Embedded, *redis.Client) {
	t.Helper()
	p, e := runProxy(t)
	rdb := dial(t, clientOptions(p.Addr()))
	wantPing(t, rdb)
	return p, e, rdb
}

func TestProxyPassesLargeValues(t *testing.T) {
	_, _, rdb := viaProxy(t)
	value := string(make([]byte, 4<<20))
	set(t, rdb, "k", value)
	if got, err := rdb.Get(t.Context(), "k").Result(); err != nil || got != value {
		t.Errorf("GET = %d bytes, %v, want %d", len(got), err, len(value))
	}
}

func TestProxyCut(t *testing.T) {
	p, _, rdb := viaProxy(t)
	conn := rawSubscriber(t, p)
	p.Cut()
	wantReset(t, conn)
	for range 3 {
		if err := rdb.Ping(t.Context()).Err(); err == nil {
			t.Fatal("PING through a cut succeeded")
		}
	}
	p.Heal()
	reconnect(t, rdb)
}

func TestProxyHole(t *testing.T) {
	p, e, rdb := viaProxy(t)
	conn := rawSubscriber(t, p)
	p.Hole()
	if err := rdb.Set(impatient(t), "k", "lost", 0).Err(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("SET into a hole: %v, want silence", err)
	}
	if n := e.Publish("news", "lost"); n != 1 {
		t.Errorf("the server has %d subscribers, want the one in the hole", n)
	}
	wantSilence(t, conn)
	if err := rdb.Ping(impatient(t)).Err(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("PING on a new connection into a hole: %v, want silence", err)
	}
	p.Heal()
	wantReset(t, conn) // it lost bytes
	reconnect(t, rdb)
	wantMissing(t, rdb, "k")
}

func TestProxyHoleHidesBothEnds(t *testing.T) {
	p, e := runProxy(t)
	leaving, staying := rawSubscriber(t, p), rawSubscriber(t, p)
	p.Hole()
	leaving.Close()
	if n := e.PubSubNumSub("news")["news"]; n != 2 {
		t.Errorf("%d subscribers, want the one that left through the hole too", n)
	}
	e.Crash()
	wantSilence(t, staying)
	late, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	wantSilence(t, late)
}

func wantSilence(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %d, %v, want silence", n, err)
	}
}

func wantReset(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience))
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read = %d, %v, want %v", n, err, syscall.ECONNRESET)
	}
}

// rawSubscriber subscribes without go-redis, which reconnects on its own and, peeking at its idle
// sockets, consumes the error of a reset.
func rawSubscriber(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	io.WriteString(conn, "*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n")
	conn.SetReadDeadline(time.Now().Add(patience))
	reply := "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"
	if _, err := io.ReadFull(conn, make([]byte, len(reply))); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestProxyHoleReplies(t *testing.T) {
	p, e, rdb := viaProxy(t)
	p.HoleReplies()
	if err := rdb.Set(impatient(t), "k", "done", 0).Err(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("SET: %v, want silence", err)
	}
	if got, err := e.Get("k"); got != "done" {
		t.Errorf("the request did not pass: %q, %v", got, err)
	}
	p.Heal()
	reconnect(t, rdb)
}

func TestProxyDelay(t *testing.T) {
	p, e, rdb := viaProxy(t)
	const delay = 300 * time.Millisecond
	p.Delay(delay)
	start := time.Now()
	var replies []*redis.IntCmd
	if _, err := rdb.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		for range 10 {
			replies = append(replies, pipe.Incr(t.Context(), "n"))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < delay {
		t.Errorf("replies came after %v, want at least %v", took, delay)
	}
	for i, reply := range replies {
		if reply.Val() != int64(i+1) {
			t.Errorf("reply %d = %d", i, reply.Val())
		}
	}
	if got, err := e.Get("n"); got != "10" {
		t.Errorf("n = %s, %v", got, err)
	}
}

func TestProxySetTargetAndReset(t *testing.T) {
	p, first, rdb := viaProxy(t)
	second := RunEmbedded(t)
	first.Set("name", "first")
	second.Set("name", "second")
	p.SetTarget(second.Addr())
	wantGet(t, rdb, "name", "first") // current connections stay
	conn := rawSubscriber(t, p)
	p.Reset()
	wantReset(t, conn)
	reconnect(t, rdb)
	wantGet(t, rdb, "name", "second")
}

func TestProxyPassesTheEndOn(t *testing.T) {
	p, e := runProxy(t)
	leaving, staying := rawSubscriber(t, p), rawSubscriber(t, p)
	leaving.Close()
	eventually(t, func(context.Context) error {
		if n := e.PubSubNumSub("news")["news"]; n != 1 {
			return errors.New("the server still sees the client that left")
		}
		return nil
	})
	e.Crash()
	if n, err := staying.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read from a dead server = %d, %v, want an end", n, err)
	}
	if err := e.Restart(); err != nil {
		t.Fatal(err)
	}
	rawSubscriber(t, p)
}

func TestProxyCloseUnderEveryFault(t *testing.T) {
	faults := map[string]func(*Proxy){
		"none":        func(*Proxy) {},
		"cut":         (*Proxy).Cut,
		"hole":        (*Proxy).Hole,
		"holeReplies": (*Proxy).HoleReplies,
		"delay":       func(p *Proxy) { p.Delay(time.Hour) },
	}
	for name, inject := range faults {
		t.Run(name, func(t *testing.T) {
			p, _, rdb := viaProxy(t)
			rawSubscriber(t, p)
			inject(p)
			rdb.Ping(impatient(t)) // whatever it brings: a reply may be under way for an hour
			for range 2 {
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if conn, err := net.Dial("tcp", p.Addr()); err == nil {
				t.Errorf("a closed proxy still listens: %v", conn.Close())
			}
		})
	}
}
