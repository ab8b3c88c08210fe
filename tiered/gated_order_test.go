package tiered

import (
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// I7. B invalidates and the announcement has just become visible: A hears it and
// reads at once. What A finds in Redis must not be older than the announcement,
// because A hears nothing more.
func TestGatedI7ErasedBeforeAnnounced(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		b.change(1) // the server knows the scripts: APPEND is sent once from now on
		b.want(1, "fills Redis")
		b.after("APPEND", func() error {
			s.settle()
			a.get()
			s.settle()
			return nil
		})
		b.change(2)
		a.want(2, "A has heard of it")
	})
}

// I7. B's fence is about to be raised: nobody has heard of the write before, so
// that a reader who takes the old value now will hear of it.
func TestGatedI7FencedBeforeAnnounced(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		b.update(1) // fills Redis, and the server knows the scripts
		s.intercept("FENCE", func() string {
			s.settle()
			a.get()
			s.settle()
			return ""
		})
		b.update(2)
		s.settle()
		a.want(2, "A has heard of it")
	})
}

// I7. The server knows APPEND but has forgotten FENCE, which travel together: the
// announcement goes ahead, A hears it and takes the old value, and the pair is
// sent again. The announcement must be made again too.
func TestGatedI7ForgottenFence(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		b.want(1, "fills Redis")
		if err := b.cache.Invalidate(s.Context(), "other"); err != nil { // APPEND is known now
			s.Fatal(err)
		}
		b.after("APPEND", func() error {
			s.settle()
			a.get()
			s.settle()
			return nil
		})
		b.update(2)
		s.settle()
		a.want(2, "A has heard of it")
	})
}

// I7. B's fence vanishes while it writes (evicted, deleted), and A caches the old
// value meanwhile. B notices when it lowers the fence, and announces again before
// Update returns.
func TestGatedI7FenceLost(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		b.updateBy(func() {
			s.settle()
			s.redis.Del("f:p:" + key)
			a.want(1, "nothing keeps A from caching")
			s.source.set(2)
		})
		s.settle()
		a.want(2, "B has made up for the fence")
		s.join().want(2, "Redis holds nothing older")
	})
}

// I7. B's announcement vanishes from the bus before A has heard of it, as it would
// in a failover, while the fence stands. B notices that its entry is not part of
// history and announces again.
func TestGatedI7AnnouncementLost(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		a.want(1, "first load")
		unpublished := true
		s.redis.Intercept(func(c *server.Peer, cmd string, _ ...string) bool {
			if cmd == "PUBLISH" && unpublished {
				c.WriteInt(0)
				return true
			}
			return false
		})
		before := busOf(s)
		b.updateBy(func() {
			for field := range busOf(s) {
				if _, had := before[field]; !had {
					s.redis.HDel("{f}:bus", field)
				}
			}
			for field, value := range before {
				s.redis.HSet("{f}:bus", field, value)
			}
			unpublished = false
			s.source.set(2)
		})
		s.settle()
		a.want(2, "B has announced again")
	})
}

// busOf returns the fields of the bus.
func busOf(s *stage) map[string]string {
	fields := make(map[string]string)
	keys, _ := s.redis.HKeys("{f}:bus")
	for _, k := range keys {
		fields[k] = s.redis.HGet("{f}:bus", k)
	}
	return fields
}

// I14. While B writes, B's own application reads past Redis and gets a weak copy
// of the old value, younger than B's announcement. Another invalidation keeps B
// from writing through. A read after Update returned sees the new value at once.
func TestGatedI14OwnWriteAfterWeakCopy(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		b.updateBy(func() {
			a.change(1)
			s.settle()
			b.before("GET", func() error { return errCut })
			b.want(1, "loaded without Redis")
			s.source.set(2)
		})
		b.want(2, "own write")
	})
}

// I14. B's invalidation does not reach Redis, which still holds the old value: B
// bypasses it for that key until a retry is confirmed, and then all agree.
func TestGatedI14UnconfirmedIsBypassed(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		a.want(1, "fills Redis")
		b.want(1, "first load")
		b.fail("INVAL")
		s.source.set(2)
		if err := b.cache.Invalidate(s.Context(), key); !errors.Is(err, ErrUnconfirmed) {
			s.Fatalf("Invalidate: %v, want ErrUnconfirmed", err)
		}
		b.want(2, "the journal holds the key")
		s.outlast()
		b.want(2, "the journal still holds the key")
		b.disarm()
		time.Sleep(bound)
		if n := b.node.Stats().Journal; n != 0 {
			s.Errorf("the journal holds %d keys", n)
		}
		a.want(2, "the retry was heard")
		b.want(2, "the retry was confirmed")
	})
}

// I14. The same by a read that expects to find nothing and asks for the lease at once.
func TestGatedI14UnconfirmedIsNotAskedFor(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		a.want(1, "fills Redis")
		b.fail("INVAL")
		s.source.set(2)
		if err := b.cache.Invalidate(s.Context(), key); !errors.Is(err, ErrUnconfirmed) {
			s.Fatalf("Invalidate: %v, want ErrUnconfirmed", err)
		}
		b.cache.forecast.missed.Store(allMissed)
		b.want(2, "the journal holds the key")
		b.disarm()
		time.Sleep(bound)
	})
}
