package coherence

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestJoinWithoutRedis(t *testing.T) {
	for name, fault := range map[string]func(*redistest.Link){
		"refused": (*redistest.Link).Cut, "silent": (*redistest.Link).Hole, "mute": (*redistest.Link).HoleReplies,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				link := w.redis.Link()
				fault(link)
				began := time.Now()
				m, err := w.joinOver(w.Context(), link)
				if err != nil {
					w.Fatal(err)
				}
				if took := time.Since(began); took > 5*DefaultTimeout {
					w.Errorf("Join waited %v for a Redis that is away", took)
				}
				wantState(w, m.Node, Joining)
				if _, ok := m.View(); ok {
					w.Error("a view of a Redis that was never seen")
				}
				wantIs(w, m.Settle(w.Context()), ErrAdrift)
				s := m.openSpace(w, "s")
				st := s.Stamp("k")
				wantValid(w, s, st, false)

				link.Heal()
				if err := m.Ready(w.Context()); err != nil {
					w.Fatal(err)
				}
				wantState(w, m.Node, InStep)
				pass(0)
				m.log.want(w, EventInStep, 1)
				wantValid(w, s, st, false)
				wantValid(w, s, s.Stamp("k"), true)
			})
		})
	}
}

func TestJoinObeysItsContext(t *testing.T) {
	inBubble(t, func(w *world) {
		cancelled, cancel := context.WithCancel(w.Context())
		cancel()
		_, err := w.tryJoin(cancelled)
		wantIs(w, err, context.Canceled)

		link := w.redis.Link()
		link.Hole()
		short, cancel := context.WithTimeout(w.Context(), DefaultTimeout/2)
		defer cancel()
		_, err = w.joinOver(short, link)
		wantIs(w, err, context.DeadlineExceeded)
	})
}

func TestReadyAndSettle(t *testing.T) {
	inBubble(t, func(w *world) {
		m := w.join()
		if err := m.Ready(w.Context()); err != nil {
			w.Errorf("Ready() = %v", err)
		}
		if err := m.Settle(w.Context()); err != nil {
			w.Errorf("Settle() = %v", err)
		}
		m.link.Cut()
		pass(2 * DefaultMaxStale)
		short, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		wantIs(w, m.Ready(short), context.DeadlineExceeded)
		wantIs(w, m.Settle(short), context.DeadlineExceeded) // the caller's own end
		waiting := make(chan error)
		go func() { waiting <- m.Ready(w.Context()) }()
		synctest.Wait()
		if err := m.Close(); err != nil {
			w.Error(err)
		}
		wantIs(w, <-waiting, ErrClosed)
		wantIs(w, m.Ready(w.Context()), ErrClosed)
		wantIs(w, m.Settle(w.Context()), ErrClosed)
	})
}

// While Redis does not answer, the first writers wait for a Timeout. Once the node has
// been adrift for a probe's interval, none do, however long the outage lasts. The first
// after it succeeds.
func TestSettleDoesNotWaitForRedisThatIsAway(t *testing.T) {
	for name, fault := range map[string]func(*redistest.Link){
		"refused": (*redistest.Link).Cut, "silent": (*redistest.Link).Hole, "mute": (*redistest.Link).HoleReplies,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				m := w.join()
				settles := func(longest time.Duration) {
					w.Helper()
					began := time.Now()
					wantIs(w, m.Settle(w.Context()), ErrAdrift)
					if took := time.Since(began); took > longest {
						w.Errorf("Settle took %v, want %v at most", took, longest)
					}
				}
				fault(m.link)
				for m.State() == InStep {
					time.Sleep(time.Millisecond)
				}
				settles(DefaultTimeout)
				pass(DefaultTimeout + DefaultProbe)
				for range 100 {
					settles(0)
					pass(DefaultProbe / 3)
				}
				m.link.Heal()
				if err := m.Ready(w.Context()); err != nil {
					w.Fatal(err)
				}
				if err := m.Settle(w.Context()); err != nil {
					w.Error(err)
				}
			})
		})
	}
}

// A node whose first probe has not succeeded so far waits: Redis may be starting too.
func TestSettleWaitsWhileJoining(t *testing.T) {
	inBubble(t, func(w *world) {
		link := w.redis.Link()
		link.Cut()
		m, err := w.joinOver(w.Context(), link)
		if err != nil {
			w.Fatal(err)
		}
		pass(3 * DefaultMaxStale)
		time.AfterFunc(DefaultTimeout/2, link.Heal)
		if err := m.Settle(w.Context()); err != nil {
			w.Error(err)
		}
	})
}

