package topology

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/tiered"
)

// A watch reads and writes a few keys on every site, over and over, and holds every
// single read to the bound (I1): one that began at a returns no version older than
// one whose write had returned before a - MaxStale. Instants are noted before reads
// and after writes, so that a slow machine can only make the check laxer.
//
// Reads of a strong cache have to be linearizable (I15). The source numbers its
// versions, so that this is simple to tell: a read returns no version below one that a
// write or another read had returned before it began.
type watch struct {
	*testing.T
	sites  []*site
	keys   []string
	bound  time.Duration
	strong bool
	begun  time.Time

	mu     sync.Mutex
	rows   map[string][]time.Time // by version: when a write of it had returned, zero if none has
	floors map[string]int         // the highest version that a read or a write has returned
	reads  int
	writes int           // confirmed
	oldest time.Duration // the oldest value served, counted from the return of the write that replaced it
	wrong  []string
}

// keep are the times of the sites that are watched: a fence or lease that a fault
// leaves behind is over soon.
var keep = tiered.Config[string]{Name: "c", FenceTTL: 2 * time.Second, LeaseTTL: 500 * time.Millisecond, WaitMax: time.Second}

// watched starts n sites and the load on them, and judges the test when it ends.
func watched(t *testing.T, n int, opts redis.UniversalOptions) *watch {
	t.Helper()
	return watchedOn(t, slices.Repeat([]redis.UniversalOptions{opts}, n), coherence.Config{}, keep)
}

// watchedOn is watched with one site for each of the options.
func watchedOn(t *testing.T, links []redis.UniversalOptions, how coherence.Config, cfg tiered.Config[string]) *watch {
	t.Helper()
	w := &watch{
		T: t, bound: coherence.DefaultMaxStale, strong: cfg.Consistency == tiered.Strong, begun: time.Now(),
		rows: make(map[string][]time.Time), floors: make(map[string]int),
	}
	for i := range 12 { // in every shard of a Cluster
		key := "k" + strconv.Itoa(i)
		w.keys, w.rows[key] = append(w.keys, key), []time.Time{time.Now()}
	}
	for _, opts := range links {
		w.sites = append(w.sites, open(t, opts, how, cfg))
	}
	endReads, endWrites := w.employ(w.read, w.read), w.employ(w.write)
	t.Cleanup(func() {
		w.await(300, 50)
		endWrites()
		time.Sleep(w.bound) // what is old now may not be served after it
		w.await(w.readsSoFar()+20*len(w.keys), 0)
		endReads()
		w.conclude()
	})
	return w
}

// employ has every site do the work, each in a goroutine, until the returned function
// is called.
func (w *watch) employ(work ...func(context.Context, *site)) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for _, s := range w.sites {
		for _, do := range work {
			workers.Go(func() {
				for ctx.Err() == nil {
					do(ctx, s)
					pause(ctx, time.Millisecond+rand.N(2*time.Millisecond)) // the pace of the load
				}
			})
		}
	}
	return func() {
		cancel()
		workers.Wait()
	}
}

// await waits for so many reads and writes in all: with fewer nothing would be shown.
func (w *watch) await(reads, writes int) {
	for end := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		w.mu.Lock()
		done := w.reads >= reads && w.writes >= writes
		w.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(end) {
			w.Errorf("fewer than %d reads or %d writes in %v", reads, writes, patience)
			return
		}
	}
}

func (w *watch) readsSoFar() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reads
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (w *watch) conclude() {
	w.Logf("%d reads, %d writes, oldest value served %v after its successor", w.reads, w.writes, w.oldest.Round(time.Millisecond))
	for i, text := range w.wrong {
		if i == 5 {
			w.Errorf("and %d more", len(w.wrong)-i)
			break
		}
		w.Error(text)
	}
}

// load reads the source, which takes a while afterwards to answer.
func (w *watch) load(ctx context.Context, key string) (string, error) {
	w.mu.Lock()
	version := len(w.rows[key])
	w.mu.Unlock()
	pause(ctx, rand.N(3*time.Millisecond))
	return strconv.Itoa(version), ctx.Err()
}

// commit writes the source.
func (w *watch) commit(key string) (version int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rows[key] = append(w.rows[key], time.Time{})
	return len(w.rows[key])
}

// returned notes that a write of a version has returned: the bound holds from now on.
func (w *watch) returned(key string, version int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes++
	w.rows[key][version-1] = time.Now()
	w.floors[key] = max(w.floors[key], version)
}

