package tiered

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/coherence"
)

// I2. A load of A has read the source when B changes it, and A hears of it. A read
// that begins now does not join that load.
func TestGatedI2NoJoinAcrossGenerations(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		gate := make(chan bool)
		old := a.start(func() { <-gate })
		b.change(2)
		s.settle()
		late := a.start(func() {})
		close(gate)
		old.want(1, "it began before the invalidation")
		late.want(2, "it began after the invalidation")
	})
}

// Section 3. Under B's fence a load of A has read the source; B writes and returns;
// MaxStale passes. A read of A that begins now waits for the next load.
func TestGatedI1NoJoinUnderFence(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		gate := make(chan bool)
		var old *inFlight
		b.updateBy(func() {
			s.settle()
			old = a.start(func() { <-gate })
			s.source.set(2)
		})
		s.outlast()
		late := a.start(func() {})
		close(gate)
		old.want(1, "it read the source before the write")
		late.want(2, "it began after the write")
	})
}

// Section 3. B has fenced and announced, and A has heard of it; a load of A that
// could not ask Redis has read the source; B writes and returns; MaxStale passes. A
// is in step and its generation has not moved since: a read that begins now does
// not join the load, which is as old as a weak copy may not be.
func TestGatedI1NoJoinOfOldWeakLoad(t *testing.T) {
	weakly := map[string]func(a *actor, gate func()) *inFlight{
		"Get": (*actor).start,
		"GetMany": func(a *actor, gate func()) *inFlight {
			f := &inFlight{a: a, done: make(chan int, 1)}
			go func() {
				found, err := a.cache.GetMany(context.Background(), []string{key}, func(ctx context.Context, keys []string) (map[string]int, error) {
					found, err := a.source.loadMany(ctx, keys)
					gate()
					return found, err
				})
				if err != nil {
					a.Errorf("GetMany: %v", err)
				}
				f.done <- found[key]
			}()
			a.settle()
			return f
		},
	}
	for name, start := range weakly {
		t.Run(name, func(t *testing.T) {
			gated(t, func(s *stage) {
				a, b := s.join(), s.join()
				gate := make(chan bool)
				var old *inFlight
				b.updateBy(func() {
					s.settle()
					a.before("GET", func() error { return errCut })
					old = start(a, func() { <-gate })
					s.source.set(2)
				})
				s.outlast()
				late := a.start(func() {})
				close(gate)
				old.want(1, "it read the source before the write")
				late.want(2, "it began after the write")
			})
		})
	}
}

// Section 3. A is adrift and loads; B updates; MaxStale passes. A cannot hear of
// it, and a read that begins now does not join a load of that age.
func TestGatedI1NoJoinAdrift(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		a.link.Cut()
		s.outlast()
		gate := make(chan bool)
		old := a.start(func() { <-gate })
		b.update(2)
		time.Sleep(bound / 2)
		young := a.start(func() {})
		s.outlast()
		late := a.start(func() {})
		close(gate)
		old.want(1, "it read the source before the write")
		young.want(1, "the load was half as old as it may be: joined")
		late.want(2, "it began after the write")
	})
}

// Every waiter obeys its own context, and the one that began the load takes nobody
// down with it.
func TestGatedI12WaitersObeyTheirContexts(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join()
		gate := make(chan bool)
		ctx, cancel := context.WithCancel(s.Context())
		leader := make(chan error, 1)
		go func() {
			_, err := a.cache.Get(ctx, key, func(ctx context.Context, k string) (int, error) {
				select {
				case <-gate:
				case <-ctx.Done():
					return 0, ctx.Err()
				}
				return s.source.load(ctx, k)
			})
			leader <- err
		}()
		s.settle()
		waiter := a.start(func() {})
		short, stop := context.WithTimeout(s.Context(), time.Second)
		defer stop()
		began := time.Now()
		if _, err := a.cache.Get(short, key, s.source.load); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			s.Errorf("a waiter with a second to wait: %v after %v", err, time.Since(began))
		}
		cancel()
		if err := <-leader; !errors.Is(err, context.Canceled) {
			s.Errorf("the leader: %v, want its context's error", err)
		}
		s.settle()
		close(gate)
		waiter.want(1, "the load goes on for the waiter")
	})
}

