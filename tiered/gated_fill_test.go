package tiered

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// I5. A loads under a lease and has read the source when B updates: the fence has
// taken the lease away, and A's COMMIT must not overwrite the new value.
func TestGatedI5UpdateDuringLoad(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		read := a.start(func() { b.update(2) })
		read.want(1, "it began before the update")
		s.join().want(2, "Redis holds the update")
		a.want(2, "A kept no copy")
	})
}

// I5. A loads under a lease and has read the source when B invalidates: nothing
// stands in Redis when A commits.
func TestGatedI5InvalidateDuringLoad(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		read := a.start(func() { b.change(2) })
		read.want(1, "it began before the invalidation")
		s.join().want(2, "COMMIT was refused")
		a.want(2, "A kept no copy")
	})
}

// I5, I13. A's lease falls to B's invalidation while A loads; then a late copy of
// A's ACQUIRE, sent before, brings a lease with A's token back. The COMMIT for the
// first grant is still refused.
func TestGatedI5LateCopyOfAcquire(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		var acquire []any
		a.rdb.AddHook(recorder{func(args []any) {
			if nameOf(args) == "ACQUIRE" {
				acquire = args
			}
		}})
		read := a.start(func() {
			b.change(2)
			time.Sleep(time.Millisecond) // another grant
			if err := b.rdb.Do(context.Background(), acquire...).Err(); err != nil {
				s.Error(err)
			}
		})
		read.want(1, "it began before the invalidation")
		s.outlast()
		a.want(2, "A's load was overtaken")
	})
}

// recorder shows a test every command of a client, those in pipelines included.
type recorder struct{ see func(args []any) }

func (r recorder) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r recorder) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		r.see(cmd.Args())
		return next(ctx, cmd)
	}
}

func (r recorder) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			r.see(cmd.Args())
		}
		return next(ctx, cmds)
	}
}

// I5. A refreshes an expired value and has read the source when B updates: REPLACE
// finds another stamp.
func TestGatedI5UpdateDuringRefresh(t *testing.T) {
	gated(t, func(s *stage) {
		stale := func(c *Config[int]) { c.TTL, c.StaleTTL = time.Second, time.Hour }
		a, b := s.join(stale), s.join(stale)
		a.want(1, "first load")
		time.Sleep(2 * time.Second)
		a.start(func() { b.update(2) }).want(1, "the expired value")
		s.settle()
		s.join(stale).want(2, "Redis holds the update")
		a.want(2, "A kept no copy")
	})
}

// I6. B has fenced the key and A has heard of it. A loads the old value; B writes
// and returns. Nobody announces anything any more: A must not have kept it.
func TestGatedI6FencedIsNotKept(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		b.updateBy(func() {
			s.settle()
			a.want(1, "under the fence")
			if a.holds() {
				s.Error("a value loaded under a fence was kept")
			}
			if raw, _ := s.redis.Get("f:p:" + key); raw == "" || raw[0] != 'F' {
				s.Errorf("under the fence Redis holds %.1q", raw)
			}
			s.source.set(2)
		})
		a.want(2, "B has written")
	})
}

// I6. B fences, A fences; both write the source and end, in all four orders. No one
// writes its value through over the other's, and a third node sees what the source
// has.
func TestGatedI6OverlappingUpdates(t *testing.T) {
	for _, aWritesLast := range []bool{true, false} {
		for _, aEndsLast := range []bool{true, false} {
			t.Run(fmt.Sprintf("A writes last=%t, ends last=%t", aWritesLast, aEndsLast), func(t *testing.T) {
				gated(t, func(s *stage) { overlap(s, aWritesLast, aEndsLast) })
			})
		}
	}
}

func overlap(s *stage, aWritesLast, aEndsLast bool) {
	a, b := s.join(), s.join()
	fenced, write, wrote, end, done := make(chan bool), make(chan bool), make(chan bool), make(chan bool), make(chan bool)
	byA := func() int {
		close(fenced)
		<-write
		s.source.set(20)
		close(wrote)
		<-end
		return 20
	}
	byB := func() int {
		go func() {
			defer close(done)
			a.updateTo(byA)
		}()
		<-fenced
		if aWritesLast {
			s.source.set(10)
		}
		close(write)
		<-wrote
		if !aWritesLast {
			s.source.set(10)
		}
		if !aEndsLast {
			close(end)
			<-done
		}
		return 10
	}
	b.updateTo(byB)
	if aEndsLast {
		close(end)
		<-done
	}
	s.join().want(s.source.get(key), "what was written last")
}

// I6. B is updating when A invalidates because the source was written elsewhere:
// B's fence stays, so that nobody caches, but may not write through any more.
func TestGatedI6InvalidateUnderFence(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		v, err := b.cache.Update(s.Context(), key, func(context.Context, string) (int, error) {
			s.source.set(2)
			a.change(3)
			a.want(3, "under the fence")
			if raw, _ := s.redis.Get("f:p:" + key); raw == "" || raw[0] != 'F' {
				s.Errorf("under the fence Redis holds %.1q", raw)
			}
			return 2, nil
		})
		if v != 2 || err != nil {
			s.Fatalf("Update = %d, %v", v, err)
		}
		s.join().want(3, "the write elsewhere was later")
	})
}

// Fault 8. A reader is stopped at each of its steps while B updates, invalidates,
// or makes Redis lose its epoch after a write. Once MaxStale has passed everybody
// agrees with the source.
func TestGatedI1ReaderStoppedAtEveryStep(t *testing.T) {
	stops := map[string]func(a *actor, act func()){
		"before GET":     func(a *actor, act func()) { a.before("GET", pausing(act)) },
		"after GET":      func(a *actor, act func()) { a.after("GET", pausing(act)) },
		"before ACQUIRE": func(a *actor, act func()) { a.before("ACQUIRE", pausing(act)) },
		"after ACQUIRE":  func(a *actor, act func()) { a.after("ACQUIRE", pausing(act)) },
		"before COMMIT":  func(a *actor, act func()) { a.before("COMMIT", pausing(act)) },
		"after COMMIT":   func(a *actor, act func()) { a.after("COMMIT", pausing(act)) },
		"GET lost":       func(a *actor, act func()) { a.after("GET", losing(act)) },
		"ACQUIRE lost":   func(a *actor, act func()) { a.after("ACQUIRE", losing(act)) },
		"COMMIT lost":    func(a *actor, act func()) { a.after("COMMIT", losing(act)) },
	}
	for stop, arm := range stops {
		for _, act := range []string{"update", "invalidate", "epoch"} {
			t.Run(stop+"/"+act, func(t *testing.T) {
				gated(t, func(s *stage) {
					a, b := s.join(), s.join()
					arm(a, func() {
						switch act {
						case "update":
							b.update(2)
						case "invalidate":
							b.change(2)
						case "epoch":
							s.source.set(2)
							s.redis.HDel("{f}:bus", "e")
							time.Sleep(2 * b.node.Config().Probe)
						}
					})
					a.get()
					s.outlast()
					a.want(2, "A was stopped "+stop)
					b.want(2, "B acted")
					s.join().want(2, "a third node")
				})
			})
		}
	}
}

func pausing(act func()) func() error { return func() error { act(); return nil } }

func losing(act func()) func() error {
	return func() error { act(); return errors.New("the reply was lost") }
}
