package tiered_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// The names that the rig's fleets use in Redis.
const (
	fleetName = "f"
	cacheName = "c"
	prefix    = fleetName + ":" + cacheName + ":"
)

func init() { logging.Disable() } // go-redis reports every connection that a test cuts

// bound is MaxStale of the rig's nodes.
const bound = coherence.DefaultMaxStale

// A fleet is some processes around one embedded Redis, in the virtual time of a
// synctest bubble. Each has a cache of strings, all with the same Config.
type fleet struct {
	*redistest.Embedded
	sites []*site
}

// A site is one process: its way to Redis, its node and its cache.
type site struct {
	*tiered.Cache[string]
	link *redistest.Link
	rdb  redis.UniversalClient
	node *coherence.Node
	sent *commands
}

// bubble runs a test with a fleet of n sites and closes them in order. Leaked
// goroutines fail it: the bubble cannot end with them.
func bubble(t *testing.T, n int, cfg tiered.Config[string], test func(t *testing.T, f *fleet)) {
	t.Helper()
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{Embedded: redistest.RunPipe(t)}
		for range n {
			f.add(t, cfg)
		}
		test(t, f)
	})
}

// noLeaks fails the test if it leaves a goroutine behind.
func noLeaks(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t, redistest.LateDials()...) })
}

// add starts one more site.
func (f *fleet) add(t *testing.T, cfg tiered.Config[string]) *site {
	t.Helper()
	s := f.dial(t)
	s.join(t)
	s.Cache = open(t, s.node, cfg)
	f.sites = append(f.sites, s)
	return s
}

// dial makes a site that is not a node yet.
func (f *fleet) dial(t *testing.T) *site {
	s := &site{link: f.Link(), sent: &commands{}}
	return s
}

// join makes the site a node of the fleet, though Redis may be away.
func (s *site) join(t *testing.T) {
	t.Helper()
	s.rdb, s.node = join(t, s.link.Options(), coherence.Config{})
	s.rdb.AddHook(s.sent)
}

// join connects a node that is closed, then its client, at the end of the test.
func join(t *testing.T, opts *redis.UniversalOptions, cfg coherence.Config) (redis.UniversalClient, *coherence.Node) {
	t.Helper()
	monitor := coherence.Instrument(opts)
	rdb := redis.NewUniversalClient(opts)
	t.Cleanup(func() { rdb.Close() })
	cfg.Fleet, cfg.Monitor = fleetName, monitor
	if cfg.OnEvent == nil {
		cfg.OnEvent = func(coherence.Event) {}
	}
	node, err := coherence.Join(t.Context(), rdb, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.Close() })
	return rdb, node
}

// open opens the cache named c, closed at the end of the test. Expiries are
// exact: where the test asks for no jitter there is none.
func open[V any](t testing.TB, node *coherence.Node, cfg tiered.Config[V]) *tiered.Cache[V] {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = cacheName
	}
	if cfg.Jitter == 0 {
		cfg.Jitter = -1
	}
	c, err := tiered.New(node, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// commands is a client hook that remembers what was sent, and can break it.
type commands struct {
	mu    sync.Mutex
	sent  []string   // single commands: name and, of scripts, nothing else
	pipes [][]string // pipelines
	fail  func(cmds []redis.Cmder) error
}

func (c *commands) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *commands) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := c.note([]redis.Cmder{cmd}, false); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (c *commands) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := c.note(cmds, true); err != nil {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
			return err
		}
		return next(ctx, cmds)
	}
}

func (c *commands) note(cmds []redis.Cmder, pipe bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := make([]string, len(cmds))
	for i, cmd := range cmds {
		names[i] = cmd.Name()
	}
	switch {
	case slices.Contains(names, "hello") || slices.Contains(names, "info"): // a new connection, not the cache
	case pipe:
		c.pipes = append(c.pipes, names)
	default:
		c.sent = append(c.sent, names...)
	}
	if c.fail != nil {
		return c.fail(cmds)
	}
	return nil
}

// reset forgets what was sent and returns it.
func (c *commands) reset() (sent []string, pipes [][]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sent, pipes = c.sent, c.pipes
	c.sent, c.pipes = nil, nil
	return sent, pipes
}

// breakOn makes fail decide about every command before it is sent; nil mends.
func (c *commands) breakOn(fail func(cmds []redis.Cmder) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = fail
}

// A database is the source behind the caches of a test.
type database struct {
	mu     sync.Mutex
	rows   map[string]string
	delay  time.Duration // of each read, between the read and the return
	down   error         // of each read and write
	loads  int
	active int
	peak   int // most reads at once
}

func newDatabase(rows ...string) *database {
	d := &database{rows: map[string]string{}}
	for i := 0; i < len(rows); i += 2 {
		d.rows[rows[i]] = rows[i+1]
	}
	return d
}

