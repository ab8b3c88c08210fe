package topology

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func TestStandalone(t *testing.T) {
	everyVerb(t, redis.UniversalOptions{Addrs: []string{redistest.RunServer(t).Addr()}})
}

func TestSentinel(t *testing.T) {
	group := redistest.RunSentinel(t)
	everyVerb(t, redis.UniversalOptions{Addrs: group.Addrs(), MasterName: group.MasterName()})

	// Found by reading: go-redis runs OnConnect on its connections to sentinels
	// too, and each of them passed for an unknown Redis process.
	rdb := redis.NewClient(&redis.Options{Addr: group.Master().Addr()})
	defer rdb.Close()
	fields, err := rdb.HKeys(t.Context(), "{f}:bus").Result()
	if err != nil {
		t.Fatal(err)
	}
	var processes []string
	for _, field := range fields {
		if strings.HasPrefix(field, "r:") {
			processes = append(processes, field)
		}
	}
	if len(processes) != 1 {
		t.Errorf("the fleet knows the processes %q, want the master alone", processes)
	}
}

func TestCluster(t *testing.T) {
	group := redistest.RunCluster(t, 3, 1)
	everyVerb(t, redis.UniversalOptions{Addrs: group.Addrs(), IsClusterMode: true})
}

// everyVerb runs each verb of package tiered on two nodes.
func everyVerb(t *testing.T, opts redis.UniversalOptions) {
	s := newSource()
	cfg := tiered.Config[string]{Name: "c", NotFoundTTL: time.Minute}
	opts, how := unhurried(opts)
	a, b := open(t, opts, how, cfg), open(t, opts, how, cfg)
	for _, verb := range []struct {
		name string
		test func(t *testing.T, s *source, a, b *site)
	}{
		{"Get", get}, {"GetMany", getMany}, {"Peek", peek}, {"Update", update}, {"UpdateDeletes", updateDeletes},
		{"Invalidate", invalidate}, {"Waiters", waiters},
	} {
		t.Run(verb.name, func(t *testing.T) { verb.test(t, s, a, b) })
	}
	t.Run("Refresh", func(t *testing.T) { refresh(t, opts, how) })
	eventually(t, "pub/sub delivers to both nodes", func(ctx context.Context) error { // a young cluster may lose the first
		if err := a.Invalidate(ctx, "heard"); err != nil {
			return err
		}
		if got, other := a.node.Stats(), b.node.Stats(); got.Messages == 0 || other.Messages == 0 {
			return fmt.Errorf("%+v, %+v", got, other)
		}
		return nil
	})
	for name, node := range map[string]*coherence.Node{"a": a.node, "b": b.node} {
		if got := node.Stats(); got.Malformed != 0 || got.Forks != 0 || got.Deaf != 0 {
			t.Errorf("node %s: Stats() = %+v, want no trouble", name, got)
		}
		if state := node.State(); state != coherence.InStep {
			t.Errorf("node %s is %v", name, state)
		}
	}
	for name, c := range map[string]*site{"a": a, "b": b} {
		if got := c.Stats(); got.WeakLoads+got.RefusedFills+got.NotWritten+got.Unconfirmed+got.Corrupt != 0 {
			t.Errorf("cache %s: Stats() = %+v, want no trouble", name, got)
		}
	}
}

func get(t *testing.T, s *source, a, b *site) {
	s.set("get", "v")
	for range 2 {
		for name, c := range map[string]*site{"a": a, "b": b} {
			v, err := c.Get(t.Context(), "get", s.load)
			wantValue(t, name+".Get", v, err, "v")
			_, err = c.Get(t.Context(), "nowhere", s.load)
			wantError(t, name+".Get of nothing", err, tiered.ErrNotFound)
		}
	}
	for _, key := range []string{"get", "nowhere"} {
		if got := s.loaded(key); got != 1 {
			t.Errorf("%q was loaded %d times by two nodes, want once", key, got)
		}
	}
}

// many is enough keys to have some in every shard.
const many = 200

func getMany(t *testing.T, s *source, a, b *site) {
	var keys []string
	for i := range many {
		key := fmt.Sprint("many/", i)
		keys = append(keys, key, fmt.Sprint("none/", i))
		s.set(key, fmt.Sprint("v", i))
	}
	for name, c := range map[string]*site{"a": a, "b": b} {
		for range 2 {
			found, err := c.GetMany(t.Context(), keys, s.loadMany)
			if err != nil || len(found) != many || found["many/7"] != "v7" {
				t.Errorf("%s.GetMany: %d records, %v, want %d", name, len(found), err, many)
			}
		}
	}
	for _, key := range keys {
		if got := s.loaded(key); got != 1 {
			t.Fatalf("%q was loaded %d times by two nodes, want once", key, got)
		}
	}
}

