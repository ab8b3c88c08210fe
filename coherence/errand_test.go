package coherence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Nobody waits for company: one announcement takes one round trip, and the next one
// finds its slot free.
func TestAloneIsNotDelayed(t *testing.T) {
	inBubble(t, func(w *world) {
		m := w.join()
		s := m.openSpace(w, "s")
		w.announce(s, "warm") // connections and scripts
		m.link.Delay(latency)
		for range 3 {
			began := time.Now()
			w.announce(s, "k")
			if took := time.Since(began); took != latency {
				w.Errorf("took %v, want the link's delay of %v", took, latency)
			}
		}
	})
}

// A hook of the client that panics takes its caller along, and no slot.
func TestPanicGivesTheSlotUp(t *testing.T) {
	inBubble(t, func(w *world) {
		m := w.join()
		s := m.openSpace(w, "s")
		var hook panicking
		m.rdb.AddHook(&hook)
		ctx, cancel := context.WithTimeout(w.Context(), DefaultTimeout)
		defer cancel()
		hook.on.Store(true)
		for range slots + 1 {
			mustPanic(w.T, func() { _ = s.Announce(ctx, "k") })
		}
		hook.on.Store(false)
		if err := s.Announce(ctx, "k"); err != nil {
			w.Errorf("Announce: %v", err)
		}
	})
}

// mustPanic wants f to panic with errHook.
func mustPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if got := recover(); got != errHook {
			t.Errorf("panics with %v, want %v", got, errHook)
		}
	}()
	f()
}

var errHook = errors.New("a hook")

type panicking struct{ on atomic.Bool }

func (p *panicking) DialHook(next redis.DialHook) redis.DialHook { return next }

func (p *panicking) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if p.on.Load() && strings.HasPrefix(cmd.Name(), "eval") {
			panic(errHook)
		}
		return next(ctx, cmd)
	}
}

func (p *panicking) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// What queues is cut into entries of maxKeys keys.
func TestEntriesOfABatchAreBounded(t *testing.T) {
	queued(t, func(w *queueing) {
		const callers, each = 10, 100
		before := w.a.Stats().Announced + slots // those under way
		var stamps [callers][each]Stamp
		var all sync.WaitGroup
		for i := range callers {
			keys := make([]string, each)
			for k := range keys {
				keys[k] = fmt.Sprint(i, "-", k, strings.Repeat("x", 8))
				stamps[i][k] = w.bs.Stamp(keys[k])
			}
			all.Go(func() {
				if err := w.as.Announce(w.Context(), keys...); err != nil {
					w.Error(err)
				}
			})
		}
		all.Wait()
		pass(0)
		for i := range stamps {
			for _, st := range stamps[i] {
				wantValid(w, w.bs, st, false)
			}
		}
		if got, want := w.a.Stats().Announced-before, uint64(callers/2); got != want {
			w.Errorf("%d entries, want %d", got, want)
		}
		if n := w.b.Stats().Malformed; n != 0 {
			w.Errorf("%d malformed", n)
		}
	})
}

// A batch that Redis refuses fails for everybody in it, and the journal makes up for
// each.
func TestBatchIsJournalled(t *testing.T) {
	queued(t, func(w *queueing) {
		w.busy.Wait()
		w.refuseScripts("NOREPLICAS not now")
		var stamps [3 * slots]Stamp
		var all sync.WaitGroup
		for i := range stamps {
			key := fmt.Sprint("k", i)
			stamps[i] = w.bs.Stamp(key)
			all.Go(func() { wantIs(w, w.as.Announce(w.Context(), key), ErrUnconfirmed) })
		}
		all.Wait()
		if n := w.a.Stats().Journal; n != len(stamps) {
			w.Errorf("the journal holds %d keys, want %d", n, len(stamps))
		}
		w.refuseScripts("")
		pass(time.Second)
		for _, st := range stamps {
			wantValid(w, w.bs, st, false)
		}
	})
}

// Close waits for the batches that are under way; who comes too late is told so.
func TestCloseWithAQueue(t *testing.T) {
	queued(t, func(w *queueing) {
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				if err := w.as.Announce(w.Context(), fmt.Sprint("k", i)); err != nil {
					wantIs(w, err, ErrClosed)
				}
			})
		}
		pass(0)
		if err := w.a.Close(); err != nil {
			w.Error(err)
		}
		all.Wait()
	})
}

// Callers of one node without pause: each key is dropped everywhere when its
// announcement has returned, and many share an entry.
func TestManyAnnounceAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		as, bs := a.openSpace(w, "s"), b.openSpace(w, "s")
		const callers, each = 32, 20
		var others [callers * each]Stamp
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				for k := range each {
					key := fmt.Sprint(i, "-", k)
					own, other := as.Stamp(key), bs.Stamp(key)
					if err := as.Announce(w.Context(), key); err != nil {
						w.Errorf("%s: %v", key, err)
					}
					wantValid(w, as, own, false)
					others[i*each+k] = other
				}
			})
		}
		all.Wait()
		pass(0)
		for _, st := range others {
			wantValid(w, bs, st, false)
		}
		if n := a.Stats().Announced; n == 0 || n > callers*each/2 {
			w.Errorf("%d entries for %d announcements", n, callers*each)
		}
	})
}
