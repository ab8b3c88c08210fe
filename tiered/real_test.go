package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// calm is the timeout of tests without an outage.
const calm = 20 * time.Second

// overTCP runs a test in real time with two nodes, each behind a proxy of its
// own, on the embedded server and on a redis-server. timeout bounds a round trip:
// long where no outage is played, because a busy machine is none.
func overTCP(t *testing.T, timeout time.Duration, test func(t *testing.T, a, b *remoteSite)) {
	for name, addr := range map[string]func(testing.TB) string{
		"embedded":     func(t testing.TB) string { return redistest.RunEmbedded(t).Addr() },
		"redis-server": func(t testing.TB) string { return redistest.RunServer(t).Addr() },
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			addr := addr(t)
			test(t, dialTCP(t, addr, timeout), dialTCP(t, addr, timeout))
		})
	}
}

// remoteSite is one process: its way to Redis, its node and its cache.
type remoteSite struct {
	*tiered.Cache[string]
	proxy *redistest.Proxy
	node  *coherence.Node
}

func dialTCP(t *testing.T, addr string, timeout time.Duration) *remoteSite {
	t.Helper()
	proxy, err := redistest.NewProxy(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	_, node := join(t, &redis.UniversalOptions{
		Addrs: []string{proxy.Addr()}, DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout,
	}, coherence.Config{MaxStale: 3 * time.Second, Timeout: timeout})
	return &remoteSite{open(t, node, tiered.Config[string]{LoadTimeout: time.Minute, WaitMax: time.Minute}), proxy, node}
}

func TestTCPColdReadsAreOneLoad(t *testing.T) {
	overTCP(t, calm, func(t *testing.T, a, b *remoteSite) {
		for round := range 5 {
			var loads atomic.Int32
			// The load lasts until every reader has begun, so that none comes too late to share it.
			var begun, readers sync.WaitGroup
			begun.Add(100)
			load := func(ctx context.Context, _ string) (string, error) {
				loads.Add(1)
				begun.Wait()
				return "v", nil
			}
			for i := range 100 {
				c := []*remoteSite{a, b}[i%2]
				readers.Go(func() {
					begun.Done()
					if v, err := c.Get(t.Context(), strconv.Itoa(round), load); v != "v" || err != nil {
						t.Errorf("Get = %q, %v", v, err)
					}
				})
			}
			readers.Wait()
			if n := loads.Load(); n != 1 {
				t.Errorf("%d loads for 100 cold reads on two nodes", n)
			}
		}
	})
}

// A change on one node is read on the other within the bound, and normally at once.
func TestTCPChangeOnAReadOnB(t *testing.T) {
	overTCP(t, calm, func(t *testing.T, a, b *remoteSite) {
		db := newDatabase("k", "0")
		for i := 1; i <= 20; i++ {
			if _, err := b.Get(t.Context(), "k", db.load); err != nil {
				t.Fatal(err)
			}
			want := strconv.Itoa(i)
			if i%2 == 0 {
				db.set("k", want)
				if err := a.Invalidate(t.Context(), "k"); err != nil {
					t.Fatal(err)
				}
			} else if _, err := a.Update(t.Context(), "k", db.writes(want)); err != nil {
				t.Fatal(err)
			}
			if v, err := a.Get(t.Context(), "k", db.load); v != want || err != nil {
				t.Fatalf("Get on the writer's node = %q, %v, want %q", v, err, want)
			}
			poll(t, "new value on the other node", func() bool {
				v, err := b.Get(t.Context(), "k", db.load)
				return v == want && err == nil
			})
		}
	})
}

// Redis goes and comes back: reads never fail, writes are refused or confirmed,
// and afterwards both nodes agree with the source.
func TestTCPRedisDownAndUp(t *testing.T) {
	overTCP(t, coherence.DefaultTimeout, func(t *testing.T, a, b *remoteSite) {
		db := newDatabase("k", "old")
		sites := []*remoteSite{a, b}
		for _, s := range sites {
			if v, err := s.Get(t.Context(), "k", db.load); v != "old" || err != nil {
				t.Fatalf("Get = %q, %v", v, err)
			}
			s.proxy.Cut()
		}
		for _, s := range sites {
			poll(t, "sign that the node noticed", func() bool { return s.node.State() == coherence.Adrift })
		}
		for i, s := range sites {
			if _, err := s.Update(t.Context(), "k", db.writes("refused")); !errors.Is(err, tiered.ErrNotWritten) {
				t.Errorf("Update: error %v", err)
			}
			want := fmt.Sprint("new", i)
			db.set("k", want)
			if err := s.Invalidate(t.Context(), "k"); !errors.Is(err, tiered.ErrUnconfirmed) {
				t.Errorf("Invalidate: error %v", err)
			}
			if v, err := s.Get(t.Context(), "k", db.load); v != want || err != nil {
				t.Errorf("Get while Redis is away = %q, %v, want %q", v, err, want)
			}
		}
		for _, s := range sites {
			s.proxy.Heal()
			poll(t, "return to step", func() bool { return s.node.State() == coherence.InStep && s.node.Stats().Journal == 0 })
		}
		poll(t, "confirmed Update", func() bool {
			v, err := a.Update(t.Context(), "k", db.writes("last"))
			return v == "last" && err == nil
		})
		for _, s := range sites {
			poll(t, "last value", func() bool {
				v, err := s.Get(t.Context(), "k", db.load)
				return v == "last" && err == nil
			})
		}
	})
}

// GetMany, its pipelines and its leases on a server that is none of ours.
func TestTCPGetMany(t *testing.T) {
	overTCP(t, calm, func(t *testing.T, a, b *remoteSite) {
		keys, db := numbered(100)
		for _, s := range []*remoteSite{a, b, b} {
			got, err := s.GetMany(t.Context(), keys, db.loadAll)
			if err != nil || len(got) != len(keys) || got[keys[7]] != "v7" {
				t.Errorf("GetMany = %d of %d, %v", len(got), len(keys), err)
			}
		}
		db.wantLoads(t, 1)
		if err := a.Invalidate(t.Context(), keys...); err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			db.set(key, "w")
		}
		poll(t, "new values on the other node", func() bool {
			got, err := b.GetMany(t.Context(), keys, db.loadAll)
			return err == nil && got[keys[0]] == "w" && got[keys[99]] == "w"
		})
	})
}
