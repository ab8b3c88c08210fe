package tiered_test

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// The textbook lock lets losers sleep and retry; here 50 readers of a cold key on
// each of two nodes are one load, and return when it ends.
func TestColdReadsAreOneLoad(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		db := newDatabase("k", "v")
		db.delays(300 * time.Millisecond)
		var calls []*pending
		for i := range 100 {
			c := f.sites[i%2]
			calls = append(calls, start(func() (string, error) { return c.Get(t.Context(), "k", db.load) }))
		}
		for _, p := range calls {
			p.want(t, "v", nil)
			if p.took > 400*time.Millisecond {
				t.Errorf("a reader of a load of %v waited %v", db.delay, p.took)
			}
		}
		db.wantLoads(t, 1)
		wantStat(t, "Waits", f.sites[0].Stats().Waits+f.sites[1].Stats().Waits, 1)
		f.wantKeysExpire(t)
	})
}

// Waiters are woken, they do not poll: with a wake-up the second node has the
// value in the instant in which the first one has stored it.
func TestWaitersAreWoken(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		db := newDatabase("k", "v")
		db.delays(1001 * time.Millisecond)
		first := start(func() (string, error) { return f.sites[0].Get(t.Context(), "k", db.load) })
		second := start(func() (string, error) { return f.sites[1].Get(t.Context(), "k", db.load) })
		first.want(t, "v", nil)
		second.want(t, "v", nil)
		if first.took != second.took {
			t.Errorf("the waiter returned %v after the holder", second.took-first.took)
		}
	})
}

// The textbook: a reader that loaded before a delete stores the old value after it.
func TestInvalidateDuringLoad(t *testing.T) {
	for name, by := range map[string]int{"by the loading node": 0, "by another node": 1} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
				db := newDatabase("k", "old")
				db.delays(time.Second)
				old := start(func() (string, error) { return f.sites[0].Get(t.Context(), "k", db.load) })
				db.set("k", "new")
				if err := f.sites[by].Invalidate(t.Context(), "k"); err != nil {
					t.Fatal(err)
				}
				old.want(t, "old", nil) // it began before
				f.wantKind(t, "k", 0)
				wantStat(t, "RefusedFills", f.sites[0].Stats().RefusedFills, 1)
				wantGet(t, f.sites[0], "k", db, "new")
				wantGet(t, f.sites[1], "k", db, "new")
				db.wantLoads(t, 2)
			})
		})
	}
}

// groupcache and x/sync singleflight: a read that starts after the delete joins
// the flight that was begun before it.
func TestReadAfterInvalidateDoesNotJoinTheOldLoad(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "old")
		db.delays(time.Second)
		old := start(func() (string, error) { return c.Get(t.Context(), "k", db.load) })
		joined := start(func() (string, error) { return c.Get(t.Context(), "k", db.load) })
		db.set("k", "new")
		if err := c.Invalidate(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		later := start(func() (string, error) { return c.Get(t.Context(), "k", db.load) })
		elsewhere := start(func() (string, error) { return f.sites[1].Get(t.Context(), "k", db.load) })
		old.want(t, "old", nil)
		joined.want(t, "old", nil)
		later.want(t, "new", nil)
		elsewhere.want(t, "new", nil)
		db.wantLoads(t, 2)
		wantGet(t, c, "k", db, "new")
		wantGet(t, f.sites[1], "k", db, "new")
		db.wantLoads(t, 0)
	})
}

// groupcache, x/sync singleflight and sturdyc: the context of the call that began
// the load ends it for everybody.
func TestLeaderLeavesOthersStay(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "v")
		db.delays(time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		leader := start(func() (string, error) { return c.Get(ctx, "k", db.load) })
		waiter := start(func() (string, error) { return c.Get(t.Context(), "k", db.load) })
		cancel()
		leader.want(t, "", context.Canceled)
		if leader.took != 0 {
			t.Errorf("the leader left after %v", leader.took)
		}
		waiter.want(t, "v", nil)
		db.wantLoads(t, 1)
		f.wantKind(t, "k", 'V')
	})
}

