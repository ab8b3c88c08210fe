package tiered_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered"
)

func update(t *testing.T, c interface {
	Update(context.Context, string, tiered.Writer[string], ...tiered.Option) (string, error)
}, key string, db *database, value string, opts ...tiered.Option) {
	t.Helper()
	if got, err := c.Update(t.Context(), key, db.writes(value), opts...); got != value || err != nil {
		t.Errorf("Update(%q) = %q, %v, want %q", key, got, err, value)
	}
}

// A write is seen by the writer's node in the same instant, and by another one
// as soon as the message arrives; nobody has to load it.
func TestUpdateWritesThrough(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
		wantGet(t, a, "k", db, "old")
		wantGet(t, b, "k", db, "old")
		db.wantLoads(t, 1)
		update(t, a, "k", db, "new")
		if v, err := a.Get(t.Context(), "k", db.load); v != "new" || err != nil { // nothing has settled yet
			t.Errorf("the writer's own node: Get = %q, %v", v, err)
		}
		settle()
		wantGet(t, b, "k", db, "new")
		db.wantLoads(t, 0)
		s := a.Stats()
		wantStat(t, "Updates", s.Updates, 1)
		wantStat(t, "WrittenThrough", s.WrittenThrough, 1)
		if got := f.TTL(prefix + "k"); got != tiered.DefaultTTL {
			t.Errorf("the written value lives %v", got)
		}
		update(t, a, "k", db, "newer", tiered.WithTTL(time.Second), tiered.WithStaleTTL(2*time.Second))
		if got := f.TTL(prefix + "k"); got != 3*time.Second {
			t.Errorf("the value written with options lives %v", got)
		}
		f.wantKeysExpire(t)
	})
}

// While somebody writes nobody caches, and reads do not wait.
func TestReadsDuringUpdate(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
		wantGet(t, b, "k", db, "old")
		writer := start(func() (string, error) {
			return a.Update(t.Context(), "k", func(_ context.Context, key string) (string, error) {
				time.Sleep(time.Second)
				db.set(key, "new")
				time.Sleep(time.Second)
				return "new", nil
			})
		})
		f.wantKind(t, "k", 'F')
		wantGet(t, a, "k", db, "old")
		wantGet(t, b, "k", db, "old")
		time.Sleep(1500 * ms)
		wantGet(t, a, "k", db, "new") // the source decides, not a copy
		wantGet(t, b, "k", db, "new")
		db.wantLoads(t, 5)
		wantStat(t, "Bypassed", a.Stats().Bypassed+b.Stats().Bypassed, 4)
		writer.want(t, "new", nil)
		wantGet(t, b, "k", db, "new")
		db.wantLoads(t, 0)
	})
}

// A hot key under a fence is no herd: readers of a node share the next flight.
func TestHerdDuringUpdate(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{FenceTTL: 20 * time.Second}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "v")
		db.delays(100 * ms)
		writer := start(func() (string, error) {
			return c.Update(t.Context(), "k", func(context.Context, string) (string, error) {
				time.Sleep(5 * time.Second)
				return "v", nil
			})
		})
		var calls []*pending
		for range 20 {
			for range 10 {
				calls = append(calls, start(func() (string, error) { return c.Get(t.Context(), "k", db.load) }))
			}
			time.Sleep(10 * ms)
		}
		for _, p := range calls {
			if p.want(t, "v", nil); p.took > 200*ms {
				t.Errorf("a read took %v, want at most two loads", p.took)
			}
		}
		if _, peak := db.running(); peak != 1 {
			t.Errorf("%d loads at once", peak)
		}
		db.wantLoads(t, 3) // over 200 ms
		writer.want(t, "v", nil)
	})
}

