package tiered_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tiercache/tiercache/tiered"
)

var strong = tiered.Config[string]{Consistency: tiered.Strong}

// strongFleet runs a test when no fence can be unknown to anybody.
func strongFleet(t *testing.T, n int, cfg tiered.Config[string], test func(t *testing.T, f *fleet)) {
	bubble(t, n, cfg, func(t *testing.T, f *fleet) {
		time.Sleep(tiered.DefaultStrongFenceTTL + bound)
		test(t, f)
	})
}

// While nothing is broken writes do not wait, and are stored in both tiers as usual.
func TestStrongUpdate(t *testing.T) {
	strongFleet(t, 3, strong, func(t *testing.T, f *fleet) {
		db := newDatabase("k", "old")
		for _, s := range f.sites {
			wantGet(t, s, "k", db, "old")
		}
		db.wantLoads(t, 1)
		began := time.Now()
		update(t, f.sites[0], "k", db, "new")
		if took := time.Since(began); took > 0 {
			t.Errorf("Update took %v", took)
		}
		for _, s := range f.sites {
			wantGet(t, s, "k", db, "new")
		}
		db.wantLoads(t, 0)
		if err := f.sites[1].Invalidate(t.Context(), "k"); err != nil {
			t.Error(err)
		}
		wantGet(t, f.sites[2], "k", db, "new")
		db.wantLoads(t, 1)
	})
}

// A node is cut off: the first write waits for the end of its assurance and not
// longer, the next one does not wait.
func TestStrongUpdateWithoutANode(t *testing.T) {
	strongFleet(t, 2, strong, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
		wantGet(t, a, "k", db, "old")
		a.link.Cut()
		for i, longest := range []time.Duration{bound + bound/10, 0} {
			began := time.Now()
			update(t, b, "k", db, "new")
			if took := time.Since(began); took > longest {
				t.Errorf("write %d took %v, want %v at most", i, took, longest)
			}
			wantGet(t, a, "k", db, "new")
		}
	})
}

// A node that has left in order, or has closed its cache, is not waited for.
func TestStrongUpdateAfterALeave(t *testing.T) {
	strongFleet(t, 3, strong, func(t *testing.T, f *fleet) {
		db := newDatabase("k", "old")
		f.sites[0].Close()
		f.sites[1].Close()
		f.sites[1].node.Close()
		time.Sleep(bound / 2)
		f.sites[0].link.Cut()
		began := time.Now()
		update(t, f.sites[2], "k", db, "new")
		if took := time.Since(began); took > 0 {
			t.Errorf("Update took %v", took)
		}
	})
}

// Redis has lost its data: a write waits until whatever it does not know of is over,
// or its context ends, and then the source is not written.
func TestStrongUpdateAfterFlushAll(t *testing.T) {
	strongFleet(t, 2, strong, func(t *testing.T, f *fleet) {
		db := newDatabase("k", "old")
		f.FlushAll()
		time.Sleep(bound)
		ctx, cancel := context.WithTimeout(t.Context(), bound)
		defer cancel()
		_, err := f.sites[0].Update(ctx, "k", db.writes("new"))
		wantError(t, "Update", err, tiered.ErrNotWritten)
		wantError(t, "Update", err, context.DeadlineExceeded)
		if db.row("k") != "old" {
			t.Error("the source was written")
		}
		began := time.Now()
		update(t, f.sites[0], "k", db, "new")
		if took := time.Since(began); took > tiered.DefaultStrongFenceTTL {
			t.Errorf("Update took %v", took)
		}
	})
}

