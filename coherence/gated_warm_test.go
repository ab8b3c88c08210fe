package coherence

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// The tests of Config.Warm: a Redis process takes over with a part of the history.
// What it holds is good only if everything that it lost has been announced again,
// by everybody who may have announced anything.

const warmth = 30 * time.Second

func warm(c *Config) { c.Warm = warmth }

// A warmWorld is two members of a fleet that keeps its values, and what their space
// has erased in Redis.
type warmWorld struct {
	*world
	a, b   *member
	as, bs *Space
	erased map[string]*atomic.Int64 // by member
	copy   Stamp                    // of key, at A
	epoch  uint64
	saved  redistest.Snapshot
}

// inWarmBubble calls test when both are members, with a snapshot made just then.
func inWarmBubble(t *testing.T, test func(w *warmWorld)) {
	t.Helper()
	inBubble(t, func(world *world) {
		w := &warmWorld{world: world, erased: map[string]*atomic.Int64{}}
		w.a, w.b = w.join(warm), w.join(warm)
		w.as, w.bs = w.erasing(w.a), w.erasing(w.b)
		pass(3 * DefaultProbe) // both have heard of each other
		w.announce(w.as, "other")
		pass(DefaultProbe)
		w.copy, w.epoch = w.as.Stamp("key"), w.a.history.epoch.Load()
		w.saved = w.redis.Snapshot()
		test(w)
	})
}

