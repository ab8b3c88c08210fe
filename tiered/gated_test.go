package tiered

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
)

// The gated tests force one order of events each, in virtual time: a trap stops a
// node before or after one of its commands to Redis, and what has to happen in
// between runs inside the trap. Loaders and writers are gates by themselves. Each
// test names the invariant of the protocol that it guards (I1 to I18), and
// internal/mutants proves that it fails without the guard.

// key is what the gated tests read and write.
const key = "k"

// bound is the MaxStale of their nodes: the longest time that anybody may serve
// an old value.
const bound = coherence.DefaultMaxStale

// A stage is one Redis, one source and the nodes between them.
type stage struct {
	*testing.T
	redis  *redistest.Embedded
	source *register
}

// gated runs a test on a stage of its own.
func gated(t *testing.T, test func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(&stage{T: t, redis: redistest.RunPipe(t), source: &register{values: map[string]int{key: 1}}})
	})
}

// settle lets everything that is under way happen, without time passing.
func (s *stage) settle() { synctest.Wait() }

// outlast waits until nobody may serve what was replaced before.
func (s *stage) outlast() { time.Sleep(bound + time.Millisecond) }

// An actor is one process: a way to Redis, a node and a cache.
type actor struct {
	*stage
	traps
	link  *redistest.Link
	rdb   redis.UniversalClient
	node  *coherence.Node
	cache *Cache[int]
}

// join adds a process. Its cache has no jitter, and the smallest local tier.
func (s *stage) join(edit ...func(*Config[int])) *actor {
	s.Helper()
	a := &actor{stage: s, link: s.redis.Link()}
	opts := a.link.Options()
	opts.MinRetryBackoff = -1 // a retry costs no time
	monitor := coherence.Instrument(opts)
	a.rdb = redis.NewUniversalClient(opts)
	a.rdb.AddHook(&a.traps)
	s.Cleanup(func() { _ = a.rdb.Close() })
	var err error
	a.node, err = coherence.Join(s.Context(), a.rdb, coherence.Config{
		Fleet: "f", Monitor: monitor, OnEvent: func(coherence.Event) {},
	})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = a.node.Close() })
	cfg := Config[int]{Name: "p", Jitter: -1, MaxLocalBytes: 1 << 18}
	for _, e := range edit {
		e(&cfg)
	}
	if a.cache, err = New(a.node, cfg); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = a.cache.Close() })
	return a
}

// get reads the key as the application does.
func (a *actor) get() int {
	a.Helper()
	v, err := a.cache.Get(context.Background(), key, a.source.load)
	if err != nil {
		a.Errorf("Get: %v", err)
	}
	return v
}

// want reads the key and fails the test if it is not v.
func (a *actor) want(v int, why string) {
	a.Helper()
	if got := a.get(); got != v {
		a.Errorf("Get = %d, want %d: %s", got, v, why)
	}
	a.settle() // ristretto takes copies in the background
}

// update writes v through the cache.
func (a *actor) update(v int) {
	a.Helper()
	a.updateBy(func() { a.source.set(v) })
}

// updateBy writes through the cache what write puts into the source.
func (a *actor) updateBy(write func()) {
	a.Helper()
	a.updateTo(func() int {
		write()
		return a.source.get(key)
	})
}

// updateTo writes through the cache; write returns what it wrote.
func (a *actor) updateTo(write func() int) {
	a.Helper()
	if _, err := a.cache.Update(context.Background(), key, func(context.Context, string) (int, error) {
		return write(), nil
	}); err != nil {
		a.Errorf("Update: %v", err)
	}
}

// change writes v past the cache and invalidates the key.
func (a *actor) change(v int) {
	a.Helper()
	a.source.set(v)
	if err := a.cache.Invalidate(context.Background(), key); err != nil {
		a.Errorf("Invalidate: %v", err)
	}
}

// holds reports whether the node has a local copy that it would serve now.
func (a *actor) holds() bool {
	a.settle()
	return a.cache.hit(a.cache.space.Hash(key), key, a.node.Now()) != nil
}

// inFlight is a Get under way.
type inFlight struct {
	a    *actor
	done chan int
}

// start begins a Get whose loader runs gate after it has read the source.
func (a *actor) start(gate func()) *inFlight {
	f := &inFlight{a: a, done: make(chan int, 1)}
	go func() {
		v, err := a.cache.Get(context.Background(), key, func(ctx context.Context, k string) (int, error) {
			v, err := a.source.load(ctx, k)
			gate()
			return v, err
		})
		if err != nil {
			a.Errorf("Get: %v", err)
		}
		f.done <- v
	}()
	a.settle()
	return f
}

