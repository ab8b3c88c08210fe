package coherence

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/script"
	"github.com/tiercache/tiercache/internal/token"
)

// answer is a script that counts its runs under its key and answers its argument.
var answer = script.New("redis.call('INCR', KEYS[1]) return ARGV[1]", false)

// refusal is one that fails.
var refusal = script.New("return redis.error_reply('REFUSED for a reason')", false)

const latency = 10 * time.Millisecond // of the link

// A queueing world has a node whose slots are all taken: what it is asked to announce
// queues until one of them is free.
type queueing struct {
	*world
	a, b   *member
	as, bs *Space
	busy   sync.WaitGroup
}

func queued(t *testing.T, test func(w *queueing)) {
	inBubble(t, func(plain *world) {
		w := &queueing{world: plain, a: plain.join(), b: plain.join()}
		w.as, w.bs = w.a.openSpace(w, "s"), w.b.openSpace(w, "s")
		w.a.link.Delay(latency)
		for i := range slots {
			w.busy.Go(func() {
				if err := w.as.Announce(w.Context(), fmt.Sprint("busy", i)); err != nil {
					w.Errorf("one alone: %v", err)
				}
			})
		}
		pass(0)
		test(w)
		w.busy.Wait()
	})
}

// fence announces key behind a call of s.
func (w *queueing) fence(ctx context.Context, s *script.Script, key string) (any, Receipt, error) {
	call := script.Call{Script: s, Keys: []string{"f:" + key}, Args: []any{"reply of " + key}}
	return w.as.AnnounceBehind(ctx, call, key, Fence{Token: token.New(), Life: time.Second})
}

// Writes that come while all slots are busy share one entry of the bus. Each gets the
// reply of its own fence, and a stamp that no other has.
func TestGatedWritesShareAnEntry(t *testing.T) {
	queued(t, func(w *queueing) {
		const writers = 20
		var receipts [writers]Receipt
		var stamps [writers]Stamp
		var all sync.WaitGroup
		for i := range writers {
			key := fmt.Sprint("k", i)
			stamps[i] = w.bs.Stamp(key)
			all.Go(func() {
				reply, r, err := w.fence(w.Context(), answer, key)
				if receipts[i] = r; err != nil || reply != "reply of "+key {
					w.Errorf("%s: %v, %v", key, reply, err)
				}
			})
		}
		all.Wait()
		seen := make(map[uint64]bool)
		for i, r := range receipts {
			if r.number != receipts[0].number || r.nonce != receipts[0].nonce || r.number == 0 {
				w.Errorf("entries %d and %d: not one", receipts[0].number, r.number)
			}
			if seen[r.Stamp()] || r.Stamp() == 0 {
				w.Errorf("stamp %d is taken twice", r.Stamp())
			}
			seen[r.Stamp()] = true
			pass(0)
			wantValid(w, w.bs, stamps[i], false)
		}
		_, last, err := w.fence(w.Context(), answer, "later")
		if err != nil {
			w.Fatal(err)
		}
		for stamp := range seen {
			if stamp >= last.Stamp() {
				w.Errorf("stamp %d came before %d", stamp, last.Stamp())
			}
		}
	})
}

// One write's fence is refused. That write fails, and none that it travels with.
func TestGatedI8OneFenceOfABatchFails(t *testing.T) {
	queued(t, func(w *queueing) {
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				s := answer
				if i == 4 {
					s = refusal
				}
				_, _, err := w.fence(w.Context(), s, fmt.Sprint("k", i))
				if (err != nil) != (i == 4) {
					w.Errorf("fence %d: %v", i, err)
				}
			})
		}
		all.Wait()
	})
}

// A writer gives up while its fence queues: that is never raised, or it would stay
// until it expires. Those that queue with it are not held up.
func TestGatedAbandonedFenceIsNotRaised(t *testing.T) {
	queued(t, func(w *queueing) {
		ctx, giveUp := context.WithCancelCause(w.Context())
		tired := errors.New("tired")
		var all sync.WaitGroup
		all.Go(func() {
			_, _, err := w.fence(ctx, answer, "given-up")
			wantIs(w, err, tired)
		})
		all.Go(func() {
			if _, _, err := w.fence(w.Context(), answer, "kept"); err != nil {
				w.Error(err)
			}
		})
		pass(0)
		giveUp(tired)
		all.Wait()
		pass(time.Second)
		for key, want := range map[string]int64{"f:given-up": 0, "f:kept": 1} {
			if n := w.admin().Exists(w.Context(), key).Val(); n != want {
				w.Errorf("the fence of %s was raised %d times, want %d", key, n, want)
			}
		}
	})
}

// A hook of the client panics while a change is announced, and whoever called recovers, as
// net/http does. The change was made: it is announced when the hook does so no more, and
// this node knows that meanwhile. A panic in the journal's goroutine does not end the process.
func TestGatedPanicIsOwed(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		as, bs := a.openSpace(w, "s"), b.openSpace(w, "s")
		own, other := as.Stamp("k"), bs.Stamp("k")
		var hook panicking
		a.rdb.AddHook(&hook)
		hook.on.Store(true)
		mustPanic(w.T, func() { _ = as.Announce(w.Context(), "k") })
		pass(3 * a.Config().Probe)
		wantValid(w, as, own, false)
		if !as.Pending("k") {
			w.Error("the node trusts Redis for the key")
		}
		hook.on.Store(false)
		pass(2 * a.Config().Probe)
		wantValid(w, bs, other, false)
		if as.Pending("k") {
			w.Error("the journal has not settled")
		}
	})
}
