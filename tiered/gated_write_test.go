package tiered

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
)

// I8. Whatever keeps the fence or the announcement from being confirmed, Update
// returns ErrNotWritten and does not call the writer.
func TestGatedI8FailClosed(t *testing.T) {
	faults := map[string]func(s *stage, b *actor){
		"cut":             func(s *stage, b *actor) { b.link.Cut() },
		"cut long ago":    func(s *stage, b *actor) { b.link.Cut(); s.outlast() },
		"hole":            func(s *stage, b *actor) { b.link.Hole() },
		"replies lost":    func(s *stage, b *actor) { b.link.HoleReplies() },
		"FENCE refused":   func(s *stage, b *actor) { s.intercept("FENCE", func() string { return "OOM no memory" }) },
		"APPEND refused":  func(s *stage, b *actor) { s.intercept("APPEND", func() string { return "NOREPLICAS" }) },
		"reply lost":      func(s *stage, b *actor) { b.after("FENCE", func() error { return errCut }) },
		"fencing is slow": func(s *stage, b *actor) { b.after("FENCE", func() error { time.Sleep(DefaultFenceTTL); return nil }) },
	}
	for fault, inject := range faults {
		t.Run(fault, func(t *testing.T) {
			gated(t, func(s *stage) {
				a, b := s.join(), s.join()
				inject(s, b)
				_, err := b.cache.Update(s.Context(), key, func(context.Context, string) (int, error) {
					s.source.set(2)
					return 2, nil
				})
				if !errors.Is(err, ErrNotWritten) || s.source.get(key) != 1 {
					s.Errorf("Update: %v, the source has %d; want ErrNotWritten and 1", err, s.source.get(key))
				}
				time.Sleep(DefaultFenceTTL + time.Millisecond)
				a.want(1, "the key can be cached again")
				if !a.holds() {
					s.Error("a fence was left behind")
				}
			})
		})
	}
}

// I8. The fleet follows a new master, but B's pool still leads to the old one, which
// lives. A fence there keeps nobody from caching the key: the source is not written.
func TestGatedI8FenceInAnOlderEpoch(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		old := redistest.RunPipe(s.T)
		if err := old.Restore(s.redis.Snapshot()); err != nil {
			s.Fatal(err)
		}
		epoch, _ := strconv.ParseUint(s.redis.HGet("{f}:bus", "e"), 10, 64)
		s.redis.HSet("{f}:bus", "e", strconv.FormatUint(epoch+1, 10)) // as MEET does for the new master
		s.outlast()
		rdb := redis.NewClient(old.Link().Options().Simple())
		defer rdb.Close()
		var pool redistest.Detour
		b.rdb.AddHook(&pool)
		pool.To(rdb)
		a.want(1, "before the write")
		_, err := b.cache.Update(s.Context(), key, func(context.Context, string) (int, error) {
			s.source.set(2)
			return 2, nil
		})
		if !errors.Is(err, ErrNotWritten) || s.source.get(key) != 1 {
			s.Errorf("Update: %v, the source has %d; want ErrNotWritten and 1", err, s.source.get(key))
		}
		pool.To(nil)
		s.outlast()
		b.update(2)
		s.outlast()
		a.want(2, "the next write was heard")
	})
}

// I11. While A writes, the source is written elsewhere, and B's invalidation of that is one
// of more than fit into its journal: B raises the epoch instead. No node has told A's fence.
// A does not keep what it wrote, and nobody does.
func TestGatedI11EpochRaisedDuringUpdate(t *testing.T) {
	for name, learns := range map[string]time.Duration{"A has adopted it": bound, "A has not": 0} {
		t.Run(name, func(t *testing.T) {
			gated(t, func(s *stage) {
				a, b := s.join(), s.join()
				epoch := s.redis.HGet("{f}:bus", "e")
				a.updateTo(func() int {
					s.source.set(2)
					s.source.set(3) // elsewhere
					var keys []string
					for i := range coherence.DefaultJournalSize {
						keys = append(keys, "k"+strconv.Itoa(i))
					}
					keys = append(keys, key) // has no room
					b.fail("INVAL")
					if err := b.cache.Invalidate(s.Context(), keys...); !errors.Is(err, ErrUnconfirmed) {
						s.Errorf("Invalidate: %v, want ErrUnconfirmed", err)
					}
					for s.redis.HGet("{f}:bus", "e") == epoch {
						time.Sleep(time.Millisecond)
					}
					time.Sleep(learns)
					b.disarm()
					return 2
				})
				s.outlast()
				for _, x := range []*actor{a, b, s.join()} {
					x.want(3, "the younger write")
				}
			})
		})
	}
}

// I8. The writer's context ends before its fence does.
func TestGatedI8WriterEndsBeforeFence(t *testing.T) {
	gated(t, func(s *stage) {
		b := s.join()
		began := time.Now()
		_, err := b.cache.Update(s.Context(), key, func(ctx context.Context, _ string) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if took := time.Since(began); took >= DefaultFenceTTL || err == nil {
			s.Errorf("the writer ended after %v (%v), its fence after %v", took, err, DefaultFenceTTL)
		}
	})
}

// I9. B's writer returns an error, and its transaction commits all the same a
// little later. Until the fence has expired nobody caches what it may replace.
func TestGatedI9WriteInDoubt(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		timeout := errors.New("commit: timeout")
		_, err := b.cache.Update(s.Context(), key, func(context.Context, string) (int, error) { return 0, timeout })
		if !errors.Is(err, timeout) {
			s.Fatalf("Update: %v", err)
		}
		s.settle()
		a.want(1, "not committed yet")
		time.Sleep(DefaultFenceTTL / 2)
		a.want(1, "not committed yet")
		s.source.set(2)
		a.want(2, "committed")
		time.Sleep(DefaultFenceTTL)
		a.want(2, "the fence has expired")
		if !a.holds() {
			s.Error("the key is not cached after the fence has expired")
		}
	})
}