// x/sync singleflight: Do ignores the waiter's context.
func TestWaiterObeysItsDeadline(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		db := newDatabase("k", "v")
		db.delays(time.Second)
		leader := start(func() (string, error) { return f.sites[0].Get(t.Context(), "k", db.load) })
		for _, c := range f.sites { // in the flight, and behind the lease of the other node
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			p := start(func() (string, error) { return c.Get(ctx, "k", db.load) })
			p.want(t, "", context.DeadlineExceeded)
			if p.took != 50*time.Millisecond {
				t.Errorf("a waiter with a deadline of 50ms returned after %v", p.took)
			}
		}
		leader.want(t, "v", nil)
		db.wantLoads(t, 1)
	})
}

// The last one to leave ends the load, and the lease with it: nobody has to wait
// for a lease that nobody uses.
func TestLoadEndsWhenAllLeave(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		ended := make(chan error, 1)
		slow := func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return "", ctx.Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		a := start(func() (string, error) { return f.sites[0].Get(ctx, "k", slow) })
		b := start(func() (string, error) { return f.sites[0].Get(ctx, "k", slow) })
		f.wantKind(t, "k", 'L')
		cancel()
		a.want(t, "", context.Canceled)
		b.want(t, "", context.Canceled)
		wantError(t, "the loader's context", <-ended, context.Canceled)
		f.wantKind(t, "k", 0)

		db := newDatabase("k", "v")
		p := start(func() (string, error) { return f.sites[1].Get(t.Context(), "k", db.load) })
		p.want(t, "v", nil)
		if p.took != 0 {
			t.Errorf("a read behind an abandoned lease took %v", p.took)
		}
	})
}

// The textbook lock has a fixed life: a holder that takes longer loses it while it
// works, and the herd is back. Here it is renewed.
func TestLeaseIsRenewedWhileTheLoadRuns(t *testing.T) {
	cfg := tiered.Config[string]{LeaseTTL: 300 * time.Millisecond, WaitMax: time.Minute, LoadTimeout: time.Minute}
	bubble(t, 2, cfg, func(t *testing.T, f *fleet) {
		db := newDatabase("k", "v")
		db.delays(5 * time.Second)
		holder := start(func() (string, error) { return f.sites[0].Get(t.Context(), "k", db.load) })
		waiter := start(func() (string, error) { return f.sites[1].Get(t.Context(), "k", db.load) })
		holder.want(t, "v", nil)
		waiter.want(t, "v", nil)
		db.wantLoads(t, 1)
	})
}

// A process that dies holding the lock must not keep the others out.
func TestHolderDies(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{LeaseTTL: 2 * time.Second}, func(t *testing.T, f *fleet) {
		dead, alive, db := f.sites[0], f.sites[1], newDatabase("k", "v")
		hang := func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		lost := start(func() (string, error) { return dead.Get(ctx, "k", hang) })
		f.wantKind(t, "k", 'L')
		dead.link.Hole()
		cancel() // its COMMIT, too, is lost
		p := start(func() (string, error) { return alive.Get(t.Context(), "k", db.load) })
		p.want(t, "v", nil)
		if p.took < time.Second || p.took > 2200*time.Millisecond {
			t.Errorf("the read behind a dead holder took %v, want about LeaseTTL", p.took)
		}
		f.wantKind(t, "k", 'V')
		lost.want(t, "", context.Canceled)
		dead.link.Heal()
	})
}