// erasing opens a space whose keys processes share.
func (w *warmWorld) erasing(m *member) *Space {
	w.Helper()
	n := &atomic.Int64{}
	w.erased[m.Name()] = n
	s, err := m.Space(SpaceConfig{Name: "s", Erase: func(context.Context, []string) error { n.Add(1); return nil }})
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// goBack replaces Redis by a process that holds what it held at the snapshot.
func (w *warmWorld) goBack() {
	w.Helper()
	if err := w.redis.Restore(w.saved); err != nil {
		w.Fatal(err)
	}
}

// leaveAlone lets a member leave in good order, and makes the snapshot anew when the
// other one knows.
func (w *warmWorld) leaveAlone(m *member) {
	w.Helper()
	if err := m.Close(); err != nil {
		w.Fatal(err)
	}
	pass(DefaultMaxStale + 2*DefaultProbe)
	w.saved = w.redis.Snapshot()
}

// wantKept checks whether the values in Redis are still good.
func (w *warmWorld) wantKept(m *member, want bool) {
	w.Helper()
	wantState(w, m.Node, InStep)
	if kept := m.history.epoch.Load() == w.epoch; kept != want {
		w.Errorf("node %s: epoch kept: %t, want %t; events %v", m.Name(), kept, want, m.log.all())
	}
}

// Nothing was lost, or nothing that a value rests on: values and copies stay.
func TestGatedI11NothingLostNothingVoided(t *testing.T) {
	for name, restart := range map[string]func(w *warmWorld){
		"on all its data": func(w *warmWorld) {
			w.announce(w.bs, "third")
			if err := w.redis.Restart(); err != nil {
				w.Fatal(err)
			}
		},
		"on a snapshot":          (*warmWorld).goBack,
		"twice on one snapshot":  func(w *warmWorld) { w.goBack(); pass(2 * time.Second); w.goBack() },
		"at once on the other":   func(w *warmWorld) { w.goBack(); w.goBack() },
		"after a lost and found": func(w *warmWorld) { w.announce(w.bs, "third"); w.goBack() },
	} {
		t.Run(name, func(t *testing.T) {
			inWarmBubble(t, func(w *warmWorld) {
				view, _ := w.a.View()
				restart(w)
				pass(2 * time.Second)
				w.wantKept(w.a, true)
				w.wantKept(w.b, true)
				wantValid(w, w.as, w.copy, true)
				if w.a.Holds(view) {
					w.Error("a view from before the restart still holds")
				}
				if now, ok := w.a.View(); !ok || now.Epoch != w.epoch {
					w.Errorf("View() = %+v, %t", now, ok)
				}
				_ = w.bs.Announce(w.Context(), "key") // over a dead connection perhaps; then the journal does it
				pass(time.Second)
				wantValid(w, w.as, w.copy, false)
			})
		})
	}
}

// I11. B's announcement was lost before A heard of it, and so was its erasure: B
// makes both again, and A drops its copy.
func TestGatedI11LostAnnouncementIsRepeated(t *testing.T) {
	inWarmBubble(t, func(w *warmWorld) {
		w.rules.unpublished.Store(true)
		w.announce(w.bs, "key")
		erased := w.erased[w.b.Name()].Load()
		w.goBack()
		w.rules.unpublished.Store(false)
		pass(2 * time.Second)
		w.wantKept(w.a, true)
		wantValid(w, w.as, w.copy, false)
		if now := w.erased[w.b.Name()].Load(); now != erased+1 {
			w.Errorf("B erased %d times, want once more than %d", now, erased)
		}
		if s := w.b.Stats(); s.Repeated != 1 || s.Kept != 1 {
			w.Errorf("B's stats: %+v", s)
		}
	})
}

// I11. B does not report: what it announced may be lost. Values are void once the
// grace is over, and nobody asks Redis for any before.
func TestGatedI11SilentMemberVoids(t *testing.T) {
	inWarmBubble(t, func(w *warmWorld) {
		w.rules.unpublished.Store(true)
		w.announce(w.bs, "key")
		w.b.link.Cut()
		w.goBack()
		w.rules.unpublished.Store(false)
		for range 15 {
			pass(DefaultProbe)
			if _, ok := w.a.View(); ok {
				w.Error("A asks Redis before B has reported")
				return
			}
		}
		pass(2 * time.Second)
		w.wantKept(w.a, false)
		wantValid(w, w.as, w.copy, false)
	})
}

// I11. A does not hear of N, which joins while A is cut off: N may announce only when
// A's life as a member is over, so that A vouches for nobody it does not know.
func TestGatedI11NewcomerIsKnownFirst(t *testing.T) {
	inWarmBubble(t, func(w *warmWorld) {
		w.a.link.Cut()
		n := w.join(warm)
		s := w.erasing(n)
		pass(DefaultProbe)
		wantIs(w, s.Announce(w.Context(), "key"), ErrUnconfirmed)
		pass(warmth + time.Second)
		if got := n.Stats(); got.Journal != 0 || got.Announced != 1 {
			w.Errorf("after A's life as a member: %+v", got)
		}
		w.announce(s, "key")
	})
}

// I11. A was cut off for longer than its life as a member. N has joined, announced
// and died since, and Redis goes back to before it all: A does not vouch.
func TestGatedI11LateMemberDoesNotVouch(t *testing.T) {
	inWarmBubble(t, func(w *warmWorld) {
		w.leaveAlone(w.b)
		w.a.link.Cut()
		pass(warmth + time.Second)
		n := w.join(warm)
		w.announce(w.erasing(n), "key")
		n.link.Cut()
		w.goBack()
		w.a.link.Heal()
		pass(4 * time.Second)
		w.wantKept(w.a, false)
	})
}

// I11. B has left in good order, after an announcement that Redis then lost: nobody
// can make it again.
func TestGatedI11WhoHasLeftCannotRepeat(t *testing.T) {
	inWarmBubble(t, func(w *warmWorld) {
		w.announce(w.bs, "key")
		if err := w.b.Close(); err != nil {
			w.Fatal(err)
		}
		pass(DefaultMaxStale + 2*DefaultProbe)
		w.goBack()
		pass(4 * time.Second)
		w.wantKept(w.a, false)
	})
}

// I11. A was cut off for longer than its life as a member, and is one again. What N
// announced in between, which has left, A followed, but it cannot tell who else there
// was: it does not vouch for that time.
func TestGatedI11ReturnerDoesNotVouchForItsAbsence(t *testing.T) {
	inWarmBubble(t, func(w *warmWorld) {
		w.leaveAlone(w.b)
		w.a.link.Cut()
		pass(warmth + time.Second)
		n := w.join(warm)
		w.announce(w.erasing(n), "key")
		if err := n.Close(); err != nil {
			w.Fatal(err)
		}
		w.a.link.Heal()
		pass(2 * DefaultMaxStale)
		wantState(w, w.a.Node, InStep)
		w.goBack()
		pass(4 * time.Second)
		w.wantKept(w.a, false)
	})
}

// I11. A has announced more than it remembers.
func TestGatedI11ForgottenAnnouncementVoids(t *testing.T) {
	inWarmBubble(t, func(w *warmWorld) {
		keys := make([]string, memoryKeys+maxKeys)
		for i := range keys {
			keys[i] = fmt.Sprint(i)
		}
		w.announce(w.as, keys...)
		pass(DefaultProbe)
		w.goBack()
		pass(4 * time.Second)
		w.wantKept(w.a, false)
	})
}

// I11. A node without Config.Warm is on no list, so that nobody would miss it: it may
// not announce while others rely on the list.
func TestGatedI11StrangerIsRefused(t *testing.T) {
	inWarmBubble(t, func(w *warmWorld) {
		n := w.join()
		wantIs(w, n.openSpace(w, "s").Announce(w.Context(), "key"), ErrUnconfirmed)
		pass(DefaultMaxStale)
		wantValid(w, w.as, w.copy, true)
		if got := n.Stats(); got.Announced != 0 {
			w.Errorf("a stranger announced: %+v", got)
		}
	})
}

// I7. Another process takes over between the erasure and the announcement: what was
// erased in its predecessor may be there. With and without Config.Warm.
func TestGatedI7AnnouncementAcrossProcesses(t *testing.T) {
	for name, with := range map[string]func(*Config){"warm": warm, "cold": func(*Config) {}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				a := w.join(with)
				pass(DefaultProbe)
				var erased atomic.Int32 // announcements are repeated in the background
				s, err := a.Space(SpaceConfig{Name: "s", Erase: func(context.Context, []string) error {
					if erased.Add(1) > 1 {
						return nil
					}
					err := w.redis.Restart()
					for a.rdb.Ping(w.Context()).Err() != nil { // its connections are dead
						pass(time.Millisecond)
					}
					return err
				}})
				if err != nil {
					w.Fatal(err)
				}
				if err = s.Announce(w.Context(), "key"); err == nil && erased.Load() < 2 {
					w.Errorf("Announce = nil after %d erasures, want another one", erased.Load())
				}
				pass(4 * time.Second)
				if erased.Load() < 2 {
					w.Errorf("%d erasures, want another one", erased.Load())
				}
				if got := a.Stats(); got.Journal != 0 || got.Announced == 0 {
					w.Errorf("stats: %+v", got)
				}
			})
		})
	}
}

// A member whose membership has ended cannot make again what a process that takes over
// has lost. It asks whether the others can at the pace of probes, not as fast as Redis
// answers.
func TestGatedStrangerDoesNotHurry(t *testing.T) {
	inWarmBubble(t, func(w *warmWorld) {
		w.announce(w.bs, "key")
		w.b.members.mandate.Store(nil)
		w.goBack()
		before := w.b.Stats().ProbeFailures
		pass(time.Second)
		if failed, most := w.b.Stats().ProbeFailures-before, uint64(time.Second/DefaultProbe)+2; failed < 2 || failed > most {
			w.Errorf("%d probes failed in a second, want 2 to %d", failed, most)
		}
		pass(DefaultProbe)
		wantState(w, w.b.Node, Adrift)
		pass(2 * DefaultMaxStale)
		w.wantKept(w.b, false)
	})
}
