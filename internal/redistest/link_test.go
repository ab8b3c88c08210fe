package redistest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// inBubble runs a test with a server and a client of its own link in virtual time.
func inBubble(t *testing.T, test func(t *testing.T, e *Embedded, link *Link, rdb *redis.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := RunPipe(t)
		link := e.Link()
		rdb := dial(t, link.Options().Simple())
		wantPing(t, rdb)
		test(t, e, link, rdb)
	})
}

// soon bounds a call in virtual time.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func subscribe(t *testing.T, rdb *redis.Client) *redis.PubSub {
	t.Helper()
	sub := rdb.Subscribe(t.Context(), "news")
	t.Cleanup(func() { sub.Close() })
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return sub
}

func TestBubbleTTLsAge(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Embedded, _ *Link, rdb *redis.Client) {
		if err := rdb.Set(t.Context(), "k", "v", 24*time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(23 * time.Hour)
		wantGet(t, rdb, "k", "v")
		if ttl := rdb.PTTL(t.Context(), "k").Val(); ttl != time.Hour {
			t.Errorf("PTTL = %v, want 1h", ttl)
		}
		if now := rdb.Time(t.Context()).Val(); !now.Equal(time.Now()) {
			t.Errorf("TIME = %v, want the time of the bubble, %v", now, time.Now())
		}
		time.Sleep(time.Hour)
		wantMissing(t, rdb, "k")
	})
}

func TestBubblePubSub(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Embedded, _ *Link, rdb *redis.Client) {
		sub := subscribe(t, rdb)
		// Nobody reads yet: a publisher must not wait for a subscriber.
		const n = 1000
		for range n {
			if got, err := rdb.Publish(t.Context(), "news", "extra").Result(); err != nil || got != 1 {
				t.Fatalf("PUBLISH = %d, %v, want 1", got, err)
			}
		}
		for i := range n {
			msg, err := sub.ReceiveTimeout(t.Context(), time.Second)
			if m, ok := msg.(*redis.Message); err != nil || !ok || m.Payload != "extra" {
				t.Fatalf("message %d: %v, %v", i, msg, err)
			}
		}
		start := time.Now()
		if msg, err := sub.ReceiveTimeout(t.Context(), time.Minute); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("ReceiveTimeout without a message: %v, %v", msg, err)
		}
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("waited %v of virtual time, want 1m", waited)
		}
	})
}

func TestBubbleCutAndHeal(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Embedded, link *Link, rdb *redis.Client) {
		other := dial(t, e.Link().Options().Simple())
		sub := subscribe(t, rdb)
		link.Cut()
		if _, err := sub.ReceiveTimeout(t.Context(), time.Hour); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the subscription through a cut: %v, want %v", err, syscall.ECONNRESET)
		}
		for range 3 {
			if err := rdb.Ping(soon(t)).Err(); err == nil {
				t.Fatal("PING through a cut succeeded")
			}
		}
		if _, err := link.Dialer()(t.Context(), "tcp", ""); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial through a cut: %v, want %v", err, syscall.ECONNREFUSED)
		}
		set(t, other, "k", "v") // another link is not concerned
		link.Heal()
		wantGet(t, rdb, "k", "v")
	})
}

// TestBubbleEndsAfterManyRefusals leaves go-redis in the state in which it dials by itself.
func TestBubbleEndsAfterManyRefusals(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Embedded, link *Link, rdb *redis.Client) {
		link.Cut()
		for range 2 * rdb.Options().PoolSize {
			if err := rdb.Ping(t.Context()).Err(); err == nil {
				t.Fatal("PING through a cut succeeded")
			}
		}
		time.Sleep(10 * time.Millisecond) // now it sleeps between two dials
	})
}