// A load that nobody waits for any more is cancelled.
func TestGatedAbandonedLoadIsCancelled(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join()
		ended := make(chan time.Time, 1)
		ctx, cancel := context.WithTimeout(s.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, _ = a.cache.Get(ctx, key, func(ctx context.Context, _ string) (int, error) {
			<-ctx.Done()
			ended <- time.Now()
			return 0, ctx.Err()
		})
		if took := (<-ended).Sub(began); took != time.Second {
			s.Errorf("the load ended after %v, its only reader left after a second", took)
		}
	})
}

// I18. The cache is closed while a batch takes its seats, a flight each: those that
// have one land.
func TestCloseWhileBatchBoards(t *testing.T) {
	keys := make([]string, 4000)
	for i := range keys {
		keys[i] = fmt.Sprint("key", i)
	}
	for delay := range 20 {
		gated(t, func(s *stage) {
			a := s.join()
			var reads sync.WaitGroup
			reads.Go(func() {
				_, err := a.cache.GetMany(context.Background(), keys, s.source.loadMany)
				var failed *KeysError
				if err != nil && (!errors.As(err, &failed) || !errors.Is(err, ErrClosed)) {
					s.Errorf("GetMany of a cache that closes: %v", err)
				}
			})
			for range delay {
				runtime.Gosched()
			}
			closed := make(chan error, 1)
			go func() { closed <- a.cache.Close() }()
			select {
			case err := <-closed:
				if err != nil {
					s.Errorf("Close: %v", err)
				}
			case <-time.After(time.Minute):
				go panic("Close waits for flights that never land") // and so would this test's clean-up
				select {}
			}
			reads.Wait()
		})
	}
}

// I18, fault 16. Hits, loads, batches, updates and refreshes are under way when the
// cache, then the node, closes: no panic, no deadlock, and afterwards ErrClosed.
func TestGatedI18CloseUnderLoad(t *testing.T) {
	for range 3 {
		gated(t, func(s *stage) {
			a := s.join(func(c *Config[int]) { c.TTL, c.StaleTTL = time.Millisecond, time.Hour })
			a.want(1, "first load")
			stop := make(chan bool)
			var users sync.WaitGroup
			use := func(call func() error) {
				users.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if err := call(); err != nil && !isClosing(err) {
							s.Errorf("during Close: %v", err)
							return
						}
						time.Sleep(50 * time.Microsecond)
					}
				})
			}
			use(func() error { _, err := a.cache.Get(context.Background(), key, s.source.load); return err })
			use(func() error {
				_, err := a.cache.GetMany(context.Background(), []string{key}, s.source.loadMany)
				return err
			})
			use(func() error {
				_, err := a.cache.Update(context.Background(), key, func(context.Context, string) (int, error) { return 1, nil })
				return err
			})
			use(func() error { return a.cache.Invalidate(context.Background(), key) })
			time.Sleep(time.Millisecond)
			if err := a.cache.Close(); err != nil {
				s.Errorf("Close of the cache: %v", err)
			}
			if err := a.node.Close(); err != nil {
				s.Errorf("Close of the node: %v", err)
			}
			close(stop)
			users.Wait()
			if _, err := a.cache.Get(context.Background(), key, s.source.load); !errors.Is(err, ErrClosed) {
				s.Errorf("Get after Close: %v, want ErrClosed", err)
			}
		})
	}
}

func isClosing(err error) bool {
	return errors.Is(err, ErrClosed) || errors.Is(err, coherence.ErrAdrift) || errors.Is(err, context.Canceled)
}

// I18, fault 16. The local tier closes while it is read and written.
func TestGatedI18LocalCloseUnderLoad(t *testing.T) {
	for range 50 {
		l, err := newLocal[int](1<<18, numberOf)
		if err != nil {
			t.Fatal(err)
		}
		var users sync.WaitGroup
		closed := make(chan bool)
		for range 2 {
			users.Go(func() {
				for i := uint64(0); ; i++ {
					l.show(i % 100)
					if i%10 == 0 {
						l.set(i%100, &entry[int]{key: strconv.FormatUint(i%100, 10)}, 1)
					}
					select {
					case <-closed:
						return
					default:
					}
				}
			})
		}
		runtime.Gosched()
		l.close()
		close(closed)
		users.Wait()
	}
}