// A holder that lives and hangs keeps its lease; the others load for themselves
// after WaitMax, and do not store.
func TestHolderHangs(t *testing.T) {
	cfg := tiered.Config[string]{LeaseTTL: time.Second, WaitMax: 3 * time.Second, LoadTimeout: time.Minute}
	bubble(t, 2, cfg, func(t *testing.T, f *fleet) {
		db := newDatabase("k", "v")
		ctx, cancel := context.WithCancel(t.Context())
		hung := start(func() (string, error) {
			return f.sites[0].Get(ctx, "k", func(ctx context.Context, _ string) (string, error) {
				<-ctx.Done()
				return "", ctx.Err()
			})
		})
		for range 2 {
			p := start(func() (string, error) { return f.sites[1].Get(t.Context(), "k", db.load) })
			p.want(t, "v", nil)
			if p.took != 3*time.Second {
				t.Errorf("the read behind a hanging holder took %v, want WaitMax", p.took)
			}
		}
		db.wantLoads(t, 2)
		wantStat(t, "Bypassed", f.sites[1].Stats().Bypassed, 2)
		f.wantKind(t, "k", 'L')
		cancel()
		hung.want(t, "", context.Canceled)
		wantGet(t, f.sites[1], "k", db, "v")
		f.wantKind(t, "k", 'V')
	})
}

// x/sync singleflight: DoChan with a panicking function kills the process, and one
// that calls runtime.Goexit leaves every waiter behind.
func TestLoaderThatDoesNotReturn(t *testing.T) {
	cause := errors.New("nil map")
	for name, test := range map[string]struct {
		load func()
		want func(error) bool
	}{
		"panics": {func() { panic(cause) }, func(err error) bool {
			var p *tiered.PanicError
			return errors.As(err, &p) && p.Value == cause && len(p.Stack) > 0 && errors.Is(err, cause)
		}},
		"panics with a text": {func() { panic("boom") }, func(err error) bool {
			var p *tiered.PanicError
			return errors.As(err, &p) && p.Value == "boom" && errors.Unwrap(p) == nil
		}},
		"ends its goroutine": {runtime.Goexit, func(err error) bool { return err != nil }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
				c := f.sites[0]
				load := func(context.Context, string) (string, error) {
					time.Sleep(time.Second)
					test.load()
					return "unreachable", nil
				}
				batch := func(ctx context.Context, keys []string) (map[string]string, error) {
					_, err := load(ctx, keys[0])
					return nil, err
				}
				var calls []*pending
				for range 5 {
					calls = append(calls, start(func() (string, error) { return c.Get(t.Context(), "k", load) }))
				}
				calls = append(calls,
					start(func() (string, error) { return c.Get(t.Context(), "past", load, tiered.Bypass()) }),
					start(func() (string, error) {
						m, err := c.GetMany(t.Context(), []string{"k", "l", "m"}, batch)
						return strconv.Itoa(len(m)), err
					}),
				)
				for i, p := range calls {
					p.wait(t)
					if !test.want(p.err) {
						t.Errorf("call %d: error %v", i, p.err)
					}
				}
				for _, key := range []string{"k", "l", "m"} {
					f.wantKind(t, key, 0) // no lease is left
				}
				wantGet(t, f.sites[1], "k", newDatabase("k", "v"), "v")
			})
		})
	}
}

// A panic is a fault of the program, whatever it panicked with: it says nothing
// about the record. Helpers such as must(err) panic with errors of all kinds.
func TestPanicWithNotFoundIsNotAnAnswer(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "v", "l", "w")
		must := func(context.Context, string) (string, error) { panic(tiered.ErrNotFound) }
		var p *tiered.PanicError
		if _, err := c.Get(t.Context(), "k", must); !errors.As(err, &p) {
			t.Errorf("Get: error %v, want a *PanicError", err)
		}
		m, err := c.GetMany(t.Context(), []string{"k", "l"}, func(context.Context, []string) (map[string]string, error) { panic(tiered.ErrNotFound) })
		if len(m) != 0 || !errors.As(err, &p) {
			t.Errorf("GetMany = %v, %v, want a *PanicError", m, err)
		}
		wantStat(t, "LoadErrors", c.Stats().LoadErrors, 2)
		if _, err := c.Update(t.Context(), "l", must); !errors.As(err, &p) {
			t.Errorf("Update: error %v, want a *PanicError", err)
		}
		settle()
		f.wantKind(t, "l", 'F') // in doubt
		wantGet(t, f.sites[1], "k", db, "v")
		wantGet(t, f.sites[1], "l", db, "w")
	})
}
