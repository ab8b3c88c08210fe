package tiered

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/gather"
)

// counting counts what it decodes.
type counting struct {
	codec.Codec
	decoded atomic.Int32
}

func (c *counting) Decode(data []byte, into any) error {
	c.decoded.Add(1)
	return c.Codec.Decode(data, into)
}

// A record is decoded once: what brings the same stamp back later makes the copy
// good again. Another stamp is another record.
func TestRecordIsDecodedOnce(t *testing.T) {
	gated(t, func(s *stage) {
		count := &counting{Codec: codec.Msgpack()}
		a, b := s.join(func(c *Config[int]) { c.Codec, c.LocalTTL = count, time.Minute }), s.join()
		want := func(value int, hits uint64, decoded int32, why string) {
			t.Helper()
			a.want(value, why)
			if got := a.cache.Stats().RemoteHits; got != hits || count.decoded.Load() != decoded {
				t.Errorf("%s: %d hits in Redis and %d records decoded, want %d and %d", why, got, count.decoded.Load(), hits, decoded)
			}
		}
		b.want(1, "fills Redis")
		want(1, 1, 1, "from Redis")
		a.cache.space.Bump(key)
		want(1, 2, 1, "the generation moved")
		want(1, 2, 1, "from memory")
		time.Sleep(time.Minute)
		want(1, 3, 1, "LocalTTL is over")
		b.change(1)
		s.settle()
		b.want(1, "another record of the same value")
		want(1, 4, 2, "the record is another one")

		b.update(2)
		s.settle()
		delete(s.source.values, key)
		b.change(0)
		delete(s.source.values, key)
		if _, err := b.cache.Get(s.Context(), key, s.source.load); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get: %v", err)
		}
		for range 2 {
			if _, err := a.cache.Get(s.Context(), key, s.source.load); !errors.Is(err, ErrNotFound) {
				t.Errorf("Get: %v, want ErrNotFound", err)
			}
			s.settle()
			a.cache.space.Bump(key)
		}
	})
}

// Reads of many keys that are under way together share round trips, whatever becomes
// of each: a value, none, a foreign type, a fence.
func TestReadsShareRoundTrips(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		const readers = 100
		for i := range readers {
			s.source.values[fmt.Sprint(i)] = i
			if i%2 == 0 {
				if _, err := b.cache.Get(s.Context(), fmt.Sprint(i), s.source.load); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.redis.HSet("f:p:1", "a", "b")
		inDoubt := errors.New("in doubt")
		if _, err := b.cache.Update(s.Context(), "3", func(context.Context, string) (int, error) { return 0, inDoubt }); !errors.Is(err, inDoubt) {
			t.Fatal(err)
		}
		s.settle()
		held := make(chan bool)
		a.occupy(held)
		var mu sync.Mutex
		var asked, trips int
		a.rdb.AddHook(recorder{func(args []any) {
			mu.Lock()
			defer mu.Unlock()
			if name := nameOf(args); name == "GET" || name == "MGET" {
				asked, trips = asked+len(args)-1, trips+1
			}
		}})
		var reads sync.WaitGroup
		for i := range readers {
			reads.Go(func() {
				if v, err := a.cache.Get(s.Context(), fmt.Sprint(i), s.source.load); v != i || err != nil {
					t.Errorf("Get(%d) = %d, %v", i, v, err)
				}
			})
		}
		s.settle() // all of them queue
		close(held)
		reads.Wait()
		if asked < readers || trips > readers/4 {
			t.Errorf("%d keys were read in %d round trips", asked, trips)
		}
		if st := a.cache.Stats(); st.RemoteHits != readers/2 || st.Misses != readers/2-1 || st.Bypassed != 1 {
			t.Errorf("%d hits in Redis, %d misses, %d bypassed", st.RemoteHits, st.Misses, st.Bypassed)
		}
	})
}

// Many readers of one key are one GET and one decoding. The one who began it leaves
// while it queues; another round trip is made for the rest.
func TestHotKeyIsReadOnce(t *testing.T) {
	gated(t, func(s *stage) {
		count := &counting{Codec: codec.Msgpack()}
		a, b := s.join(func(c *Config[int]) { c.Codec = count }), s.join()
		b.want(1, "fills Redis")
		for _, leaves := range []bool{false, true} {
			a.cache.space.Bump(key)
			held := make(chan bool)
			a.before("GET", func() error { <-held; return nil })
			if leaves {
				a.occupy(held)
			}
			before := a.cache.Stats().RemoteHits
			ctx, leave := context.WithCancel(s.Context())
			leader := make(chan error, 1)
			go func() {
				_, err := a.cache.Get(ctx, key, s.source.load)
				leader <- err
			}()
			s.settle()
			var followers []*inFlight
			for range 50 {
				followers = append(followers, a.start(func() {}))
			}
			if leaves {
				leave()
				if err := <-leader; !errors.Is(err, context.Canceled) {
					t.Errorf("the leader: %v, want its context's error at once", err)
				}
				s.settle()
			}
			close(held)
			for _, f := range followers {
				f.want(1, "read by the leader, or for those it left")
			}
			s.settle()
			leave()
			if hits := a.cache.Stats().RemoteHits - before; hits != 1 || count.decoded.Load() != 1 {
				t.Errorf("51 readers of a key were %d hits and %d decodings, want one", hits, count.decoded.Load())
			}
		}
	})
}

