package coherence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// An eraser is what a tier that processes share looks like to a space.
type eraser struct {
	fail  atomic.Bool
	runs  atomic.Int64
	hold  chan struct{} // if set, each run waits for it
	block atomic.Bool
}

var errErase = errors.New("the shared tier is away")

func (e *eraser) erase(ctx context.Context, keys []string) error {
	if e.fail.Load() {
		return errErase
	}
	e.runs.Add(1)
	if e.block.Load() {
		<-e.hold
	}
	return nil
}

func (m *member) erasingSpace(t testing.TB, name string) (*Space, *eraser) {
	t.Helper()
	e := &eraser{hold: make(chan struct{})}
	s, err := m.Space(SpaceConfig{Name: name, Erase: e.erase})
	if err != nil {
		t.Fatal(err)
	}
	return s, e
}

func TestJournalRetriesUntilConfirmed(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		sa, e := a.erasingSpace(w, "s")
		sb := b.openSpace(w, "s")
		own, other := sa.Stamp("k"), sb.Stamp("k")
		e.fail.Store(true)
		err := sa.Announce(w.Context(), "k")
		wantIs(w, err, ErrUnconfirmed)
		wantIs(w, err, errErase)
		wantValid(w, sa, own, false)
		wantValid(w, sb, other, true)
		if !sa.Pending("k") || sa.Pending("other") {
			w.Errorf("Pending = %t, %t, want true for k alone", sa.Pending("k"), sa.Pending("other"))
		}
		_ = sa.Announce(w.Context(), "k", "l") // k is held already
		if got := a.Stats().Journal; got != 2 {
			w.Errorf("Stats().Journal = %d, want 2", got)
		}
		pass(time.Second)
		a.log.want(w, EventJournal, 2)
		a.log.want(w, EventSettled, 0)

		e.fail.Store(false)
		pass(time.Second)
		if got := e.runs.Load(); got != 2 {
			w.Errorf("erased %d times, want once for each key: the retries have grown small", got)
		}
		wantValid(w, sb, other, false)
		if sa.Pending("k") || sa.Pending("l") || a.Stats().Journal != 0 {
			w.Error("keys are pending after they were confirmed")
		}
		a.log.want(w, EventSettled, 1)
	})
}

// A key that fails anew while its retry is under way is not confirmed by it:
// the change may be younger.
func TestJournalKeepsWhatFailsAnew(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.join()
		s, e := a.erasingSpace(w, "s")
		e.fail.Store(true)
		_ = s.Announce(w.Context(), "k")
		e.block.Store(true)
		e.fail.Store(false)
		pass(time.Second) // the retry waits in the shared tier
		e.fail.Store(true)
		wantIs(w, s.Announce(w.Context(), "k"), ErrUnconfirmed)
		close(e.hold)
		pass(time.Second)
		if !s.Pending("k") {
			w.Error("the older retry confirmed the younger failure")
		}
		a.log.want(w, EventSettled, 0)
		e.fail.Store(false)
		pass(time.Second)
		if s.Pending("k") {
			w.Error("still pending")
		}
		a.log.want(w, EventSettled, 1)
	})
}

func TestJournalSendsManyKeysInParts(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		sa, e := a.erasingSpace(w, "s")
		sb := b.openSpace(w, "s")
		keys := make([]string, 2*maxKeys+1)
		stamps := make([]Stamp, len(keys))
		for i := range keys {
			keys[i] = fmt.Sprint("key", i)
			stamps[i] = sb.Stamp(keys[i])
		}
		e.fail.Store(true)
		wantIs(w, sa.Announce(w.Context(), keys...), ErrUnconfirmed)
		e.fail.Store(false)
		pass(time.Second)
		for i, st := range stamps {
			if sb.Valid(st) {
				w.Fatalf("%s was not announced", keys[i])
			}
		}
		if got := a.Stats(); got.Announced != 3 || got.Journal != 0 {
			w.Errorf("Stats() = %+v, want 3 announced, none in the journal", got)
		}
	})
}

func TestJournalOverflowVoidsTheFleet(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.join(func(c *Config) { c.JournalSize = 2 })
		b := w.join()
		sa, e := a.erasingSpace(w, "s")
		sb := b.openSpace(w, "s")
		epoch := b.history.epoch.Load()
		st := sb.Stamp("never named")
		e.fail.Store(true)
		a.link.Cut() // nothing can be voided now
		wantIs(w, sa.Announce(w.Context(), "1", "2"), ErrUnconfirmed)
		a.log.want(w, EventOverflow, 0)
		wantIs(w, sa.Announce(w.Context(), "3"), ErrUnconfirmed)
		wantIs(w, sa.Announce(w.Context(), "4"), ErrUnconfirmed)
		a.log.want(w, EventOverflow, 1)
		for _, key := range []string{"1", "3", "anything"} {
			if !sa.Pending(key) {
				w.Errorf("Pending(%q) = false with a full journal", key)
			}
		}
		if got := a.Stats().Journal; got != 2 {
			w.Errorf("Stats().Journal = %d, want 2", got)
		}
		a.link.Heal()
		e.fail.Store(false)
		pass(2 * time.Second)
		if sa.Pending("1") || sa.Pending("anything") {
			w.Error("keys are pending after all was voided")
		}
		wantValid(w, sb, st, false)
		if got := b.history.epoch.Load(); got <= epoch {
			w.Errorf("epoch of L2 = %d, want above %d", got, epoch)
		}
		a.log.want(w, EventSettled, 1)
		wantState(w, a.Node, InStep)
		wantState(w, b.Node, InStep)
	})
}

