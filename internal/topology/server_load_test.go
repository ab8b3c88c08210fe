package topology

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// on starts a fleet on a redis-server of its own and a client that none of it shares.
func on(t *testing.T, n int) (*watch, *redis.Client) {
	t.Helper()
	server := redistest.RunServer(t)
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = admin.Close() })
	w := watched(t, n, redis.UniversalOptions{Addrs: []string{server.Addr()}})
	w.recovered("at the start")
	return w, admin
}

func (w *watch) command(admin *redis.Client, args ...any) {
	w.Helper()
	if err := admin.Do(w.Context(), args...).Err(); err != nil {
		w.Fatalf("%v: %v", args, err)
	}
}

// TestServerErrors: a redis-server that refuses what writes, for each reason that one
// server can have. Reads go on, within the bound and without an error; writes are
// refused; an invalidation is kept and made when the server accepts it.
func TestServerErrors(t *testing.T) {
	t.Parallel()
	w, admin := on(t, 2)
	for _, fault := range []struct {
		name        string
		begin, heal []any
	}{
		{"OOM", []any{"config", "set", "maxmemory", "1"}, []any{"config", "set", "maxmemory", "0"}},
		{"NOREPLICAS", []any{"config", "set", "min-replicas-to-write", "1"}, []any{"config", "set", "min-replicas-to-write", "0"}},
		{"READONLY", []any{"replicaof", "127.0.0.1", "1"}, []any{"replicaof", "no", "one"}},
	} {
		w.command(admin, fault.begin...)
		w.refusesWrites(fault.name)
		w.command(admin, fault.heal...)
		w.recovered(fault.name)
		w.settled(fault.name)
	}
	w.command(admin, "script", "flush")
	w.recovered("NOSCRIPT")
	w.busy(admin)
}

// busy occupies the server with a script until every site is refused.
func (w *watch) busy(admin *redis.Client) {
	w.command(admin, "config", "set", "busy-reply-threshold", "1")
	ended := make(chan error, 1)
	go func() { ended <- admin.Eval(context.Background(), "while true do end", nil).Err() }()
	eventually(w.T, "the server is busy", func(ctx context.Context) error {
		if err := admin.Ping(ctx).Err(); !redis.HasErrorPrefix(err, "BUSY") {
			return fmt.Errorf("PING: %w", err)
		}
		return nil
	})
	w.refusesWrites("BUSY")
	w.command(admin, "script", "kill")
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "killed by user") {
		w.Errorf("the endless script: %v", err)
	}
	w.recovered("BUSY")
	w.settled("BUSY")
}

// settled waits until every invalidation that was kept has been made.
func (w *watch) settled(what string) {
	w.Helper()
	for _, s := range w.sites {
		eventually(w.T, what+": the journal is empty", func(context.Context) error {
			if held := s.node.Stats().Journal; held > 0 {
				return fmt.Errorf("%d keys", held)
			}
			return nil
		})
	}
}

// TestOutputBufferOverrun: a message to each site is more than the server keeps for a
// subscriber, so that it closes all subscriptions, and announcements are lost with them. The
// probe brings those, and each node subscribes anew.
func TestOutputBufferOverrun(t *testing.T) {
	t.Parallel()
	w, admin := on(t, 2)
	w.command(admin, "config", "set", "client-output-buffer-limit", "pubsub 32768 0 0")
	long := strings.Repeat("x", 128<<10)
	for round := range 5 {
		before := w.sites[1].node.Stats()
		eventually(t, "the other site has repaired and subscribed anew", func(ctx context.Context) error {
			for _, s := range w.sites {
				w.command(admin, "publish", "f:n:"+s.node.Name(), long)
			}
			if err := w.sites[0].Invalidate(ctx, "overrun"); err != nil {
				return err
			}
			if now := w.sites[1].node.Stats(); now.Repaired == before.Repaired || now.Subscribed == before.Subscribed {
				return fmt.Errorf("round %d: %+v", round, now)
			}
			return nil
		})
	}
	w.recovered("after the overruns")
	w.heardAnew("after the overruns")
}

// TestEvictionUnderLoad: a server that is a megabyte short of what is written evicts
// records, leases and fences, and with allkeys-lru perhaps the bus.
func TestEvictionUnderLoad(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"volatile-lru", "allkeys-lru"} {
		t.Run(policy, func(t *testing.T) {
			w, admin := on(t, 2)
			limit := infoOf(t, admin, "memory", "used_memory") + 1<<20
			w.command(admin, "config", "set", "maxmemory-samples", "1") // as good as at random
			w.command(admin, "config", "set", "maxmemory-policy", policy)
			w.command(admin, "config", "set", "maxmemory", strconv.Itoa(limit))
			filler, n := strings.Repeat("x", 4096), 0
			eventually(t, "the server has evicted, and the load has gone on", func(context.Context) error {
				for range 100 {
					n++
					w.command(admin, "set", "filler:"+strconv.Itoa(n), filler, "ex", "600")
				}
				evicted, reads := infoOf(t, admin, "stats", "evicted_keys"), w.readsSoFar()
				if evicted < 1000 || reads < 2000 {
					return fmt.Errorf("%d keys were evicted during %d reads", evicted, reads)
				}
				return nil
			})
			w.command(admin, "config", "set", "maxmemory", "0")
			w.recovered("after the evictions")
		})
	}
}

// infoOf reads a number out of a section of INFO; 0 if it is not there.
func infoOf(t *testing.T, admin *redis.Client, section, field string) int {
	t.Helper()
	info, err := admin.Info(t.Context(), section).Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if text, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// refusesWrites waits until every site is refused, and some more reads.
func (w *watch) refusesWrites(what string) {
	w.Helper()
	for _, s := range w.sites {
		eventually(w.T, what+": no site writes", func(ctx context.Context) error {
			if err := w.update(ctx, s, w.someKey()); !errors.Is(err, tiered.ErrNotWritten) {
				return fmt.Errorf("Update: %w", err)
			}
			return nil
		})
	}
	w.await(w.readsSoFar()+300, 0)
}
