package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// A load ends after LoadTimeout for those who wait, whatever the loader does. One
// that ignores its context keeps its place under the limit until it returns.
func TestLoadTimeout(t *testing.T) {
	cfg := tiered.Config[string]{LoadTimeout: 2 * time.Second, SourceLimit: 1}
	bubble(t, 2, cfg, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "v", "l", "w")
		deaf := func(_ context.Context, key string) (string, error) {
			time.Sleep(10 * time.Second)
			return "late", nil
		}
		first := start(func() (string, error) { return a.Get(t.Context(), "k", deaf) })
		second := start(func() (string, error) { return a.Get(t.Context(), "k", deaf) })
		behind := start(func() (string, error) { return b.Get(t.Context(), "k", db.load) })
		queued := start(func() (string, error) { return a.Get(t.Context(), "l", db.load) })
		for _, p := range []*pending{first, second} {
			p.wait(t)
			if p.value != "" || p.err == nil || p.took != 2*time.Second {
				t.Errorf("Get = %q, %v after %v, want an error after LoadTimeout", p.value, p.err, p.took)
			}
			wantError(t, "Get", p.err, tiered.ErrLoadTimeout)
		}
		behind.want(t, "v", nil) // the lease was given back
		if behind.took > 2100*ms {
			t.Errorf("a node behind a load that timed out waited %v", behind.took)
		}
		if queued.want(t, "w", nil); queued.took != 10*time.Second {
			t.Errorf("a load was admitted after %v, beside one that still ran", queued.took)
		}
		wantGet(t, a, "k", db, "v") // the late value was thrown away
		wantStat(t, "LoadErrors", a.Stats().LoadErrors, 1)
	})
}

// A loader that heeds its context is told by it.
func TestLoadTimeoutReachesTheLoader(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{LoadTimeout: 2 * time.Second}, func(t *testing.T, f *fleet) {
		ended := make(chan time.Duration, 1)
		began := time.Now()
		_, err := f.sites[0].Get(t.Context(), "k", func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			ended <- time.Since(began)
			return "", ctx.Err()
		})
		if took := <-ended; took != 2*time.Second || err == nil {
			t.Errorf("the loader's context ended after %v; error %v", took, err)
		}
	})
}

// SourceLimit holds whatever the state of Redis: a cache that fails must not take
// its database along.
func TestSourceLimit(t *testing.T) {
	const limit, readers = 4, 40
	for name, down := range map[string]bool{"in step": false, "Redis down": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 1, tiered.Config[string]{SourceLimit: limit}, func(t *testing.T, f *fleet) {
				c, db := f.sites[0], newDatabase()
				db.delays(time.Second)
				if down {
					f.Crash()
					time.Sleep(2 * bound)
				}
				var calls []*pending
				for i := range readers {
					key := strconv.Itoa(i)
					db.set(key, key)
					calls = append(calls, start(func() (string, error) {
						switch i % 4 {
						case 0:
							return c.Get(t.Context(), key, db.load, tiered.Bypass())
						case 1:
							m, err := c.GetMany(t.Context(), []string{key}, db.loadAll)
							return m[key], err
						}
						return c.Get(t.Context(), key, db.load)
					}))
				}
				var last time.Duration
				for i, p := range calls {
					p.want(t, strconv.Itoa(i), nil)
					last = max(last, p.took)
				}
				if _, peak := db.running(); peak != limit {
					t.Errorf("%d loads at once, want the limit of %d to be used and kept", peak, limit)
				}
				if last != readers/limit*time.Second {
					t.Errorf("the last of %d loads of 1s returned after %v", readers, last)
				}
				db.wantLoads(t, readers)
			})
		})
	}
}

func TestNoSourceLimit(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{SourceLimit: -1}, func(t *testing.T, f *fleet) {
		const readers = 2 * tiered.DefaultSourceLimit
		c, db := f.sites[0], newDatabase()
		db.delays(time.Second)
		var calls []*pending
		for i := range readers {
			db.set(strconv.Itoa(i), "v")
			calls = append(calls, start(func() (string, error) { return c.Get(t.Context(), strconv.Itoa(i), db.load, tiered.Bypass()) }))
		}
		for _, p := range calls {
			p.want(t, "v", nil)
		}
		if _, peak := db.running(); peak != readers {
			t.Errorf("%d loads at once, want %d", peak, readers)
		}
	})
}

