package coherence

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/script"
)

func TestTwoNodesHearEachOther(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		sa, sb := a.openSpace(w, "s"), b.openSpace(w, "s")
		for _, pair := range [][2]*Space{{sa, sb}, {sb, sa}} {
			from, to := pair[0], pair[1]
			own, other := from.Stamp("k"), to.Stamp("k")
			wantValid(w, to, other, true)
			if err := from.Announce(w.Context(), "k"); err != nil {
				w.Fatal(err)
			}
			wantValid(w, from, own, false)
			pass(0) // no probe runs: only pub/sub can have brought it
			wantValid(w, to, other, false)
		}
		if got := a.Stats(); got.Announced != 1 || got.Messages != 2 || got.Repaired != 0 {
			w.Errorf("Stats() = %+v, want 1 announced, 2 messages, 0 repaired", got)
		}
	})
}

func TestLostMessageIsRepairedByTheProbe(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		sa, sb := a.openSpace(w, "s"), b.openSpace(w, "s")
		pass(time.Second)
		w.rules.unpublished.Store(true)
		st, kept := sb.Stamp("k"), sb.Stamp("other")
		if err := sa.Announce(w.Context(), "k"); err != nil {
			w.Fatal(err)
		}
		pass(0)
		wantValid(w, sb, st, true) // within the bound, it may
		pass(DefaultProbe)
		wantValid(w, sb, st, false)
		wantValid(w, sb, kept, true)
		if got := b.Stats(); got.Repaired != 1 || got.Messages != 0 {
			w.Errorf("Stats() = %+v, want 1 repaired, 0 messages", got)
		}
	})
}

func TestDeafSubscriptionIsRenewed(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		sa := a.openSpace(w, "s")
		pass(time.Second)
		before := b.Stats().Subscribed
		w.rules.unpublished.Store(true)
		if err := sa.Announce(w.Context(), "k"); err != nil {
			w.Fatal(err)
		}
		pass(4 * DefaultProbe)
		b.log.want(w, EventDeaf, 1)
		if got := b.Stats(); got.Deaf != 1 || got.Subscribed != before+2 {
			w.Errorf("Stats() = %+v, want 1 deaf and %d subscribed", got, before+2)
		}
		wantState(w, b.Node, InStep)
	})
}

// A message that fell into the gap between two subscriptions is no sign of a
// deaf one, also when the probe finds it after the new one was confirmed.
func TestRenewedSubscriptionIsNotDeaf(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		sa, sb := a.openSpace(w, "s"), b.openSpace(w, "s")
		pass(time.Second)
		st := sb.Stamp("k")
		b.link.Delay(time.Millisecond)
		justBefore := func() {
			if err := sa.Announce(context.Background(), "k"); err != nil {
				w.Error(err)
			}
		}
		w.rules.subscribing.Store(&justBefore)
		b.sub.renew() // as a broken connection does
		pass(time.Second)
		wantValid(w, sb, st, false)
		if got := b.Stats().Repaired; got != 1 {
			w.Errorf("%d announcements repaired, want the one in the gap", got)
		}
		b.log.want(w, EventDeaf, 0)
	})
}

func TestAdriftAndBack(t *testing.T) {
	inBubble(t, func(w *world) {
		b := w.join()
		pass(0) // the event follows the lease
		b.log.want(w, EventInStep, 1)
		sb := b.openSpace(w, "s")
		st := sb.Stamp("k")
		b.link.Hole()
		pass(DefaultMaxStale / 2)
		wantState(w, b.Node, InStep)
		wantValid(w, sb, st, true)
		pass(DefaultMaxStale)
		wantState(w, b.Node, Adrift)
		wantValid(w, sb, st, false)
		adrift := sb.Stamp("k")
		told := b.log.want(w, EventAdrift, 1)
		if len(told) == 1 && told[0].Err == nil {
			w.Error("EventAdrift names no cause")
		}
		wantIs(w, b.Settle(w.Context()), ErrAdrift)

		b.link.Heal()
		if err := b.Ready(w.Context()); err != nil {
			w.Fatal(err)
		}
		pass(0)
		b.log.want(w, EventInStep, 2)
		wantState(w, b.Node, InStep)
		wantValid(w, sb, st, true)      // nothing was announced: the copy is what it was
		wantValid(w, sb, adrift, false) // nobody knows what this copy saw
	})
}

