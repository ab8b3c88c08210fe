package tiered

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// strong makes a cache's reads linearizable.
func strong(c *Config[int]) { c.Consistency = Strong }

// joinStrong adds processes and waits until no fence can be unknown to them.
func (s *stage) joinStrong(n int) []*actor {
	s.Helper()
	actors := make([]*actor, n)
	for i := range actors {
		actors[i] = s.join(strong)
	}
	s.outlastFences()
	return actors
}

func (s *stage) outlastFences() { time.Sleep(DefaultStrongFenceTTL + bound) }

// I16. A hears nothing and holds a copy. When B's writer is called A may not serve
// it any more.
func TestGatedI16NobodyServesWhenTheSourceIsWritten(t *testing.T) {
	gated(t, func(s *stage) {
		ab := s.joinStrong(2)
		a, b := ab[0], ab[1]
		a.want(1, "first load")
		a.link.Hole()
		if !a.holds() {
			s.Fatal("A has no copy")
		}
		b.updateBy(func() {
			if a.holds() {
				s.Error("the source is written while A serves its copy")
			}
			s.source.set(2)
		})
		a.want(2, "the source")
		b.want(2, "own write")
	})
}

// I15. A is silent, B was paused after it had fenced: the wait for A's assurance ends in
// the second half of the fence's life. Who remembers the fence might forget it before
// its own assurance from before the write has ended. Nothing is written.
func TestGatedI15FencingTakesTooLong(t *testing.T) {
	gated(t, func(s *stage) {
		ab := s.joinStrong(2)
		a, b := ab[0], ab[1]
		a.link.Hole()
		b.after("APPEND", func() error { time.Sleep(bound * 3 / 4); return nil })
		began := time.Now()
		_, err := b.cache.Update(s.Context(), key, func(context.Context, string) (int, error) {
			s.source.set(2)
			return 2, nil
		})
		if took := time.Since(began); took <= DefaultStrongFenceTTL/2 || took >= DefaultStrongFenceTTL*8/10 {
			s.Fatalf("fencing took %v, or the writer had no time left: nothing is tested", took)
		}
		if !errors.Is(err, ErrNotWritten) {
			s.Errorf("Update: %v, want ErrNotWritten", err)
		}
		b.want(1, "not written")
		if !b.holds() {
			s.Error("the fence still stands")
		}
		b.update(2) // A is off the list
		b.want(2, "own write")
	})
}

// I3. A's registration is refused: it is in step, and nobody waits for it. Or it is
// cut off just after a load. Nothing is served without an assurance.
func TestGatedI3NothingWithoutAssurance(t *testing.T) {
	faults := map[string]func(s *stage, a *actor){
		"refused": func(s *stage, a *actor) {
			s.redis.Intercept(func(c *server.Peer, cmd string, args ...string) bool {
				const name = 4                                                                                    // behind the script, the number of keys, and two of them
				refused := (cmd == "EVAL" || cmd == "EVALSHA") && len(args) > name && args[name] == a.node.Name() // ATTEST
				if refused {
					c.WriteError("NOPERM")
				}
				return refused
			})
		},
		"cut off": func(s *stage, a *actor) { a.link.Cut() },
	}
	for fault, inject := range faults {
		t.Run(fault, func(t *testing.T) {
			gated(t, func(s *stage) {
				a := s.joinStrong(1)[0]
				time.Sleep(bound / 20) // some time after a probe
				a.want(1, "first load")
				loaded := a.node.Now()
				inject(s, a)
				for a.node.Assured(a.node.Now()) {
					time.Sleep(time.Millisecond)
				}
				if fault == "cut off" && a.node.Now() > loaded.Add(bound) {
					s.Fatal("the copy is too old for the test")
				}
				if a.holds() {
					s.Error("a copy is served without an assurance")
				}
				s.source.set(2) // by whom nobody waits for
				a.want(2, "the source")
			})
		})
	}
}