// The textbook write-through: two writers finish in one order in the database and
// in another one in the cache. Here an overlap falls back to invalidation.
func TestOverlappingUpdates(t *testing.T) {
	for name, nested := range map[string]bool{"crossed": false, "nested": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
				db := newDatabase("k", "0")
				write := func(value string, commit, end time.Duration) tiered.Writer[string] {
					return func(_ context.Context, key string) (string, error) {
						time.Sleep(commit)
						db.set(key, value)
						time.Sleep(end - commit)
						return value, nil
					}
				}
				// One commits last and returns first, or starts first and returns last.
				end := time.Second
				if nested {
					end = 3 * time.Second
				}
				one := start(func() (string, error) {
					return f.sites[0].Update(t.Context(), "k", write("1", 900*ms, end))
				})
				two := start(func() (string, error) {
					return f.sites[1].Update(t.Context(), "k", write("2", 500*ms, 2*time.Second))
				})
				one.want(t, "1", nil)
				two.want(t, "2", nil)
				f.wantKind(t, "k", 0)
				for _, s := range f.sites {
					wantGet(t, s, "k", db, "1")
					wantStat(t, "WrittenThrough", s.Stats().WrittenThrough, 0)
				}
				db.wantLoads(t, 1)
				update(t, f.sites[0], "k", db, "3")
				f.wantKind(t, "k", 'V')
			})
		})
	}
}

// An Invalidate during an Update, for a write made elsewhere, spoils the
// write-through: nobody knows which of the two writes came last.
func TestInvalidateDuringUpdate(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		db := newDatabase("k", "old")
		p := start(func() (string, error) {
			return f.sites[0].Update(t.Context(), "k", func(_ context.Context, key string) (string, error) {
				db.set(key, "ours")
				time.Sleep(time.Second)
				return "ours", nil
			})
		})
		db.set("k", "theirs")
		if err := f.sites[1].Invalidate(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		f.wantKind(t, "k", 'F')
		p.want(t, "ours", nil)
		wantGet(t, f.sites[0], "k", db, "theirs")
		wantGet(t, f.sites[1], "k", db, "theirs")
	})
}

// A failed write may have happened all the same (a commit whose answer was lost):
// nobody caches the key until the writer can no longer be at work.
func TestFailedUpdateIsInDoubt(t *testing.T) {
	down := errors.New("connection lost after COMMIT")
	for name, fail := range map[string]func() error{
		"error": func() error { return down },
		"panic": func() error { panic(down) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 2, tiered.Config[string]{FenceTTL: 5 * time.Second}, func(t *testing.T, f *fleet) {
				a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
				wantGet(t, b, "k", db, "old")
				v, err := a.Update(t.Context(), "k", func(context.Context, string) (string, error) { return "half", fail() })
				if v != "" || !errors.Is(err, down) || errors.Is(err, tiered.ErrNotWritten) || errors.Is(err, tiered.ErrUnconfirmed) {
					t.Errorf("Update = %q, %v", v, err)
				}
				settle()
				time.Sleep(5*time.Second - ms)
				for _, value := range []string{"old", "new"} {
					db.set("k", value)
					wantGet(t, a, "k", db, value)
					wantGet(t, b, "k", db, value)
				}
				f.wantKind(t, "k", 'F')
				time.Sleep(ms)
				f.wantKind(t, "k", 0)
				wantGet(t, a, "k", db, "new")
				f.wantKind(t, "k", 'V')
			})
		})
	}
}

// A writer that knows that nothing happened says so, and costs nobody anything.
func TestRolledBackUpdate(t *testing.T) {
	conflict := errors.New("version conflict")
	for name, err := range map[string]error{
		"an error":      tiered.RolledBack(conflict),
		"wrapped again": errors.Join(errors.New("tx"), tiered.RolledBack(conflict)),
		// Something else was not found, and the transaction rolled back: the record stands.
		"not found": tiered.RolledBack(errors.Join(conflict, tiered.ErrNotFound)),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
				a, b, db := f.sites[0], f.sites[1], newDatabase("k", "v")
				_, got := a.Update(t.Context(), "k", func(context.Context, string) (string, error) { return "", err })
				wantError(t, "Update", got, conflict)
				f.wantKind(t, "k", 0)
				wantGet(t, b, "k", db, "v")
				f.wantKind(t, "k", 'V')
				wantGet(t, a, "k", db, "v")
				db.wantLoads(t, 1)
			})
		})
	}
}