// Found by reading: a key that did not fit while the flush was under way was
// taken for flushed, although its change may be younger than the flush.
func TestOverflowDuringTheFlush(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.join(func(c *Config) { c.JournalSize = 1 })
		s, e := a.erasingSpace(w, "s")
		e.fail.Store(true)
		before := a.history.epoch.Load()
		var first, flushes atomic.Int64
		var meet func()
		meet = func() { // runs before each script: only MEET gets so far
			if flushes.Add(1); first.Swap(1) == 0 {
				_ = s.Announce(context.Background(), "3")
			}
			w.rules.running.Store(&meet)
		}
		w.rules.running.Store(&meet)
		_ = s.Announce(w.Context(), "1", "2")
		pass(time.Second)
		w.rules.running.Store(nil)
		// A flush is two MEETs by force, each of which raises the epoch.
		if got := flushes.Load(); got != 4 {
			w.Errorf("%d MEETs, want those of two flushes; epoch from %d to %d", got, before, a.history.epoch.Load())
		}
		if s.Pending("3") {
			w.Error("still pending")
		}
		a.log.want(w, EventOverflow, 1)
		// Found by this test: a probe sent before the flush and answered after it
		// was taken for a loss of the epoch.
		a.log.want(w, EventFork, 0)
	})
}

// The journal stays full over the retry of the keys it holds: their number says
// nothing of those that did not fit.
func TestFullJournalHoldsEverything(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.join()
		s := a.openSpace(w, "s")
		a.journal.full.Store(true)
		if a.Stats().Journal != 0 || !s.Pending("any") {
			w.Errorf("Pending = false with %d keys and a full journal", a.Stats().Journal)
		}
		a.journal.wake()
		pass(time.Second)
		if s.Pending("any") {
			w.Error("pending after the flush")
		}
	})
}

func TestAnnouncingNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.join()
		s := a.openSpace(w, "s")
		a.link.Cut()
		pass(2 * DefaultMaxStale)
		if err := s.Announce(w.Context()); err != nil {
			w.Errorf("Announce() = %v", err)
		}
		a.log.want(w, EventJournal, 0)
	})
}

// What the journal holds is announced also when its space has been closed.
func TestJournalOutlivesTheSpace(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		as, bs := a.openSpace(w, "s"), b.openSpace(w, "s")
		st := bs.Stamp("k")
		w.refuseScripts("NOREPLICAS not now")
		wantIs(w, as.Announce(w.Context(), "k"), ErrUnconfirmed)
		as.Close()
		w.refuseScripts("")
		pass(time.Second)
		wantValid(w, bs, st, false)
		if n := a.Stats().Journal; n != 0 {
			w.Errorf("the journal holds %d keys", n)
		}
	})
}

func TestCloseTriesFailedKeysOnceMore(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		sa, e := a.erasingSpace(w, "s")
		sb := b.openSpace(w, "s")
		st := sb.Stamp("k")
		e.fail.Store(true)
		wantIs(w, sa.Announce(w.Context(), "k"), ErrUnconfirmed)
		synctest.Wait() // the journal's own try has failed
		e.fail.Store(false)
		if err := a.Close(); err != nil {
			w.Errorf("Close() = %v", err)
		}
		pass(0)
		wantValid(w, sb, st, false)
	})
}

func TestCloseCountsTheUnconfirmed(t *testing.T) {
	for _, overflow := range []bool{false, true} {
		inBubble(t, func(w *world) {
			a := w.join(func(c *Config) { c.JournalSize = 3 })
			s, e := a.erasingSpace(w, "s")
			e.fail.Store(true)
			_ = s.Announce(w.Context(), "1", "2", "3")
			if overflow {
				a.link.Cut()
				_ = s.Announce(w.Context(), "4")
			}
			err := a.Close()
			wantIs(w, err, ErrUnconfirmed)
			if err == nil || !strings.Contains(err.Error(), "3 keys") || strings.Contains(err.Error(), "more than") != overflow {
				w.Errorf("Close() = %v, overflow %t", err, overflow)
			}
			if again := a.Close(); again != err {
				w.Errorf("Close() again = %v, want the same", again)
			}
		})
	}
}

// Found by reading: an announcement that was waiting for Redis when the node
// closed went into a journal that nobody read any more, and its caller was told
// that it would be retried.
func TestAnnounceDuringClose(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.join()
		s := a.openSpace(w, "s")
		a.link.Hole()
		for a.State() == InStep {
			time.Sleep(time.Millisecond)
		}
		result := make(chan error)
		go func() { result <- s.Announce(w.Context(), "k") }()
		synctest.Wait() // it waits to be in step
		if err := a.Close(); err != nil {
			w.Errorf("Close() = %v", err)
		}
		err := <-result
		wantIs(w, err, ErrClosed)
		if errors.Is(err, ErrUnconfirmed) {
			w.Errorf("Announce() = %v: nobody will retry it", err)
		}
	})
}