// I15. Redis loses the fence while B writes. Who has heard of it, and who has come
// too late for that, do not keep what is about to be replaced.
func TestGatedI15FenceDeleted(t *testing.T) {
	gated(t, func(s *stage) {
		ab := s.joinStrong(2)
		a, b := ab[0], ab[1]
		a.want(1, "first load")
		var late *actor
		b.updateBy(func() {
			s.redis.Del("f:p:" + key)
			late = s.join(strong)
			for _, n := range []*actor{a, b, late} {
				n.want(1, "not written yet")
				if n.holds() {
					s.Error("a fenced value is kept")
				}
			}
			s.source.set(2)
			for _, n := range []*actor{a, b, late} {
				n.want(2, "written")
			}
		})
		for _, n := range []*actor{a, b, late} {
			n.want(2, "written")
		}
		s.outlastFences()
		a.want(2, "written")
		if !a.holds() {
			s.Error("the key is not cached any more")
		}
	})
}

// I15. Redis loses the fence while B writes, so that A's write, which overlaps, finds nobody beside it. A keeps nothing,
// here or in Redis: B's value may be the later one.
func TestGatedI15OverlappedFenceDeleted(t *testing.T) {
	gated(t, func(s *stage) {
		ab := s.joinStrong(2)
		a, b := ab[0], ab[1]
		b.updateBy(func() {
			s.redis.Del("f:p:" + key)
			a.update(2)
			if a.holds() {
				s.Error("A keeps what it wrote, while B writes")
			}
			if record, err := s.redis.Get("f:p:" + key); err == nil {
				s.Errorf("Redis holds %q, while B writes", record)
			}
			s.source.set(3)
			a.want(3, "written by B")
		})
		a.want(3, "written by B")
		b.want(3, "own write")
		a.update(4)
		if !a.holds() {
			s.Error("A's later write is not kept")
		}
	})
}

// I15. A has looked and queues for the source. Then B announces a write, Redis loses
// everything, and A gets a lease where a fence stood. What it loads is about to be
// replaced, by a writer that does not live to announce it again: nobody may find it.
func TestGatedI15LeaseAfterLostFence(t *testing.T) {
	reads := map[string]func(a *actor) (int, error){
		"Get": func(a *actor) (int, error) { return a.cache.Get(a.Context(), key, a.source.load) },
		"GetMany": func(a *actor) (int, error) {
			found, err := a.cache.GetMany(a.Context(), []string{key}, a.source.loadMany)
			return found[key], err
		},
	}
	for verb, read := range reads {
		t.Run(verb, func(t *testing.T) {
			gated(t, func(s *stage) {
				a := s.join(strong, func(c *Config[int]) { c.SourceLimit = 1 })
				bc := s.joinStrong(2)
				b, c := bc[0], bc[1]
				busy, queued := make(chan bool), make(chan int, 1)
				go func() {
					_, _ = a.cache.Get(s.Context(), "another", func(context.Context, string) (int, error) { <-busy; return 0, nil })
				}()
				s.settle()
				go func() {
					v, err := read(a)
					if err != nil {
						s.Errorf("%s: %v", verb, err)
					}
					queued <- v
				}()
				s.settle()
				_, err := b.cache.Update(s.Context(), key, func(context.Context, string) (int, error) {
					s.redis.FlushAll()
					time.Sleep(bound / 2) // all have noticed
					close(busy)
					if v := <-queued; v != 1 {
						s.Errorf("%s = %d, want 1: not written yet", verb, v)
					}
					s.source.set(2)
					return 0, errCut
				})
				if !errors.Is(err, errCut) {
					s.Fatalf("Update: %v, want the writer's error", err)
				}
				s.outlastFences()
				c.want(2, "written")
				if !c.holds() {
					s.Error("the key is not cached any more")
				}
			})
		})
	}
}

// I15. Under a fence nothing is shared with later reads and Peek finds nothing, by
// whatever way a read comes.
func TestGatedI15ReadsUnderFence(t *testing.T) {
	gated(t, func(s *stage) {
		ab := s.joinStrong(2)
		a, b := ab[0], ab[1]
		a.want(1, "first load")
		gate := make(chan bool)
		var old *inFlight
		b.updateBy(func() {
			if _, err := a.cache.Peek(s.Context(), key); !errors.Is(err, ErrMiss) {
				s.Errorf("Peek: %v, want ErrMiss", err)
			}
			old = a.start(func() { <-gate })
			s.source.set(2)
			late := make(chan int, 1)
			go func() {
				found, err := a.cache.GetMany(s.Context(), []string{key}, s.source.loadMany)
				if err != nil {
					s.Errorf("GetMany: %v", err)
				}
				late <- found[key]
			}()
			s.settle()
			close(gate)
			if v := <-late; v != 2 {
				s.Errorf("GetMany = %d, want 2", v)
			}
		})
		old.want(1, "it read the source before the write")
		s.settle()
		a.want(2, "written")
		if !a.holds() {
			s.Error("the end of the fence did not reach A")
		}
	})
}