func peek(t *testing.T, s *source, a, b *site) {
	_, err := b.Peek(t.Context(), "peek")
	wantError(t, "Peek of a missing key", err, tiered.ErrMiss)
	s.set("peek", "v")
	if _, err := a.Get(t.Context(), "peek", s.load); err != nil {
		t.Fatal(err)
	}
	v, err := b.Peek(t.Context(), "peek")
	wantValue(t, "Peek", v, err, "v")
	_, err = a.Get(t.Context(), "peek/none", s.load)
	wantError(t, "Get of nothing", err, tiered.ErrNotFound)
	_, err = b.Peek(t.Context(), "peek/none")
	wantError(t, "Peek of nothing", err, tiered.ErrNotFound)
}

func update(t *testing.T, s *source, a, b *site) {
	for i := range 20 { // keys in several shards
		key := fmt.Sprint("update/", i)
		s.set(key, "old")
		for _, c := range []*site{a, b} {
			v, err := c.Get(t.Context(), key, s.load)
			wantValue(t, "Get", v, err, "old")
		}
		v, err := a.Update(t.Context(), key, s.write("new"))
		wantValue(t, "Update", v, err, "new")
		v, err = a.Get(t.Context(), key, s.load)
		wantValue(t, "the writer's own Get", v, err, "new")
		eventually(t, "the other node reads the new value", b.reads(key, "new", s.load))
		if got := s.loaded(key); got != 1 {
			t.Errorf("%q was loaded %d times, want once: Update writes through", key, got)
		}
	}
}

func updateDeletes(t *testing.T, s *source, a, b *site) {
	s.set("deleted", "v")
	v, err := b.Get(t.Context(), "deleted", s.load)
	wantValue(t, "Get", v, err, "v")
	_, err = a.Update(t.Context(), "deleted", func(context.Context, string) (string, error) { return "", tiered.ErrNotFound })
	wantError(t, "Update", err, tiered.ErrNotFound)
	eventually(t, "the other node finds nothing", func(ctx context.Context) error {
		v, err := b.Peek(ctx, "deleted")
		if err == tiered.ErrNotFound {
			return nil
		}
		return fmt.Errorf("Peek = %q, %v", v, err)
	})
}

func invalidate(t *testing.T, s *source, a, b *site) {
	var keys []string
	for i := range many {
		keys = append(keys, fmt.Sprint("invalidate/", i))
		s.set(keys[i], "old")
	}
	for _, c := range []*site{a, b} {
		if _, err := c.GetMany(t.Context(), keys, s.loadMany); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range keys {
		s.set(key, "new")
	}
	if err := a.Invalidate(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	v, err := a.Get(t.Context(), keys[0], s.load)
	wantValue(t, "the invalidator's own Get", v, err, "new")
	for _, key := range keys {
		eventually(t, "the other node reads the new value", b.reads(key, "new", s.load))
	}
}

// One node loads; the other one's reader waits and is woken with the value.
func waiters(t *testing.T, _ *source, a, b *site) {
	s := newSource()
	s.set("waited", "v")
	s.hold, s.entered = make(chan struct{}), make(chan string)
	waits, loads := b.Stats().Waits, b.Stats().Loads
	type result struct {
		v   string
		err error
	}
	results := make(chan result, 2)
	read := func(c *site) {
		v, err := c.Get(t.Context(), "waited", s.load)
		results <- result{v, err}
	}
	go read(a)
	<-s.entered
	go read(b)
	eventually(t, "the other node waits", func(context.Context) error {
		if b.Stats().Waits == waits {
			return fmt.Errorf("Stats() = %+v", b.Stats())
		}
		return nil
	})
	close(s.hold)
	for range 2 {
		r := <-results
		wantValue(t, "Get", r.v, r.err, "v")
	}
	if got := s.loaded("waited"); got != 1 || b.Stats().Loads != loads {
		t.Errorf("loaded %d times, want once and not by the waiter", got)
	}
}

// An expired value is served while one node of the fleet refreshes it.
func refresh(t *testing.T, opts redis.UniversalOptions, how coherence.Config) {
	s := newSource()
	cfg := tiered.Config[string]{Name: "refreshed", TTL: 100 * time.Millisecond, StaleTTL: time.Hour, Jitter: -1}
	a, b := open(t, opts, how, cfg), open(t, opts, how, cfg)
	s.set("k", "old")
	for _, c := range []*site{a, b} {
		if v, err := c.Get(t.Context(), "k", s.load); err != nil || v != "old" {
			t.Fatalf("Get = %q, %v", v, err)
		}
	}
	s.set("k", "new")
	for _, c := range []*site{a, b} {
		eventually(t, "the refreshed value is read", c.reads("k", "new", s.load))
	}
	if got := a.Stats().Refreshes + b.Stats().Refreshes; got == 0 {
		t.Errorf("nobody refreshed: %+v, %+v", a.Stats(), b.Stats())
	}
	if got := a.Stats().Misses + b.Stats().Misses; got != 1 {
		t.Errorf("%d misses, want the first read's alone", got)
	}
}