// load is a Loader.
func (d *database) load(ctx context.Context, key string) (string, error) {
	values, err := d.loadAll(ctx, []string{key})
	v, ok := values[key]
	if err == nil && !ok {
		err = tiered.ErrNotFound
	}
	return v, err
}

// loadAll is a BatchLoader.
func (d *database) loadAll(ctx context.Context, keys []string) (map[string]string, error) {
	values, delay, err := d.read(keys)
	defer d.leave()
	if err == nil && delay > 0 {
		err = sleep(ctx, delay)
	}
	return values, err
}

func (d *database) read(keys []string) (map[string]string, time.Duration, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loads++
	d.active++
	d.peak = max(d.peak, d.active)
	values := map[string]string{}
	for _, key := range keys {
		if v, ok := d.rows[key]; ok {
			values[key] = v
		}
	}
	return values, d.delay, d.down
}

func (d *database) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.active--
}

// set is a change of the source that no cache knows of. An empty value deletes.
func (d *database) set(key, value string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if value == "" {
		delete(d.rows, key)
	} else {
		d.rows[key] = value
	}
}

// row returns what the source holds.
func (d *database) row(key string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rows[key]
}

// delays makes each read that begins from now on take so long.
func (d *database) delays(delay time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.delay = delay
}

// running returns how many reads run, and how many ran at once at most.
func (d *database) running() (now, peak int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.active, d.peak
}

// fails makes every read and write return err; nil ends that.
func (d *database) fails(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = err
}

// writes returns a Writer of value; of "", one that deletes.
func (d *database) writes(value string) tiered.Writer[string] {
	return func(_ context.Context, key string) (string, error) {
		d.mu.Lock()
		err := d.down
		d.mu.Unlock()
		if err != nil {
			return "", err
		}
		d.set(key, value)
		if value == "" {
			return "", tiered.ErrNotFound
		}
		return value, nil
	}
}

// wantLoads checks how often the source was asked since the last call.
func (d *database) wantLoads(t *testing.T, want int) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.loads != want {
		t.Errorf("%d loads, want %d", d.loads, want)
	}
	d.loads = 0
}

// sleep waits in virtual time, unless the context ends before.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// A reader is what a test reads through.
type reader interface {
	Get(ctx context.Context, key string, load tiered.Loader[string], opts ...tiered.Option) (string, error)
}

func wantGet(t *testing.T, c reader, key string, db *database, want string, opts ...tiered.Option) {
	t.Helper()
	if got, err := c.Get(t.Context(), key, db.load, opts...); got != want || err != nil {
		t.Errorf("Get(%q) = %q, %v, want %q", key, got, err, want)
	}
	settle()
}

func wantGetError(t *testing.T, c reader, key string, db *database, want error) {
	t.Helper()
	got, err := c.Get(t.Context(), key, db.load)
	if got != "" || !errors.Is(err, want) {
		t.Errorf("Get(%q) = %q, %v, want error %v", key, got, err, want)
	}
	settle()
}

// settle lets everything that was started come to rest: ristretto stores in the
// background.
func settle() { synctest.Wait() }

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

func wantStat(t *testing.T, what string, got, want uint64) {
	t.Helper()
	if got != want {
		t.Errorf("Stats: %s = %d, want %d", what, got, want)
	}
}

// wantKeysExpire checks that nothing but the bus stays in Redis for good.
func (f *fleet) wantKeysExpire(t *testing.T) {
	t.Helper()
	for _, key := range f.Keys() {
		if !strings.HasPrefix(key, "{"+fleetName+"}:") && f.TTL(key) == 0 {
			t.Errorf("key %q has no TTL", key)
		}
	}
}

// kind returns what stands under a key in Redis: V, L, F or 0.
func (f *fleet) kind(key string) byte {
	record, err := f.Embedded.Get(prefix + key)
	if err != nil || record == "" {
		return 0
	}
	return record[0]
}

func (f *fleet) wantKind(t *testing.T, key string, want byte) {
	t.Helper()
	if got := f.kind(key); got != want {
		t.Errorf("Redis holds kind %q under %q, want %q", got, key, want)
	}
}

// pending is a call under way.
type pending struct {
	done  chan struct{}
	value string
	err   error
	took  time.Duration
}

// start runs call in a goroutine, and everything else until it waits.
func start(call func() (string, error)) *pending {
	p := &pending{done: make(chan struct{})}
	began := time.Now()
	go func() {
		defer close(p.done)
		p.value, p.err = call()
		p.took = time.Since(began)
	}()
	settle()
	return p
}

// running reports whether the call has not returned yet.
func (p *pending) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// wait waits for the call's end. Time is virtual: a call that takes an hour of it hangs.
func (p *pending) wait(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
		settle()
	case <-time.After(time.Hour):
		t.Fatal("the call hangs")
	}
}

func (p *pending) want(t *testing.T, value string, err error) {
	t.Helper()
	p.wait(t)
	if p.value != value || !errors.Is(p.err, err) {
		t.Errorf("the call returned %q, %v, want %q, %v", p.value, p.err, value, err)
	}
}