// A writer that returns ErrNotFound has deleted the record.
func TestUpdateDeletes(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "v")
		wantGet(t, b, "k", db, "v")
		v, err := a.Update(t.Context(), "k", db.writes(""))
		if v != "" || !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("Update = %q, %v", v, err)
		}
		settle()
		db.wantLoads(t, 1)
		wantGetError(t, a, "k", db, tiered.ErrNotFound)
		wantGetError(t, b, "k", db, tiered.ErrNotFound)
		db.wantLoads(t, 0)
		wantStat(t, "WrittenThrough", a.Stats().WrittenThrough, 1)
		if got := f.TTL(prefix + "k"); got != tiered.DefaultNotFoundTTL {
			t.Errorf("the deletion is remembered for %v", got)
		}
	})
	bubble(t, 2, tiered.Config[string]{NotFoundTTL: -1}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "v")
		wantGet(t, b, "k", db, "v")
		_, err := a.Update(t.Context(), "k", db.writes(""))
		wantError(t, "Update", err, tiered.ErrNotFound)
		settle()
		f.wantKind(t, "k", 0)
		wantGetError(t, b, "k", db, tiered.ErrNotFound)
	})
}

// The writer's context ends well before the fence does, and keeps the caller's values.
func TestWriterContext(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{FenceTTL: 10 * time.Second}, func(t *testing.T, f *fleet) {
		c, began := f.sites[0], time.Now()
		ctx := context.WithValue(t.Context(), userKey{}, "alice")
		_, err := c.Update(ctx, "k", func(ctx context.Context, key string) (string, error) {
			if key != "k" || ctx.Value(userKey{}) != "alice" {
				t.Errorf("the writer got key %q and user %v", key, ctx.Value(userKey{}))
			}
			<-ctx.Done()
			return "", ctx.Err()
		})
		wantError(t, "Update", err, context.DeadlineExceeded)
		if took := time.Since(began); took != 8*time.Second {
			t.Errorf("the writer's context ended after %v, want 0.8 of FenceTTL", took)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		_, err = c.Update(ctx, "l", func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			return "written at the last moment", nil
		})
		if took := time.Since(began); err != nil || took != time.Second {
			t.Errorf("Update with a deadline of its own: %v after %v", err, took)
		}
		settle()
		f.wantKind(t, "l", 'V') // the fleet learns of it although the caller's time is over
	})
}

// A writer that ignores its context outlives its fence: others may have cached
// the old value meanwhile, so that everything is invalidated again.
func TestWriterOutlivesItsFence(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{FenceTTL: 2 * time.Second}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
		p := start(func() (string, error) {
			return a.Update(t.Context(), "k", func(_ context.Context, key string) (string, error) {
				time.Sleep(3 * time.Second)
				db.set(key, "new")
				return "new", nil
			})
		})
		time.Sleep(2500 * ms)
		wantGet(t, b, "k", db, "old")
		f.wantKind(t, "k", 'V')
		p.want(t, "new", nil)
		f.wantKind(t, "k", 0)
		wantGet(t, b, "k", db, "new")
		wantGet(t, a, "k", db, "new")
		wantStat(t, "WrittenThrough", a.Stats().WrittenThrough, 0)
	})
}

// Redis is away: the source is not written, because the fleet could not be told (I8).
func TestUpdateWithoutRedis(t *testing.T) {
	for name, wait := range map[string]time.Duration{"not noticed yet": 0, "adrift": 2 * bound} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
				c, db := f.sites[0], newDatabase("k", "old")
				f.Crash()
				time.Sleep(wait)
				p := start(func() (string, error) { return c.Update(t.Context(), "k", db.writes("new")) })
				p.want(t, "", tiered.ErrNotWritten)
				wantWords(t, "Update", p.err, `key "k"`, `cache "c"`)
				if p.took > 1100*ms {
					t.Errorf("a refused Update took %v", p.took)
				}
				if db.row("k") != "old" {
					t.Error("the source was written")
				}
				s := c.Stats()
				wantStat(t, "NotWritten", s.NotWritten, 1)
				wantStat(t, "Updates", s.Updates, 0)

				if err := f.Restart(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * bound)
				update(t, c, "k", db, "new")
			})
		})
	}
}