// Redis loses the registry of nodes again and again, sooner than the life of a fence, as
// allkeys-* does under pressure. A write is refused when its wait cannot end, and waits for
// no longer than the life of a fence and MaxStale; when the losses end, writes succeed.
func TestStrongUpdateWhileRedisGoesOnLosingItsData(t *testing.T) {
	const longest = tiered.DefaultStrongFenceTTL + bound + bound/10
	for what, lose := range map[string]func(f *fleet){
		"the registry": func(f *fleet) { f.Del("{" + fleetName + "}:nodes") },
		"the bus":      func(f *fleet) { f.Del("{" + fleetName + "}:bus") },
		"all":          func(f *fleet) { f.FlushAll() },
	} {
		t.Run(what, func(t *testing.T) {
			strongFleet(t, 2, strong, func(t *testing.T, f *fleet) {
				db := newDatabase("k", "old")
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for range 10 {
						lose(f)
						time.Sleep(tiered.DefaultStrongFenceTTL * 5 / 6)
					}
				}()
				time.Sleep(bound / 2) // the first loss is noticed
				for range 3 {
					began := time.Now()
					_, err := f.sites[0].Update(t.Context(), "k", db.writes("new"))
					if took := time.Since(began); !errors.Is(err, tiered.ErrNotWritten) || took > longest {
						t.Errorf("Update returned %v after %v, want ErrNotWritten after %v at most", err, took, longest)
					}
					if err := f.sites[1].Invalidate(t.Context(), "k"); !errors.Is(err, tiered.ErrUnconfirmed) {
						t.Errorf("Invalidate returned %v, want ErrUnconfirmed", err)
					}
				}
				<-ended
				update(t, f.sites[0], "k", db, "new")
			})
		})
	}
}

// Close ends a write, and an invalidation, that waits for lost fences to be over.
func TestStrongCloseEndsTheWait(t *testing.T) {
	strongFleet(t, 1, strong, func(t *testing.T, f *fleet) {
		db, a := newDatabase("k", "old"), f.sites[0]
		f.FlushAll()
		time.Sleep(bound / 2)
		updated, invalidated := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := a.Update(t.Context(), "k", db.writes("new"))
			updated <- err
		}()
		go func() { invalidated <- a.Invalidate(t.Context(), "k") }()
		time.Sleep(bound / 10)
		began := time.Now()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > bound {
			t.Errorf("Close took %v", took)
		}
		if err := <-updated; !errors.Is(err, tiered.ErrNotWritten) || !errors.Is(err, tiered.ErrClosed) {
			t.Errorf("Update: %v, want ErrNotWritten and ErrClosed", err)
		}
		if err := <-invalidated; !errors.Is(err, tiered.ErrUnconfirmed) {
			t.Errorf("Invalidate: %v, want ErrUnconfirmed: the node goes on with it", err)
		}
	})
}

// In an Acknowledged cache a write waits only where that is asked for.
func TestAcked(t *testing.T) {
	strongFleet(t, 2, tiered.Config[string]{Consistency: tiered.Acknowledged}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
		wantGet(t, a, "k", db, "old")
		a.link.Hole()
		began := time.Now()
		update(t, b, "k", db, "new")
		if took := time.Since(began); took > 0 {
			t.Errorf("Update without the option took %v", took)
		}
		wantGet(t, a, "k", db, "old")
		update(t, b, "k", db, "newer", tiered.Acked())
		wantGet(t, a, "k", db, "newer")
		db.set("k", "newest")
		if err := b.InvalidateMany(t.Context(), []string{"k"}, tiered.Acked()); err != nil {
			t.Error(err)
		}
	})
}

func TestAckedNeedsConsistency(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		db := newDatabase()
		_, err := f.sites[0].Update(t.Context(), "k", db.writes("v"), tiered.Acked())
		err2 := f.sites[0].InvalidateMany(t.Context(), []string{"k"}, tiered.Acked())
		for _, err := range []error{err, err2} {
			if err == nil || !strings.Contains(err.Error(), "Config.Consistency") {
				t.Errorf("error %v, want one that names Config.Consistency", err)
			}
		}
		if db.row("k") != "" {
			t.Error("the source was written")
		}
		for field, cfg := range map[string]tiered.Config[string]{
			"FenceTTL":    {Name: "x", Consistency: tiered.Strong, FenceTTL: 2 * bound},
			"Consistency": {Name: "x", Consistency: 7},
		} {
			if _, err := tiered.New(f.sites[0].node, cfg); err == nil || !strings.Contains(err.Error(), "Config."+field) {
				t.Errorf("error %v, want one that names %s", err, field)
			}
		}
	})
}