func TestBubbleHole(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Embedded, link *Link, rdb *redis.Client) {
		sub := subscribe(t, rdb)
		link.Hole()
		start := time.Now()
		if err := rdb.Set(soon(t), "k", "lost", 0).Err(); err == nil || time.Since(start) < 200*time.Millisecond {
			t.Errorf("SET into a hole: %v after %v, want silence to the end", err, time.Since(start))
		}
		if e.Publish("news", "lost") != 1 {
			t.Error("the server knows that its subscriber is in a hole")
		}
		if _, err := sub.ReceiveTimeout(t.Context(), time.Hour); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the subscription in a hole: %v, want silence", err)
		}
		if err := rdb.Ping(soon(t)).Err(); err == nil {
			t.Error("PING on a new connection through a hole succeeded")
		}
		link.Heal()
		if _, err := sub.ReceiveTimeout(t.Context(), time.Hour); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a connection that lost bytes after the hole: %v, want %v", err, syscall.ECONNRESET)
		}
		wantMissing(t, rdb, "k")
	})
}

func TestBubbleHoleReplies(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Embedded, link *Link, rdb *redis.Client) {
		link.HoleReplies()
		if err := rdb.Set(soon(t), "k", "done", 0).Err(); err == nil {
			t.Error("SET was answered through a hole")
		}
		link.Heal()
		wantGet(t, rdb, "k", "done")
	})
}

func TestBubbleDelay(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Embedded, link *Link, rdb *redis.Client) {
		incr := func(p redis.Pipeliner) error {
			for range 10 {
				p.Incr(t.Context(), "n")
			}
			return nil
		}
		if _, err := rdb.Pipelined(t.Context(), incr); err != nil { // dials; pipelines have a pool of their own
			t.Fatal(err)
		}
		link.Delay(50 * time.Millisecond)
		start := time.Now()
		if _, err := rdb.Pipelined(t.Context(), incr); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 50*time.Millisecond {
			t.Errorf("a pipeline took %v, want one delay", took)
		}
		link.Heal()
		start = time.Now()
		wantGet(t, rdb, "n", "20")
		if took := time.Since(start); took != 0 {
			t.Errorf("GET took %v after Heal, want 0", took)
		}
	})
}

func TestBubbleHoleSwallowsWhatIsUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Embedded, link *Link, rdb *redis.Client) {
		link.Delay(time.Second)
		result := make(chan error)
		go func() { result <- rdb.Ping(t.Context()).Err() }()
		time.Sleep(500 * time.Millisecond)
		link.Hole()
		start := time.Now()
		if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) < time.Second {
			t.Errorf("PING: %v after %v, want its read timeout", err, time.Since(start))
		}
	})
}

func TestBubbleCrashInsideHole(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Embedded, link *Link, rdb *redis.Client) {
		sub := subscribe(t, rdb)
		link.Hole()
		if err := e.RestartEmpty(); err != nil {
			t.Fatal(err)
		}
		if _, err := sub.ReceiveTimeout(t.Context(), time.Hour); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a crash behind a hole: %v, want silence", err)
		}
		link.Heal()
		reconnect(t, rdb)
	})
}

func TestBubbleRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Embedded, _ *Link, rdb *redis.Client) {
		if err := rdb.Set(t.Context(), "k", "v", time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		snap := e.Snapshot()
		e.Crash()
		time.Sleep(50 * time.Minute)
		if err := e.Restore(snap); err != nil {
			t.Fatal(err)
		}
		reconnect(t, rdb)
		wantGet(t, rdb, "k", "v")
		time.Sleep(10 * time.Minute)
		wantMissing(t, rdb, "k")
	})
}

func TestMemoryConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := RunPipe(t)
		conn, err := e.Dial()
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 3)
		if n, err := conn.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read past its deadline = %d, %v", n, err)
		}
		conn.SetReadDeadline(time.Time{})
		if _, err := conn.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil {
			t.Fatal(err)
		}
		var got string
		for len(got) < len("+PONG\r\n") {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got += string(buf[:n])
		}
		if got != "+PONG\r\n" {
			t.Errorf("reply in small reads = %q", got)
		}
		e.Crash()
		if _, err := conn.Read(buf); err != io.EOF {
			t.Errorf("Read after a crash: %v, want %v", err, io.EOF)
		}
		conn.Close()
		if _, err := conn.Read(buf); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read after Close: %v, want %v", err, net.ErrClosed)
		}
		if _, err := conn.Write(buf); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write after Close: %v, want %v", err, net.ErrClosed)
		}
	})
}