// occupy keeps all round trips that reads share under way until held is closed: those
// who sent them have left.
func (a *actor) occupy(held chan bool) {
	for i := range lookLimits.Slots {
		a.before("GET", func() error { <-held; return nil })
		ctx, leave := context.WithTimeout(a.Context(), time.Microsecond)
		_, _ = a.cache.Get(ctx, fmt.Sprint("other", i), a.source.load)
		leave()
	}
}

// The context of a round trip is tied to the cache's without a goroutine, also where the
// caller's can be cancelled.
func TestRoundTripsContextStartsNoGoroutine(t *testing.T) {
	closing, closed := context.WithCancel(t.Context())
	defer closed()
	caller, left := context.WithCancel(t.Context())
	defer left()
	const trips = 1000
	before := runtime.NumGoroutine()
	for range trips {
		_, done := context.WithTimeout(lent{closing, caller}, time.Hour)
		defer done()
	}
	if more := runtime.NumGoroutine() - before; more > trips/2 { // others come and go
		t.Errorf("%d contexts started %d goroutines", trips, more)
	}
}

// A shard of a cluster takes no MGET of keys in different slots, and rights may
// exclude it. It is asked once, and nothing is lost.
func TestServerWithoutMGET(t *testing.T) {
	for _, refusal := range []string{"CROSSSLOT Keys in request don't hash to the same slot", "NOPERM no", "ERR unknown command 'mget'"} {
		gated(t, func(s *stage) {
			a, b := s.join(), s.join()
			s.source.values["l"] = 2
			keys := []string{key, "l"}
			var asked atomic.Int32
			s.redis.Intercept(func(c *server.Peer, cmd string, _ ...string) bool {
				if !strings.EqualFold(cmd, "MGET") {
					return false
				}
				asked.Add(1)
				c.WriteError(refusal)
				return true
			})
			for _, n := range []*actor{b, a} {
				for range 2 {
					found, err := n.cache.GetMany(s.Context(), keys, s.source.loadMany)
					if err != nil || found[key] != 1 || found["l"] != 2 {
						t.Errorf("%s: GetMany = %v, %v", refusal, found, err)
					}
					n.cache.space.Bump(key)
					n.cache.space.Bump("l")
				}
			}
			if asked.Load() != 2 || a.cache.Stats().RemoteHits != 4 {
				t.Errorf("%s: %d MGETs of two nodes, %d hits in Redis", refusal, asked.Load(), a.cache.Stats().RemoteHits)
			}
		})
	}
}

// Who has queued for longer than a Timeout is not sent: that Redis is too slow.
func TestLongQueuedIsNotSent(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join()
		now := a.node.Now()
		var batch []*gather.Request[query]
		for i, waited := range []time.Duration{0, a.cache.remote.timeout + 1, a.cache.remote.timeout} {
			q := gather.NewRequest[query]()
			q.Value = query{key: fmt.Sprint(i), asked: now.Add(-waited)}
			batch = append(batch, q)
		}
		given := slices.Clone(batch)
		if got := a.cache.timely(batch); !slices.Equal(got, []*gather.Request[query]{given[0], given[2]}) || !slices.Equal(batch, given) {
			t.Errorf("of %v it sends %v and leaves %v", given, got, batch)
		}
	})
}

// fatal ends the goroutine that decodes, as testing's FailNow does.
type fatal struct {
	codec.Codec
	gate chan bool
}

func (f fatal) Decode([]byte, any) error {
	<-f.gate
	runtime.Goexit()
	return nil
}

// A codec that ends its goroutine takes its caller along, and nobody else: who shares
// the flight gets an error, and the cache can be closed.
func TestCodecEndsItsGoroutine(t *testing.T) {
	gated(t, func(s *stage) {
		f := fatal{codec.Msgpack(), make(chan bool)}
		a, b := s.join(func(c *Config[int]) { c.Codec = f }), s.join()
		b.want(1, "fills Redis")
		get := func(err chan error) {
			defer close(err)
			_, e := a.cache.Get(s.Context(), key, s.source.load)
			err <- e
		}
		leader, follower := make(chan error, 1), make(chan error, 1)
		go get(leader)
		s.settle()
		go get(follower)
		s.settle()
		close(f.gate)
		if err := <-leader; err != nil {
			t.Errorf("the leader: %v", err)
		}
		if err := <-follower; !errors.Is(err, errGoexit) {
			t.Errorf("the follower: %v, want %v", err, errGoexit)
		}
	})
}

// So does one that decodes for GetMany, where several goroutines do: every key that has
// no value then has an error.
func TestCodecEndsTheGoroutineOfABatch(t *testing.T) {
	gated(t, func(s *stage) {
		f := fatal{codec.Msgpack(), make(chan bool)}
		close(f.gate)
		a, b := s.join(func(c *Config[int]) { c.Codec = f }), s.join()
		var keys []string
		for i := range 100 {
			keys = append(keys, fmt.Sprint(i))
			s.source.values[keys[i]] = i
		}
		if _, err := b.cache.GetMany(s.Context(), keys, s.source.loadMany); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
		defer cancel()
		found, err := a.cache.GetMany(ctx, keys, s.source.loadMany)
		failed, _ := errors.AsType[*KeysError](err)
		if len(found) != 0 || failed == nil || len(failed.Failed) != len(keys) || !errors.Is(failed.Failed["7"], errGoexit) {
			t.Errorf("GetMany = %v, %v", found, err)
		}
	})
}
