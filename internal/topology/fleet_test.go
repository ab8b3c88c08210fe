package topology

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func TestMain(m *testing.M) {
	if task := os.Getenv(childEnv); task != "" {
		if err := beChild(task); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	logging.Disable() // go-redis reports every connection that a failover costs
	goleak.VerifyTestMain(m, redistest.LateDials()...)
}

// patience is longer than any wait of a working fleet.
const patience = time.Minute

// A source is the system of record that all nodes share, and counts its loads.
type source struct {
	mu      sync.Mutex
	records map[string]string
	loads   map[string]int
	hold    chan struct{} // loads wait for it, if set
	entered chan string   // and tell their key first
}

func newSource() *source {
	return &source{records: map[string]string{}, loads: map[string]int{}}
}

func (s *source) set(key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[key] = value
}

func (s *source) loaded(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads[key]
}

func (s *source) load(ctx context.Context, key string) (string, error) {
	s.mu.Lock()
	s.loads[key]++
	v, ok := s.records[key]
	hold, entered := s.hold, s.entered
	s.mu.Unlock()
	if hold != nil {
		entered <- key
		select {
		case <-hold:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if !ok {
		return "", tiered.ErrNotFound
	}
	return v, nil
}

func (s *source) loadMany(_ context.Context, keys []string) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]string{}
	for _, key := range keys {
		s.loads[key]++
		if v, ok := s.records[key]; ok {
			found[key] = v
		}
	}
	return found, nil
}

// write returns a writer that stores value.
func (s *source) write(value string) tiered.Writer[string] {
	return func(_ context.Context, key string) (string, error) {
		s.set(key, value)
		return value, nil
	}
}

// A site is one process of the fleet.
type site struct {
	*tiered.Cache[string]
	node *coherence.Node

	mu     sync.Mutex
	events []coherence.Event
}

func (s *site) hear(e coherence.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *site) heard() []coherence.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

func (s *site) told(kind coherence.EventKind) (times int) {
	for _, e := range s.heard() {
		if e.Kind == kind {
			times++
		}
	}
	return times
}

// unhurried are timeouts that a busy machine keeps, for tests in which nothing
// is to fail: they count what went wrong.
func unhurried(opts redis.UniversalOptions) (redis.UniversalOptions, coherence.Config) {
	const long = 10 * time.Second
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = long, long, long
	return opts, coherence.Config{MaxStale: 3 * long, Probe: time.Second, Timeout: long}
}

// open starts a site that reaches Redis by opts and ends it with the test.
func open(t *testing.T, opts redis.UniversalOptions, how coherence.Config, cfg tiered.Config[string]) *site {
	t.Helper()
	s := &site{}
	monitor := coherence.Instrument(&opts)
	rdb := redis.NewUniversalClient(&opts)
	t.Cleanup(func() { _ = rdb.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var err error
	how.Fleet, how.Monitor, how.OnEvent = "f", monitor, s.hear
	if s.node, err = coherence.Join(ctx, rdb, how); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.node.Close() })
	if err := s.node.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	s.meetShards(t, rdb)
	if s.Cache, err = tiered.New(s.node, cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// meetShards has the site enter every shard of a Cluster into the fleet's
// records. It would do so at the first command for the shard, whose reply it
// then would not trust.
func (s *site) meetShards(t *testing.T, rdb redis.UniversalClient) {
	t.Helper()
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		return
	}
	if err := cluster.ForEachMaster(t.Context(), func(ctx context.Context, shard *redis.Client) error {
		return shard.Ping(ctx).Err()
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the shards are known", func(context.Context) error {
		if _, ok := s.node.View(); !ok {
			return errors.New("no view")
		}
		return nil
	})
}

// eventually polls: for what another process does when it likes.
func eventually(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not in %v: %s: %v", patience, what, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// reads returns an attempt to read want.
func (s *site) reads(key, want string, load tiered.Loader[string]) func(context.Context) error {
	return func(ctx context.Context) error {
		got, err := s.Get(ctx, key, load)
		if err == nil && got != want {
			err = fmt.Errorf("Get(%q) = %q, want %q", key, got, want)
		}
		return err
	}
}

func wantValue(t *testing.T, what, got string, err error, want string) {
	t.Helper()
	if err != nil || got != want {
		t.Errorf("%s = %q, %v, want %q", what, got, err, want)
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}