func (f *inFlight) want(v int, why string) {
	f.a.Helper()
	if got := <-f.done; got != v {
		f.a.Errorf("Get = %d, want %d: %s", got, v, why)
	}
}

// A register is the source: values by key.
type register struct {
	mu     sync.Mutex
	values map[string]int
	loads  int
}

func (r *register) load(_ context.Context, k string) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loads++
	v, ok := r.values[k]
	if !ok {
		return 0, ErrNotFound
	}
	return v, nil
}

func (r *register) get(k string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.values[k]
}

// set writes the key past every cache.
func (r *register) set(v int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values[key] = v
}

func (r *register) loaded() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loads
}

// traps is a hook that runs a test's code around a client's commands.
type traps struct {
	mu    sync.Mutex
	set   []*trap
	twice bool // send every command two times
}

type trap struct {
	command string // GET, or a script's name
	after   bool
	keep    bool // do not disarm when it springs
	run     func() error
}

// before runs f once, before the next such command. Its error keeps the command
// from being sent.
func (t *traps) before(command string, f func() error) { t.arm(&trap{command: command, run: f}) }

// after runs f once, when the next such command has its reply. Its error takes
// the place of the reply.
func (t *traps) after(command string, f func() error) {
	t.arm(&trap{command: command, after: true, run: f})
}

// fail keeps all such commands from being sent until disarm.
func (t *traps) fail(command string) {
	t.arm(&trap{command: command, keep: true, run: func() error { return errCut }})
}

var errCut = errors.New("the connection was cut")

func (t *traps) arm(tr *trap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set = append(t.set, tr)
}

func (t *traps) disarm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set = nil
}

// spring runs the traps for the commands and disarms them first, so that what
// they run does not step into them.
func (t *traps) spring(after bool, names []string) error {
	t.mu.Lock()
	var sprung []*trap
	t.set = slices.DeleteFunc(t.set, func(tr *trap) bool {
		hit := tr.after == after && slices.Contains(names, tr.command)
		if hit {
			sprung = append(sprung, tr)
		}
		return hit && !tr.keep
	})
	t.mu.Unlock()
	for _, tr := range sprung {
		if err := tr.run(); err != nil {
			return err
		}
	}
	return nil
}

func (t *traps) DialHook(next redis.DialHook) redis.DialHook { return next }

func (t *traps) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		name := []string{nameOf(cmd.Args())}
		if err := t.spring(false, name); err != nil {
			cmd.SetErr(err)
			return err
		}
		err := next(ctx, cmd)
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			return err
		}
		if t.twice {
			err = next(ctx, cmd)
		}
		if trapped := t.spring(true, name); trapped != nil {
			cmd.SetErr(trapped)
			return trapped
		}
		return err
	}
}

func (t *traps) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		names := make([]string, len(cmds))
		for i, cmd := range cmds {
			names[i] = nameOf(cmd.Args())
		}
		if err := t.spring(false, names); err != nil {
			return failAll(cmds, err)
		}
		err := next(ctx, cmds)
		for i, cmd := range cmds {
			if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
				names[i] = ""
			}
		}
		if t.twice && !slices.Contains(names, "") {
			err = next(ctx, cmds)
		}
		if trapped := t.spring(true, names); trapped != nil {
			return failAll(cmds, trapped)
		}
		return err
	}
}

func failAll(cmds []redis.Cmder, err error) error {
	for _, cmd := range cmds {
		cmd.SetErr(err)
	}
	return err
}

// digests names the scripts that some client has sent by their source.
var digests sync.Map

var scriptName = regexp.MustCompile(`^-- ([A-Z]+) `)

// nameOf tells which command or script is sent: "" for a script that no server
// has run yet, or that no embedded server runs.
func nameOf(args []any) string {
	command, _ := args[0].(string)
	switch command = strings.ToUpper(command); command {
	case "EVALSHA":
		name, _ := digests.Load(args[1])
		text, _ := name.(string)
		return text
	case "EVAL":
		source, _ := args[1].(string)
		name := scriptName.FindStringSubmatch(source)
		if name == nil {
			return ""
		}
		sum := sha1.Sum([]byte(source))
		digests.Store(hex.EncodeToString(sum[:]), name[1])
		return name[1]
	}
	return command
}

// intercept runs f in the server, once, before the next such script. If f returns
// a text, that script does not run from then on and that is its error.
func (s *stage) intercept(script string, f func() string) {
	var once sync.Once
	refusal := ""
	s.redis.Intercept(func(c *server.Peer, cmd string, args ...string) bool {
		if cmd != "EVAL" && cmd != "EVALSHA" || nameOf([]any{cmd, args[0]}) != script {
			return false
		}
		once.Do(func() { refusal = f() })
		if refusal != "" {
			c.WriteError(refusal)
		}
		return refusal != ""
	})
}