// Settle wakes the prober: a caller does not wait for the next interval.
func TestSettleProbesAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		m := w.join(func(c *Config) { c.MaxStale, c.Probe = time.Hour, 20*time.Minute })
		pass(time.Second)
		m.dropLease()
		began := time.Now()
		if err := m.Settle(w.Context()); err != nil {
			w.Fatal(err)
		}
		if took := time.Since(began); took != 0 {
			w.Errorf("Settle took %v", took)
		}
	})
}

// The lease counts from the sending of a probe, however late its reply is.
func TestLeaseCountsFromTheSending(t *testing.T) {
	inBubble(t, func(w *world) {
		m := w.join()
		pass(time.Second)
		m.link.Delay(200 * time.Millisecond) // of a quarter second that a probe may take
		pass(2 * time.Second)
		if left := Instant(m.lease.Load()).Sub(m.Now()); left > DefaultMaxStale-200*time.Millisecond {
			w.Errorf("%v of the lease are left, more than a probe can have earned", left)
		}
		wantState(w, m.Node, InStep)
	})
}

func TestClose(t *testing.T) {
	for name, upset := range map[string]func(*world, *member){
		"in step":   func(*world, *member) {},
		"cut":       func(_ *world, m *member) { m.link.Cut() },
		"in a hole": func(_ *world, m *member) { m.link.Hole(); pass(DefaultMaxStale) },
		"just lost": func(_ *world, m *member) { m.link.Reset(); m.link.Hole() },
		"no Redis":  func(w *world, _ *member) { w.redis.Crash(); pass(time.Second) },
		"renewing":  func(_ *world, m *member) { m.sub.renew() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) { // which does not end while a goroutine is left
				m := w.join()
				s := m.openSpace(w, "s")
				st := s.Stamp("k")
				upset(w, m)
				began := time.Now()
				for range 2 {
					if err := m.Close(); err != nil {
						w.Error(err)
					}
				}
				if took := time.Since(began); took > 5*DefaultTimeout {
					w.Errorf("Close took %v", took)
				}
				wantValid(w, s, st, false)
				wantIs(w, s.Announce(w.Context(), "k"), ErrClosed)
				_, err := m.Space(SpaceConfig{Name: "t"})
				wantIs(w, err, ErrClosed)
				if st := m.State(); st == InStep {
					w.Error("in step after Close")
				}
				probes := m.Stats().Probes
				pass(time.Second)
				if got := m.Stats().Probes; got != probes {
					w.Error("the prober runs on")
				}
			})
		})
	}
}

func TestConcurrentClose(t *testing.T) {
	n, _, err := joinAt(t, redistest.RunEmbedded(t).Addr(), nil, Config{})
	if err != nil {
		t.Fatal(err)
	}
	var closers sync.WaitGroup
	for range 8 {
		closers.Go(func() {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
			wantIs(t, n.Ready(t.Context()), ErrClosed) // each has waited for the end
			if n.State() == InStep {
				t.Error("in step after Close")
			}
		})
	}
	closers.Wait()
}

func TestJoinCloseJoin(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.join()
		epoch := a.history.epoch.Load()
		for range 3 {
			if err := a.Close(); err != nil {
				w.Fatal(err)
			}
			n, err := Join(w.Context(), a.rdb, a.cfg)
			if err != nil {
				w.Fatal(err)
			}
			if n.Name() == a.Name() || len(n.Name()) != nodeName {
				w.Errorf("names %q and %q", a.Name(), n.Name())
			}
			if _, ok := n.View(); !ok {
				w.Error("no view: the processes that the monitor knows were not entered again")
			}
			if got := n.history.epoch.Load(); got != epoch {
				w.Errorf("epoch of L2 went from %d to %d", epoch, got)
			}
			a.Node = n
		}
		_ = a.Close()
	})
}

func TestNodesOfOtherFleetsAreApart(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join(func(c *Config) { c.Fleet = "g" })
		sa, sb := a.openSpace(w, "s"), b.openSpace(w, "s")
		st := sb.Stamp("k")
		if err := sa.Announce(w.Context(), "k"); err != nil {
			w.Fatal(err)
		}
		pass(time.Second)
		wantValid(w, sb, st, true)
	})
}