// The announcement fails although the fence stood: the fence is withdrawn.
func TestUpdateThatCannotAnnounce(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db, lost := f.sites[0], newDatabase("k", "v"), errors.New("lost")
		update(t, c, "other", db, "x") // loads the scripts
		first := true
		c.sent.breakOn(func(cmds []redis.Cmder) error {
			if was := first; was && len(cmds) == 2 { // FENCE and APPEND
				first = false
				return lost
			}
			return nil
		})
		v, err := c.Update(t.Context(), "k", db.writes("w"))
		if v != "" || !errors.Is(err, tiered.ErrNotWritten) || !errors.Is(err, lost) || db.row("k") != "v" {
			t.Errorf("Update = %q, %v; the source holds %q", v, err, db.row("k"))
		}
		f.wantKind(t, "k", 0)
		wantGet(t, c, "k", db, "v")
		f.wantKind(t, "k", 'V')
	})
}

// Redis dies while the writer is at work: the source was written, and the caller
// learns that the fleet may not know. The invalidation is made up for later.
func TestUpdateUnconfirmed(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
		snapshot := f.Snapshot()
		v, err := a.Update(t.Context(), "k", func(ctx context.Context, key string) (string, error) {
			f.Crash()
			return db.writes("new")(ctx, key)
		})
		if v != "new" || !errors.Is(err, tiered.ErrUnconfirmed) {
			t.Errorf("Update = %q, %v, want the value and ErrUnconfirmed", v, err)
		}
		settle()
		wantStat(t, "Unconfirmed", a.Stats().Unconfirmed, 1)
		if held := a.node.Stats().Journal; held != 1 {
			t.Errorf("the journal holds %d keys", held)
		}
		wantGet(t, a, "k", db, "new")
		time.Sleep(2 * bound)
		wantGet(t, b, "k", db, "new")

		if err := f.Restore(snapshot); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * bound)
		if held := a.node.Stats().Journal; held != 0 {
			t.Errorf("the journal still holds %d keys", held)
		}
		db.set("k", "newer")
		update(t, b, "k", db, "newest")
		wantGet(t, a, "k", db, "newest")
		wantGet(t, b, "k", db, "newest")
	})
}

// The last step fails and is made up for at once by an invalidation.
func TestUpdateWhoseUnfenceFails(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
		update(t, a, "k", db, "old")
		settle()
		v, err := a.Update(t.Context(), "k", func(ctx context.Context, key string) (string, error) {
			first := true
			a.sent.breakOn(func([]redis.Cmder) error {
				if was := first; was {
					first = false
					return errors.New("lost")
				}
				return nil
			})
			return db.writes("new")(ctx, key)
		})
		if v != "new" || err != nil {
			t.Errorf("Update = %q, %v", v, err)
		}
		settle()
		f.wantKind(t, "k", 'F') // nobody knows it to be ours any more: it may no longer store
		wantGet(t, a, "k", db, "new")
		wantGet(t, b, "k", db, "new")
		time.Sleep(tiered.DefaultFenceTTL)
		wantGet(t, b, "k", db, "new")
		f.wantKind(t, "k", 'V')
	})
}

// A reader inside a writer of the same key must not wait for itself.
func TestGetInsideUpdate(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "1")
		wantGet(t, c, "k", db, "1")
		p := start(func() (string, error) {
			return c.Update(t.Context(), "k", func(ctx context.Context, key string) (string, error) {
				old, err := c.Get(ctx, key, db.load)
				if err != nil {
					return "", err
				}
				return db.writes(old+"+1")(ctx, key)
			})
		})
		p.want(t, "1+1", nil)
		wantGet(t, c, "k", db, "1+1")
	})
}

// Beyond 64 writers of one key at once the next one is refused, by name.
func TestTooManyWriters(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase()
		slow := func(ctx context.Context, key string) (string, error) {
			time.Sleep(time.Second)
			return db.writes("v")(ctx, key)
		}
		var calls []*pending
		for range 64 {
			calls = append(calls, start(func() (string, error) { return c.Update(t.Context(), "k", slow) }))
		}
		_, err := c.Update(t.Context(), "k", db.writes("refused"))
		wantError(t, "the 65th Update", err, tiered.ErrNotWritten)
		if err != nil && !strings.Contains(err.Error(), "writers") {
			t.Errorf("the 65th Update: %v", err)
		}
		if db.row("k") == "refused" {
			t.Error("the 65th writer was called")
		}
		for _, p := range calls {
			p.want(t, "v", nil)
		}
		wantGet(t, c, "k", db, "v")
	})
}
