package coherence

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// A world is one Redis and the nodes on it, in virtual time: nothing in it
// depends on the speed of the machine.
type world struct {
	*testing.T
	redis *redistest.Embedded
	rules *rules
}

// inBubble runs a test in a world of its own.
func inBubble(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, redis: redistest.RunPipe(t), rules: &rules{}}
		w.redis.Intercept(w.rules.hook)
		test(w)
	})
}

// rules are what the server does instead of what it was asked for.
type rules struct {
	unpublished atomic.Bool            // drop what scripts publish: messages are lost, subscriptions live
	refuse      atomic.Pointer[string] // answer EVAL and EVALSHA with this error
	subscribing atomic.Pointer[func()] // runs before the next SUBSCRIBE
	running     atomic.Pointer[func()] // runs before the next EVAL or EVALSHA
}

func (r *rules) hook(c *server.Peer, cmd string, _ ...string) bool {
	switch cmd {
	case "PUBLISH":
		if r.unpublished.Load() {
			c.WriteInt(0)
			return true
		}
	case "SUBSCRIBE":
		if f := r.subscribing.Swap(nil); f != nil {
			(*f)()
		}
	case "EVAL", "EVALSHA":
		if f := r.running.Swap(nil); f != nil {
			(*f)()
		}
		if text := r.refuse.Load(); text != nil {
			c.WriteError(*text)
			return true
		}
	}
	return false
}

// refuseScripts makes all scripts fail with an error of the server; "" ends that.
func (w *world) refuseScripts(text string) {
	if text == "" {
		w.rules.refuse.Store(nil)
		return
	}
	w.rules.refuse.Store(&text)
}

// A member is a node with all that belongs to it.
type member struct {
	*Node
	link *redistest.Link
	rdb  redis.UniversalClient
	log  *eventLog
}

// join makes a member of the fleet "f" and waits until it is in step. Its
// client has no retries, so that a fault is seen at once.
func (w *world) join(with ...func(*Config)) *member {
	w.Helper()
	m, err := w.tryJoin(w.Context(), with...)
	if err != nil {
		w.Fatal(err)
	}
	if err := m.Ready(w.Context()); err != nil {
		w.Fatal(err)
	}
	return m
}

func (w *world) tryJoin(ctx context.Context, with ...func(*Config)) (*member, error) {
	return w.joinOver(ctx, w.redis.Link(), with...)
}

func (w *world) joinOver(ctx context.Context, link *redistest.Link, with ...func(*Config)) (*member, error) {
	m := &member{link: link, log: &eventLog{}}
	opts := m.link.Options()
	opts.MaxRetries = -1
	cfg := Config{Fleet: "f", OnEvent: m.log.add, Monitor: Instrument(opts)}
	for _, f := range with {
		f(&cfg)
	}
	m.rdb = redis.NewUniversalClient(opts)
	w.Cleanup(func() { _ = m.rdb.Close() })
	var err error
	if m.Node, err = Join(ctx, m.rdb, cfg); err != nil {
		return nil, err
	}
	w.Cleanup(func() { _ = m.Close() })
	return m, nil
}

// space opens a space whose name the fleet shares.
func (m *member) openSpace(t testing.TB, name string) *Space {
	t.Helper()
	s, err := m.Space(SpaceConfig{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// admin is a client of the server that no node shares.
func (w *world) admin() *redis.Client {
	rdb := redis.NewClient(w.redis.Link().Options().Simple())
	w.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// pass lets virtual time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// An eventLog collects what a node says.
type eventLog struct {
	mu   sync.Mutex
	seen []Event
}

func (l *eventLog) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, e)
}

func (l *eventLog) all() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.seen)
}

func (l *eventLog) of(kind EventKind) (found []Event) {
	for _, e := range l.all() {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

func (l *eventLog) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = nil
}

// want fails unless the node has said kind so many times.
func (l *eventLog) want(t testing.TB, kind EventKind, times int) []Event {
	t.Helper()
	found := l.of(kind)
	if len(found) != times {
		t.Errorf("%d events %q, want %d; all: %v", len(found), kind, times, l.all())
	}
	return found
}

// eventually polls in real time: for what another process does when it likes.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in 30 s: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func wantState(t testing.TB, n *Node, want State) {
	t.Helper()
	if got := n.State(); got != want {
		t.Errorf("State() = %v, want %v", got, want)
	}
}

func wantIs(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func wantValid(t testing.TB, s *Space, st Stamp, want bool) {
	t.Helper()
	if got := s.Valid(st); got != want {
		t.Errorf("node %s, space %s: Valid = %t, want %t", s.node.Name(), s.Name(), got, want)
	}
}

// quiet drops the log of go-redis.
type quiet struct{}

func (*quiet) Printf(context.Context, string, ...any) {}

func cancelled(t testing.TB) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}