func (w *watch) floor(key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.floors[key]
}

func (w *watch) violated(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

func (w *watch) someKey() string { return w.keys[rand.N(len(w.keys))] }

// dueKey is one of the third of the keys that is being written. The others rest for
// longer than the bound: a key that is always being written is never old for long.
func (w *watch) dueKey() string {
	turn := int(time.Since(w.begun) / (w.bound * 3 / 2))
	return w.keys[3*rand.N(len(w.keys)/3)+turn%3]
}

// read is one read; no state of Redis may make it fail.
func (w *watch) read(_ context.Context, s *site) {
	key := w.someKey()
	floor, began := w.floor(key), time.Now()
	v, err := s.Get(context.Background(), key, w.load)
	got, malformed := strconv.Atoi(v)
	if err = errors.Join(err, malformed); err != nil {
		w.violated("Get(%q) on %s: %v", key, s.node.Name(), err)
		return
	}
	w.judge(s, key, began, got, floor)
}

func (w *watch) judge(s *site, key string, began time.Time, got, floor int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	w.floors[key] = max(w.floors[key], got)
	if w.strong && got < floor {
		w.wrong = append(w.wrong, fmt.Sprintf("I15: Get(%q) on %s returned version %d after version %d had been returned", key, s.node.Name(), got, floor))
	}
	for v := got + 1; v <= len(w.rows[key]); v++ {
		at := w.rows[key][v-1]
		if at.IsZero() || at.After(began) {
			continue
		}
		age := began.Sub(at)
		w.oldest = max(w.oldest, age)
		if age > w.bound {
			w.wrong = append(w.wrong, fmt.Sprintf("I1: Get(%q) on %s returned version %d %v after the write of version %d had returned",
				key, s.node.Name(), got, age, v))
			return
		}
	}
}

// write is an Update, or a write past the fleet that is invalidated: reads are
// linearizable with respect to the former alone.
func (w *watch) write(ctx context.Context, s *site) {
	if key := w.dueKey(); !w.strong && rand.N(4) == 0 {
		version := w.commit(key)
		if s.Invalidate(ctx, key) == nil {
			w.returned(key, version)
		}
	} else {
		_ = w.update(ctx, s, key) // judged
	}
}

func (w *watch) update(ctx context.Context, s *site, key string) error {
	version := 0
	_, err := s.Update(ctx, key, func(ctx context.Context, _ string) (string, error) {
		pause(ctx, rand.N(3*time.Millisecond)) // under the fence
		version = w.commit(key)
		return strconv.Itoa(version), nil
	})
	switch {
	case err == nil:
		w.returned(key, version)
	case errors.Is(err, tiered.ErrNotWritten) && version != 0:
		w.violated("I8: Update(%q) on %s: %v, but the source was written", key, s.node.Name(), err)
	case !errors.Is(err, tiered.ErrNotWritten) && !errors.Is(err, tiered.ErrUnconfirmed):
		w.violated("Update(%q) on %s: %v", key, s.node.Name(), err)
	}
	return err
}

// recovered waits until every site is in step and has written every key, for half as
// long as a Cluster client of go-redis would stay on a dead master by itself: a node
// did so whose bus was in another shard. Strong writes wait for others as well, and are
// given more time.
func (w *watch) recovered(what string) {
	w.Helper()
	began := time.Now()
	defer func() {
		if took := time.Since(began); took > patience/2 && !w.strong {
			w.Errorf("%s: the fleet has recovered after %v", what, took)
		}
	}()
	for _, s := range w.sites {
		for _, key := range w.keys {
			eventually(w.T, what+": every site writes "+key, func(ctx context.Context) error { return w.update(ctx, s, key) })
		}
		eventually(w.T, what+": every site is in step", func(context.Context) error {
			if state := s.node.State(); state != coherence.InStep {
				return fmt.Errorf("%v: %+v", state, s.node.Stats())
			}
			return nil
		})
	}
}

// heardAnew waits until pub/sub delivers to every site what is announced from now on.
func (w *watch) heardAnew(what string) {
	w.Helper()
	for _, s := range w.sites {
		before := s.node.Stats().Messages
		eventually(w.T, what+": pub/sub delivers", func(context.Context) error {
			if now := s.node.Stats(); now.Messages == before {
				return fmt.Errorf("%+v", now)
			}
			return nil
		})
	}
}
