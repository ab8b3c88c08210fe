package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestCommandScan(t *testing.T) {
	for _, tc := range []struct {
		chunks []string
		want   bool
	}{
		{[]string{"*2\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n"}, true},
		{[]string{"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n"}, true},
		{[]string{"*2\r\n$10\r\npsubscribe\r\n$1\r\nc\r\n"}, true},
		{[]string{"*1\r\n$4\r\nping\r\n*2\r\n$9\r\nsub", "scribe", "\r\n$1\r\nc\r\n"}, true},
		{[]string{"*2\r\n$", "9", "\r\n", "subscribe\r", "\n"}, true},
		{[]string{"*2\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n"}, false},
		{[]string{"*3\r\n$3\r\nset\r\n$13\r\nI subscribe\r\n\r\n"}, false},
	} {
		var s commandScan
		got := false
		for _, c := range tc.chunks {
			got = s.subscribes([]byte(c)) || got
		}
		if got != tc.want {
			t.Errorf("subscribes(%q) = %v, want %v", tc.chunks, got, tc.want)
		}
	}
}

// relayed is a client behind a relay in front of an embedded Redis.
func relayed(t *testing.T) (*relay, *redis.Client, context.Context) {
	t.Helper()
	server := redistest.RunEmbedded(t)
	r, err := newRelay(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: r.addr(), ContextTimeoutEnabled: true, MaxRetries: -1})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(func() {
		cancel()
		rdb.Close()
		if err := r.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r, rdb, ctx
}

func TestRelayDeaf(t *testing.T) {
	r, rdb, ctx := relayed(t)
	sub := rdb.Subscribe(ctx, "c")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatalf("subscribe while hearing: %v", err)
	}
	r.deafen()
	if n, err := rdb.Publish(ctx, "c", "lost").Result(); err != nil || n != 1 {
		t.Fatalf("publish on a command connection = %d, %v, want 1 receiver", n, err)
	}
	for r.lost.Load() == 0 && ctx.Err() == nil {
		rdb.Publish(ctx, "c", "lost too")
	}
	if m, err := sub.ReceiveTimeout(ctx, 10*time.Millisecond); err == nil {
		t.Fatalf("a deaf connection received %v", m)
	}
	r.hear()
	again := rdb.Subscribe(ctx, "c")
	defer again.Close()
	if _, err := again.Receive(ctx); err != nil {
		t.Fatalf("subscribe after deafness: %v", err)
	}
	rdb.Publish(ctx, "c", "heard")
	if m, err := again.ReceiveMessage(ctx); err != nil || m.Payload != "heard" {
		t.Errorf("ReceiveMessage = %v, %v, want heard", m, err)
	}
}

func TestRelaySever(t *testing.T) {
	r, rdb, ctx := relayed(t)
	if err := rdb.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	r.sever()
	if err := rdb.Get(ctx, "k").Err(); err == nil || errors.Is(err, redis.Nil) {
		t.Fatalf("Get over a severed link = %v, want a failure of the network", err)
	}
	r.mend()
	if got, err := rdb.Get(ctx, "k").Result(); err != nil || got != "v" {
		t.Errorf("Get over a mended link = %q, %v, want v", got, err)
	}
}