// A proxy keeps the node's connections open over a failover; only INFO shows it.
func TestProxied(t *testing.T) {
	inBubble(t, func(w *world) {
		m := w.join(func(c *Config) { c.Proxied = true })
		plain := w.join()
		s := m.openSpace(w, "s")
		st, epoch := s.Stamp("k"), m.history.epoch.Load()
		plain.log.clear()
		w.redis.NewProcess() // behind open connections
		pass(3 * DefaultProbe)
		wantValid(w, s, st, false)
		m.log.want(w, EventHistory, 1)
		if got := m.history.epoch.Load(); got <= epoch {
			w.Errorf("epoch of L2 = %d, want above %d", got, epoch)
		}
		wantState(w, m.Node, InStep)
		plain.log.want(w, EventHistory, 0) // it followed the epoch, but met nobody

		run, repl, _ := w.redis.Identity()
		w.redis.SetIdentity(run, repl, "slave")
		pass(2 * DefaultMaxStale)
		wantState(w, m.Node, Adrift)
		if told := m.log.want(w, EventAdrift, 1); len(told) == 1 {
			wantIs(w, told[0].Err, ErrReplica)
		}
	})
}

// An error reply is not taken for an identity: LOADING ends by itself.
func TestServerErrorsEndByThemselves(t *testing.T) {
	inBubble(t, func(w *world) {
		m := w.join()
		w.redis.SetError("LOADING Redis is loading the dataset in memory")
		m.link.Reset()
		pass(2 * DefaultMaxStale)
		wantState(w, m.Node, Adrift)
		w.redis.SetError("")
		pass(2 * DefaultProbe)
		wantState(w, m.Node, InStep)
		if err := m.monitor.blindness(); err != nil {
			w.Errorf("blind for good: %v", err)
		}
	})
}

// A service may start while Redis refuses writes for a while, or everything: the node
// joins as soon as that has passed. What is refused for good is an error of Join.
func TestJoinWhileRedisRefuses(t *testing.T) {
	for _, tt := range []struct {
		text   string
		passes bool
	}{
		{"NOREPLICAS Not enough good replicas to write.", true},
		{"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.", true},
		{"OOM command not allowed when used memory > 'maxmemory'.", true},
		{"LOADING Redis is loading the dataset in memory", true},
		{"BUSY Redis is busy running a script.", true},
		{"READONLY You can't write against a read only replica.", true},
		{"ERR max number of clients reached", true},
		{"NOPERM this user has no permissions to run the 'evalsha' command", false},
		{"ERR unknown command 'evalsha'", false},
	} {
		t.Run(tt.text[:strings.IndexByte(tt.text, ' ')], func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.refuseScripts(tt.text)
				m, err := w.tryJoin(w.Context())
				if !tt.passes {
					if err == nil || !strings.Contains(err.Error(), tt.text) {
						w.Errorf("Join: error %v, want %q", err, tt.text)
					}
					return
				}
				if err != nil {
					w.Fatalf("Join: %v", err)
				}
				wantState(w, m.Node, Joining)
				w.refuseScripts("")
				pass(2 * DefaultProbe)
				wantState(w, m.Node, InStep)
			})
		})
	}
}

func TestScriptsRefused(t *testing.T) {
	inBubble(t, func(w *world) {
		m := w.join()
		s := m.openSpace(w, "s")
		w.refuseScripts("OOM command not allowed when used memory > 'maxmemory'.")
		wantIs(w, s.Announce(w.Context(), "k"), ErrUnconfirmed)
		pass(3 * DefaultMaxStale)
		wantState(w, m.Node, InStep) // the probe writes nothing
		w.refuseScripts("")
		pass(time.Second)
		m.log.want(w, EventSettled, 1)
	})
}

func TestEventTexts(t *testing.T) {
	seen := map[string]bool{}
	for k := EventKind(0); k <= EventStale; k++ {
		if k.String() == "" || seen[k.String()] {
			t.Errorf("event %d has the text %q", k, k)
		}
		seen[k.String()] = true
	}
	if got := EventKind(99).String(); got != "unknown" {
		t.Errorf("EventKind(99) = %q", got)
	}
	e := Event{Kind: EventJournal, Space: "s", Note: "3 keys", Err: ErrAdrift}
	if got, want := e.String(), "tiercache: journal s: 3 keys (tiercache: not in step with the fleet)"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	for state, want := range map[State]string{Joining: "joining", InStep: "in step", Adrift: "adrift"} {
		if got := state.String(); got != want {
			t.Errorf("State(%d) = %q, want %q", state, got, want)
		}
	}
}