func TestForkVoidsTheFleet(t *testing.T) {
	for name, damage := range map[string]func(w *world){
		"bus deleted":       func(w *world) { w.redis.Del("{f}:bus") },
		"all flushed":       func(w *world) { w.redis.FlushAll() },
		"epoch deleted":     func(w *world) { w.redis.HDel("{f}:bus", "e") },
		"epoch below":       func(w *world) { w.redis.HSet("{f}:bus", "e", "7") },
		"epoch is garbage":  func(w *world) { w.redis.HSet("{f}:bus", "e", "no number") },
		"epoch is negative": func(w *world) { w.redis.HSet("{f}:bus", "e", "-4") },
		"number back":       func(w *world) { w.redis.HSet("{f}:bus", "n", "1") },
		"number is garbage": func(w *world) { w.redis.HSet("{f}:bus", "n", "no number") },
		"number deleted":    func(w *world) { w.redis.HDel("{f}:bus", "n") },
		"nonce deleted":     func(w *world) { w.redis.HDel("{f}:bus", "c") },
		"another nonce":     func(w *world) { w.redis.HSet("{f}:bus", "c", "abcd") },
		"a hole in the ring": func(w *world) {
			w.redis.HSet("{f}:bus", "n", "5", "c", "abcd")
		},
		"garbage in the ring": func(w *world) {
			w.redis.HSet("{f}:bus", "n", "4", "c", "abcd", "4", "garbage")
		},
		"a broken chain": func(w *world) {
			w.redis.HSet("{f}:bus", "n", "4", "c", "abcd", "4", "4|beef|abcd|"+string(appendPayload(nil, "s", []string{"x"})))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				a, b := w.join(), w.join()
				sa, sb := a.openSpace(w, "s"), b.openSpace(w, "s")
				for range 3 {
					if err := sa.Announce(w.Context(), "x"); err != nil {
						w.Fatal(err)
					}
				}
				pass(time.Second)
				epoch := a.history.epoch.Load()
				sta, stb := sa.Stamp("k"), sb.Stamp("k")
				damage(w)
				pass(3 * DefaultProbe)
				wantState(w, a.Node, InStep)
				wantState(w, b.Node, InStep)
				wantValid(w, sa, sta, false)
				wantValid(w, sb, stb, false)
				for _, m := range []*member{a, b} {
					if got := m.history.epoch.Load(); got <= epoch {
						w.Errorf("epoch of L2 = %d, want above %d", got, epoch)
					}
				}
				if ea, eb := a.history.epoch.Load(), b.history.epoch.Load(); ea != eb {
					w.Errorf("epochs of L2 differ: %d and %d", ea, eb)
				}
				if told := len(a.log.of(EventFork)) + len(b.log.of(EventFork)); told == 0 {
					w.Error("nobody told of the fork")
				}

				// The fleet works as before.
				sta, stb = sa.Stamp("k"), sb.Stamp("k")
				if err := sa.Announce(w.Context(), "k"); err != nil {
					w.Fatal(err)
				}
				pass(3 * DefaultProbe)
				wantValid(w, sa, sta, false)
				wantValid(w, sb, stb, false)
				wantState(w, b.Node, InStep)
			})
		})
	}
}

func TestRestartIsMetAndVoids(t *testing.T) {
	for name, restart := range map[string]func(*world) error{
		"on all its data": func(w *world) error { return w.redis.Restart() },
		"empty":           func(w *world) error { return w.redis.RestartEmpty() },
		"on a snapshot":   func(w *world) error { return w.redis.Restore(w.redis.Snapshot()) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				a, b := w.join(), w.join()
				sb := b.openSpace(w, "s")
				st, epoch := sb.Stamp("k"), b.history.epoch.Load()
				v, ok := b.View()
				if !ok || v.Epoch != epoch {
					w.Errorf("View() = %+v, %t, want epoch %d", v, ok, epoch)
				}
				if err := restart(w); err != nil {
					w.Fatal(err)
				}
				pass(DefaultMaxStale)
				wantState(w, b.Node, InStep)
				wantValid(w, sb, st, false)
				if b.Holds(v) {
					w.Error("a view from before the restart still holds")
				}
				if v, ok := b.View(); !ok || v.Epoch <= epoch || !b.Holds(v) {
					w.Errorf("View() = %+v, %t, want an epoch above %d", v, ok, epoch)
				}
				b.log.want(w, EventHistory, 1)
				if a.history.epoch.Load() != b.history.epoch.Load() {
					w.Errorf("epochs of L2 differ: %d and %d", a.history.epoch.Load(), b.history.epoch.Load())
				}
			})
		})
	}
}