// Without Redis the reads of a key at one node share the load that comes next.
func TestGatedStrongHerdWithoutRedis(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.joinStrong(1)[0]
		a.link.Cut()
		s.outlast()
		gate := make(chan bool)
		var reads []*inFlight
		before := s.source.loaded()
		for range 20 {
			reads = append(reads, a.start(func() { <-gate }))
		}
		close(gate)
		for _, r := range reads {
			r.want(1, "the source")
		}
		if n := s.source.loaded() - before; n != 2 {
			s.Errorf("20 reads loaded %d times, want 2: one that was under way, one for all others", n)
		}
	})
}

// A's messages are lost. A read with the token of B's write sees it all the same, by
// whatever verb; one without need not.
func TestGatedTokenIsSeen(t *testing.T) {
	reads := map[string]func(a *actor, opts ...Option) (int, error){
		"Get": func(a *actor, opts ...Option) (int, error) {
			return a.cache.Get(a.Context(), key, a.source.load, opts...)
		},
		"Peek": func(a *actor, opts ...Option) (int, error) { return a.cache.Peek(a.Context(), key, opts...) },
		"GetMany": func(a *actor, opts ...Option) (int, error) {
			found, err := a.cache.GetMany(a.Context(), []string{key}, a.source.loadMany, opts...)
			return found[key], err
		},
	}
	for verb, read := range reads {
		t.Run(verb, func(t *testing.T) {
			gated(t, func(s *stage) {
				a, b := s.join(), s.join()
				a.want(1, "first load")
				s.redis.Intercept(func(c *server.Peer, cmd string, _ ...string) bool {
					if cmd == "PUBLISH" {
						c.WriteInt(0)
					}
					return cmd == "PUBLISH"
				})
				var token Token
				if _, err := b.cache.Update(s.Context(), key, func(context.Context, string) (int, error) { s.source.set(2); return 2, nil }, Issue(&token)); err != nil {
					s.Fatal(err)
				}
				if v, err := read(a); v != 1 || err != nil {
					s.Fatalf("without the token: %d, %v: A has heard of the write, nothing is tested", v, err)
				}
				if v, err := read(a, AtLeast(token)); v != 2 || err != nil {
					s.Errorf("with the token: %d, %v, want 2", v, err)
				}
				s.outlast()
				if v, err := read(a, AtLeast(token)); v != 2 || err != nil || !a.holds() {
					s.Errorf("later: %d, %v, held %t; want 2 from memory", v, err, a.holds())
				}
			})
		})
	}
}

// A knows of B's write, and could not ask Redis when it loaded under it: neither that
// load nor the copy made of it is for who carries the token.
func TestGatedTokenTakesNoWeakLoad(t *testing.T) {
	for _, landed := range []bool{false, true} {
		t.Run(map[bool]string{false: "load", true: "copy"}[landed], func(t *testing.T) {
			gated(t, func(s *stage) {
				a, b := s.join(), s.join()
				gate := make(chan bool)
				var old *inFlight
				var token Token
				if _, err := b.cache.Update(s.Context(), key, func(context.Context, string) (int, error) {
					s.settle()
					a.before("GET", func() error { return errCut })
					old = a.start(func() { <-gate })
					if landed {
						close(gate)
						old.want(1, "not written yet")
						s.settle()
					}
					s.source.set(2)
					return 2, nil
				}, Issue(&token)); err != nil {
					s.Fatal(err)
				}
				done := make(chan int, 1)
				go func() {
					v, err := a.cache.Get(s.Context(), key, s.source.load, AtLeast(token))
					if err != nil {
						s.Errorf("Get: %v", err)
					}
					done <- v
				}()
				s.settle()
				if !landed {
					close(gate)
					old.want(1, "it began before the write")
				}
				if v := <-done; v != 2 {
					s.Errorf("Get = %d, want 2", v)
				}
			})
		})
	}
}