// Who waits in vain for the source learns that it was busy, and is not told of a
// deadline alone: the one means "shed load", the other "the load is slow".
func TestSourceBusy(t *testing.T) {
	for name, down := range map[string]bool{"in step": false, "Redis down": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 1, tiered.Config[string]{SourceLimit: 1}, func(t *testing.T, f *fleet) {
				c, db := f.sites[0], newDatabase("slow", "v", "k", "w")
				db.delays(5 * time.Second)
				if down {
					f.Crash()
					time.Sleep(2 * bound)
				}
				slow := start(func() (string, error) { return c.Get(t.Context(), "slow", db.load) })
				for verb, call := range map[string]func(context.Context) (string, error){
					"Get":             func(ctx context.Context) (string, error) { return c.Get(ctx, "k", db.load) },
					"Get with Bypass": func(ctx context.Context) (string, error) { return c.Get(ctx, "k", db.load, tiered.Bypass()) },
					"GetMany": func(ctx context.Context) (string, error) {
						_, err := c.GetMany(ctx, []string{"k", "l"}, db.loadAll)
						return "", err
					},
				} {
					ctx, cancel := context.WithTimeout(t.Context(), 500*ms)
					p := start(func() (string, error) { return call(ctx) })
					p.want(t, "", tiered.ErrSourceBusy)
					wantError(t, verb, p.err, context.DeadlineExceeded)
					if p.took != 500*ms {
						t.Errorf("%s returned after %v", verb, p.took)
					}
					cancel()
				}
				ctx, cancel := context.WithTimeout(t.Context(), 500*ms)
				defer cancel()
				joined := start(func() (string, error) { return c.Get(ctx, "slow", db.load) })
				joined.want(t, "", context.DeadlineExceeded)
				if !down && errors.Is(joined.err, tiered.ErrSourceBusy) { // without Redis a load older than MaxStale is not joined
					t.Error("a read that joined a running load was told that the source is busy")
				}
				slow.want(t, "v", nil)
				db.wantLoads(t, 1)
				db.delays(0)
				wantGet(t, c, "k", db, "w")
			})
		})
	}
}

// A refresh is work that can wait: it takes no place from those who need the source.
func TestRefreshYieldsToReads(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{SourceLimit: 1, TTL: 10 * time.Second, StaleTTL: time.Hour}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "v", "slow", "w")
		wantGet(t, c, "k", db, "v")
		time.Sleep(10 * time.Second)
		db.delays(5 * time.Second)
		slow := start(func() (string, error) { return c.Get(t.Context(), "slow", db.load) })
		wantGet(t, c, "k", db, "v")
		time.Sleep(4 * time.Second)
		db.wantLoads(t, 2)
		slow.want(t, "w", nil)
		wantGet(t, c, "k", db, "v")
		time.Sleep(6 * time.Second)
		db.wantLoads(t, 1)
		wantStat(t, "Refreshes", c.Stats().Refreshes, 1)
	})
}

// The text of an error names what it is about and stays on few lines.
func TestErrorTexts(t *testing.T) {
	cause := errors.New("cause")
	failed := map[string]error{}
	for i := range 5 {
		failed[fmt.Sprint("key", i)] = cause
	}
	failed["key1"] = tiered.ErrSourceBusy
	many := &tiered.KeysError{Failed: failed}
	wantWords(t, "KeysError", many, "5 keys", `"key0" (cause)`, `"key1" (tiercache: the source is busy)`, `"key2"`, "and 2 more")
	wantError(t, "KeysError", many, cause)
	wantError(t, "KeysError", many, tiered.ErrSourceBusy)

	// Of errors with one text each can be found.
	other := &tiered.PanicError{Value: "boom"}
	same := errors.New(other.Error())
	mixed := &tiered.KeysError{Failed: map[string]error{"a": same, "b": other}}
	var found *tiered.PanicError
	if !errors.Is(mixed, same) || !errors.As(mixed, &found) || found != other {
		t.Error("an error is hidden behind another one with the same text")
	}

	if err := tiered.RolledBack(nil); err != nil {
		t.Errorf("RolledBack(nil) = %v", err)
	}
	back := tiered.RolledBack(cause)
	if back.Error() != "cause" || !errors.Is(back, cause) {
		t.Errorf("RolledBack(cause) = %v", back)
	}
	wantWords(t, "PanicError", &tiered.PanicError{Value: "boom", Stack: []byte("stack")}, "panic", "boom")
}