// An error that says RolledBack takes the fence away at once.
func TestGatedRolledBack(t *testing.T) {
	gated(t, func(s *stage) {
		b := s.join()
		_, err := b.cache.Update(s.Context(), key, func(context.Context, string) (int, error) {
			return 0, RolledBack(errors.New("constraint"))
		})
		if err == nil {
			s.Fatal("Update returned no error")
		}
		s.settle() // B hears its own announcement, which would end the load's right to be kept
		b.want(1, "unchanged")
		if !b.holds() {
			s.Error("the fence of a write that was rolled back still stands")
		}
	})
}

// I9. The writer's process is cut off for good at each of its steps, and a reader
// looks at each. Within FenceTTL and MaxStale everybody agrees with the source.
func TestGatedI9WriterDiesAtEveryStep(t *testing.T) {
	type crash func(s *stage, b *actor) (inWriter func())
	steps := map[string]crash{
		"before FENCE": func(s *stage, b *actor) func() {
			b.before("FENCE", func() error { b.link.Cut(); return nil })
			return func() {}
		},
		"between FENCE and APPEND": func(s *stage, b *actor) func() {
			s.intercept("APPEND", func() string { go b.link.Cut(); return "ERR crash" })
			return func() {}
		},
		"before the write":   func(s *stage, b *actor) func() { return b.link.Cut },
		"after the write":    func(s *stage, b *actor) func() { return func() { s.source.set(2); b.link.Cut() } },
		"before UNFENCE":     func(s *stage, b *actor) func() { b.before("UNFENCE", pausing(b.link.Cut)); return func() {} },
		"reply of UNFENCE":   func(s *stage, b *actor) func() { b.after("UNFENCE", losing(b.link.Cut)); return func() {} },
		"while the fence is": func(s *stage, b *actor) func() { return func() { time.Sleep(DefaultFenceTTL + time.Second) } },
	}
	for step, arm := range steps {
		t.Run(step, func(t *testing.T) {
			gated(t, func(s *stage) {
				a, b := s.join(), s.join()
				a.want(1, "first load")
				b.want(1, "first load")
				inWriter := arm(s, b)
				_, _ = b.cache.Update(s.Context(), key, func(context.Context, string) (int, error) {
					a.get()
					inWriter()
					a.get()
					if step != "before the write" {
						s.source.set(2)
					}
					return s.source.get(key), nil
				})
				a.get()
				time.Sleep(DefaultFenceTTL)
				s.outlast()
				a.want(s.source.get(key), "a reader")
				s.join().want(s.source.get(key), "a new node")
				b.want(s.source.get(key), "the writer's node")
			})
		})
	}
}

// Fault 9. A writer is stopped at each of its steps while A and a third node read,
// and goes on. Once it has returned and MaxStale has passed everybody sees the
// write, and its own node sees it at once.
func TestGatedI1WriterStoppedAtEveryStep(t *testing.T) {
	stops := map[string]func(b *actor, act func()) (inWriter func()){
		"before FENCE":     func(b *actor, act func()) func() { b.before("FENCE", pausing(act)); return nil },
		"after APPEND":     func(b *actor, act func()) func() { b.after("APPEND", pausing(act)); return nil },
		"before the write": func(b *actor, act func()) func() { return act },
		"after the write":  func(b *actor, act func()) func() { return func() { b.source.set(2); act() } },
		"before UNFENCE":   func(b *actor, act func()) func() { b.before("UNFENCE", pausing(act)); return nil },
		"after UNFENCE":    func(b *actor, act func()) func() { b.after("UNFENCE", pausing(act)); return nil },
		"UNFENCE lost":     func(b *actor, act func()) func() { b.after("UNFENCE", losing(act)); return nil },
	}
	for stop, arm := range stops {
		t.Run(stop, func(t *testing.T) {
			gated(t, func(s *stage) {
				a, b, c := s.join(), s.join(), s.join()
				a.want(1, "first load")
				inWriter := arm(b, func() {
					for _, reader := range []*actor{a, b, c} {
						s.settle()
						reader.get()
					}
					time.Sleep(b.node.Config().Timeout / 2)
				})
				b.updateBy(func() {
					if inWriter != nil {
						inWriter()
					}
					s.source.set(2)
				})
				b.want(2, "own write")
				s.outlast()
				a.want(2, "a reader")
				c.want(2, "another reader")
			})
		})
	}
}

// A fence whose announcement is refused is withdrawn at once: the key can be cached
// again before the fence would have ended.
func TestGatedRefusedFenceIsWithdrawn(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		s.intercept("APPEND", func() string { return "NOREPLICAS" })
		_, err := b.cache.Update(s.Context(), key, func(context.Context, string) (int, error) { return 2, nil })
		if !errors.Is(err, ErrNotWritten) {
			s.Errorf("Update: %v, want ErrNotWritten", err)
		}
		s.redis.Intercept(nil)
		a.want(1, "nothing was written")
		if !a.holds() {
			s.Error("the fence stands")
		}
	})
}