// A strong Invalidate whose context ends too early says so.
func TestInvalidateUnheard(t *testing.T) {
	strongFleet(t, 2, strong, func(t *testing.T, f *fleet) {
		f.sites[0].link.Hole()
		ctx, cancel := context.WithTimeout(t.Context(), bound/2)
		defer cancel()
		err := f.sites[1].Invalidate(ctx, "k")
		if !errors.Is(err, tiered.ErrUnheard) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Invalidate: %v", err)
		}
	})
}

// Tokens of Update and InvalidateMany survive as text.
func TestTokens(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
		var first, second, none tiered.Token
		update(t, a, "k", db, "new", tiered.Issue(&first))
		if err := b.InvalidateMany(t.Context(), []string{"k"}, tiered.Issue(&second)); err != nil {
			t.Fatal(err)
		}
		for _, token := range []tiered.Token{first, second, none} {
			again, err := tiered.ParseToken(token.String())
			if again != token || err != nil {
				t.Errorf("ParseToken(%q) = %v, %v", token, again, err)
			}
			wantGet(t, b, "k", db, "new", tiered.AtLeast(again))
		}
		if first == second || first == none || none.String() != "" {
			t.Errorf("tokens %q, %q, %q", first, second, none)
		}
		// One of a history that was lost asks for nothing any more, one of a history
		// to come for a look into Redis.
		f.FlushAll()
		time.Sleep(2 * bound)
		wantGet(t, a, "k", db, "new", tiered.AtLeast(first))
		db.wantLoads(t, 2)
		future, err := tiered.ParseToken("zzzzzzzzz.1.00000000000000000000000000000000")
		if err != nil {
			t.Fatal(err)
		}
		wantGet(t, a, "k", db, "new", tiered.AtLeast(future))
		db.wantLoads(t, 0)
	})
}

func TestParseToken(t *testing.T) {
	nonce := strings.Repeat("0", 32)
	for _, text := range []string{
		"1", "1.1", "1.1.", "0.1." + nonce, "1.0." + nonce, "01.1." + nonce, "1.1." + nonce + "0", "1.1." + strings.Repeat("G", 32),
		"-1.1." + nonce, "A.1." + nonce, "1.1." + nonce + ".", "zzzzzzzzzzzzzz.1." + nonce, strings.Repeat("1", 1<<16),
	} {
		if token, err := tiered.ParseToken(text); err == nil || len(err.Error()) > 200 {
			t.Errorf("ParseToken(%.40q) = %v, %v", text, token, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9a-z]{1,12}\.[0-9a-z]{1,12}\.[0-9a-f]{30,34}`).Draw(t, "text")
		if token, err := tiered.ParseToken(text); err == nil && token.String() != text {
			t.Errorf("%q is accepted and written as %q", text, token)
		}
	})
}

// A hit of a strong cache, and one with a token, allocates nothing.
func TestStrongHitAllocatesNothing(t *testing.T) {
	strongFleet(t, 1, strong, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "v")
		var token tiered.Token
		update(t, c, "k", db, "v", tiered.Issue(&token))
		wantGet(t, c, "k", db, "v")
		ctx, load := t.Context(), tiered.Loader[string](db.load)
		for name, get := range map[string]func(){
			"plain": func() { c.Get(ctx, "k", load) },
			"token": func() { c.Get(ctx, "k", load, tiered.AtLeast(token)) },
		} {
			if raceEnabled {
				get()
				continue
			}
			if n := testing.AllocsPerRun(1000, get); n != 0 {
				t.Errorf("%s: %v allocations a hit", name, n)
			}
		}
		db.wantLoads(t, 0)
	})
}

// Consistency reads well in messages.
func TestConsistencyString(t *testing.T) {
	for c, want := range map[tiered.Consistency]string{tiered.Bounded: "Bounded", tiered.Acknowledged: "Acknowledged", tiered.Strong: "Strong", 9: "Consistency(9)"} {
		if c.String() != want {
			t.Errorf("%d is %q", c, c)
		}
	}
}