func TestMissedForGood(t *testing.T) {
	for gap, voids := range map[int]bool{ring - 1: false, ring: false, ring + 1: true} {
		inBubble(t, func(w *world) {
			a, b := w.join(), w.join()
			sa, sb := a.openSpace(w, "s"), b.openSpace(w, "s")
			if err := sa.Announce(w.Context(), "x"); err != nil { // so that numbers are not counted from 0
				w.Fatal(err)
			}
			pass(time.Second)
			st, named, epoch := sb.Stamp("k"), sb.Stamp("x"), b.history.epoch.Load()
			b.link.Cut()
			for range gap {
				if err := sa.Announce(w.Context(), "x"); err != nil {
					w.Fatal(err)
				}
			}
			b.link.Heal()
			pass(time.Second)
			wantState(w, b.Node, InStep)
			wantValid(w, sb, named, false)
			wantValid(w, sb, st, !voids)
			if voids {
				b.log.want(w, EventMissed, 1)
			} else {
				b.log.want(w, EventMissed, 0)
				if got := b.Stats().Repaired; got != uint64(gap) {
					w.Errorf("gap of %d: %d repaired", gap, got)
				}
			}
			if got := b.history.epoch.Load(); got != epoch {
				w.Errorf("gap of %d: epoch of L2 went from %d to %d", gap, epoch, got)
			}
			b.log.want(w, EventFork, 0)
		})
	}
}

func TestMalformedMessageVoidsLocalCopies(t *testing.T) {
	for name, message := range map[string]string{
		"no entry":        "hello",
		"unknown version": "1||aa|\x02i\x01s\x01\x01k",
		"empty payload":   "1||aa|",
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				b := w.join()
				sb := b.openSpace(w, "s")
				pass(time.Second)
				st := sb.Stamp("k")
				if err := w.admin().Publish(w.Context(), "f:bus", message).Err(); err != nil {
					w.Fatal(err)
				}
				pass(0)
				wantValid(w, sb, st, false)
				told := b.log.want(w, EventMalformed, 1)
				if len(told) == 1 && !errors.Is(told[0].Err, errMalformed) {
					w.Errorf("EventMalformed has the error %v", told[0].Err)
				}
				if got := b.Stats().Malformed; got != 1 {
					w.Errorf("Stats().Malformed = %d, want 1", got)
				}
				pass(time.Second)
				wantState(w, b.Node, InStep)
			})
		})
	}
}

func TestSuspensionDropsTheLease(t *testing.T) {
	inBubble(t, func(w *world) {
		var ahead atomic.Int64
		b := w.joinWithClock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
		s := b.openSpace(w, "s")
		st := s.Stamp("k")

		ahead.Store(int64(DefaultMaxStale/2 - time.Millisecond)) // as a clock that is set does
		pass(time.Second)
		b.log.want(w, EventSuspended, 0)
		ahead.Store(-int64(time.Hour))
		pass(time.Second)
		b.log.want(w, EventSuspended, 0)

		b.link.Hole() // nothing can renew the lease
		ahead.Add(int64(10 * time.Second))
		pass(DefaultProbe)
		b.log.want(w, EventSuspended, 1)
		wantState(w, b.Node, Adrift)
		wantValid(w, s, st, false)
		b.link.Heal()
		pass(time.Second)
		wantState(w, b.Node, InStep)
		b.log.want(w, EventSuspended, 1)
	})
}

// joinWithClock is join with a wall clock of the test's.
func (w *world) joinWithClock(wall func() time.Time) *member {
	w.Helper()
	m := &member{link: w.redis.Link(), log: &eventLog{}}
	opts := m.link.Options()
	cfg, err := Config{Fleet: "f", OnEvent: m.log.add, Monitor: Instrument(opts)}.resolve()
	if err != nil {
		w.Fatal(err)
	}
	m.rdb = redis.NewUniversalClient(opts)
	w.Cleanup(func() { _ = m.rdb.Close() })
	m.Node = newNode(cfg)
	m.prober.wall = wall
	if err := m.watch(); err != nil {
		w.Fatal(err)
	}
	if m.clients, err = open(m.rdb, cfg, m.watchControl); err != nil {
		w.Fatal(err)
	}
	m.data, m.control = script.NewRunner(m.clients.data), script.NewRunner(m.clients.control)
	if err := m.start(w.Context()); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = m.Close() })
	return m
}
