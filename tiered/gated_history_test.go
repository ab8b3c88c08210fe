package tiered

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"

	"github.com/tiercache/tiercache/tiered/internal/envelope"
)

// I11. Redis restarts on a snapshot with the old value. A reads at once: its
// connection is gone, and the reply that comes over the new one is the first word
// of a process that nobody knows.
func TestGatedI11FirstReplyOfUnknownProcess(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		b.want(1, "fills Redis")
		old := s.redis.Snapshot()
		b.update(2)
		s.outlast()
		if err := s.redis.Restore(old); err != nil {
			s.Fatal(err)
		}
		a.want(2, "the old value is of a lost history")
	})
}

// I11. The same, but the process takes over when A has found no record and asks for
// the load lock: it is shown the old value in its place.
func TestGatedI11LockOfUnknownProcess(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		b.want(1, "fills Redis")
		old := s.redis.Snapshot()
		b.change(2)
		s.outlast()
		a.before("ACQUIRE", func() error { return s.redis.Restore(old) })
		a.want(2, "the old value is of a lost history")
	})
}

// I11. The same, and A has met the new process but not yet entered it into the
// fleet's records, which takes a while. All that time it believes nothing of it.
func TestGatedI11UnknownProcessIsNotAsked(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		b.want(1, "fills Redis")
		old := s.redis.Snapshot()
		b.update(2)
		s.outlast()
		met, enter := make(chan bool), make(chan bool)
		s.redis.Intercept(func(_ *server.Peer, cmd string, args ...string) bool {
			if cmd == "EVAL" && strings.HasPrefix(args[0], "-- MEET") {
				select {
				case met <- true:
				default:
				}
				<-enter
			}
			return false
		})
		if err := s.redis.Restore(old); err != nil {
			s.Fatal(err)
		}
		_ = a.rdb.Ping(s.Context()) // the first reply goes elsewhere
		<-met
		a.want(2, "the process is unknown")
		s.redis.Intercept(nil)
		close(enter)
	})
}

// I11. Redis restarts on a snapshot with the old value, and everybody is in step
// again. The value is of an older epoch and void; the one loaded anew is cached. The
// writer has left, or it would announce its write again.
func TestGatedI11OldEpochIsVoid(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		b.want(1, "fills Redis")
		old := s.redis.Snapshot()
		b.update(2)
		if err := errors.Join(b.cache.Close(), b.node.Close()); err != nil {
			s.Fatal(err)
		}
		for range 2 { // twice on the same snapshot
			if err := s.redis.Restore(old); err != nil {
				s.Fatal(err)
			}
			s.outlast()
			for _, n := range []*actor{a, s.join(), s.join()} {
				n.want(2, "the old value is of a lost history")
				if !n.holds() {
					s.Error("the new value is not cached")
				}
			}
		}
	})
}

// I11. Redis holds a value of an epoch that A does not know yet. A neither serves
// nor replaces it.
func TestGatedI11NewerEpochIsLeftAlone(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join()
		view, _ := a.node.View()
		future := record7(view.Epoch+1, time.Now().Add(time.Hour))
		if err := s.redis.Set("f:p:"+key, future); err != nil {
			s.Fatal(err)
		}
		a.want(1, "the epoch is unknown")
		if raw, _ := s.redis.Get("f:p:" + key); raw != future {
			s.Error("a value of a newer epoch was replaced")
		}
	})
}

// record7 is a record that holds the number 7.
func record7(epoch uint64, hard time.Time) string {
	rec := envelope.Begin(nil, [16]byte{1}, envelope.Header{Codec: 1, Epoch: epoch, Soft: hard.UnixMilli(), Hard: hard.UnixMilli()})
	rec = append(rec, 7) // msgpack
	if err := envelope.Finish(rec); err != nil {
		panic(err)
	}
	return string(rec)
}

// Fault 18. The epoch rises while A loads: the lease may stand, but neither tier
// serves what was stamped with the former epoch.
func TestGatedI11EpochRisesDuringLoad(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		read := a.start(func() {
			s.source.set(2)
			s.redis.HDel("{f}:bus", "e")
			s.outlast()
		})
		read.want(1, "it began before")
		a.want(2, "A's copy is void")
		b.want(2, "the record is void")
	})
}

// I13, fault 12. Every command that a node sends is executed twice, as a client
// does that lost a reply. Nothing else changes: one load, one entry of the bus, a
// value in both tiers.
func TestGatedI13EveryCommandTwice(t *testing.T) {
	gated(t, func(s *stage) {
		stale := func(c *Config[int]) { c.TTL, c.StaleTTL = time.Second, time.Hour }
		a, b := s.join(stale), s.join(stale)
		rehearse := func() { // Redis knows all scripts
			a.want(1, "first load")
			a.update(1)
			a.change(1)
			a.want(1, "loaded again")
			time.Sleep(2 * time.Second)
			a.want(1, "refreshed in the background")
			s.settle()
			a.change(1)
			s.settle()
		}
		rehearse()
		a.twice = true
		before, entries := a.cache.Stats(), s.redis.HGet("{f}:bus", "n")
		began := time.Now()
		a.want(1, "first load")
		if !a.holds() || time.Since(began) != 0 {
			s.Errorf("a load took %v and is kept: %t", time.Since(began), a.holds())
		}
		time.Sleep(2 * time.Second)
		a.want(1, "the expired value")
		s.settle()
		if got := a.cache.Stats().Refreshes - before.Refreshes; got != 1 {
			s.Errorf("%d refreshes, want 1", got)
		}
		a.update(2)
		if got := a.cache.Stats().WrittenThrough - before.WrittenThrough; got != 1 {
			s.Errorf("%d updates written through, want 1", got)
		}
		a.want(2, "own write")
		a.change(3)
		a.want(3, "own change")
		if got := s.redis.HGet("{f}:bus", "n"); got != plus(entries, 2) {
			s.Errorf("the bus went from entry %s to %s, want 2 more", entries, got)
		}
		if got := a.cache.Stats().RefusedFills - before.RefusedFills; got != 0 {
			s.Errorf("%d fills were refused", got)
		}
		s.settle()
		b.want(3, "another node")
	})
}

func plus(n string, d int) string {
	var i int
	fmt.Sscan(n, &i)
	return fmt.Sprint(i + d)
}

// Fault 19. Whatever stands in the key, a read returns what the source has, without
// an error, and repairs the record.
func TestGatedHostileRecords(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		a.want(1, "first load")
		good, _ := s.redis.Get("f:p:" + key)
		flipped := []byte(good)
		flipped[len(flipped)-1] ^= 1
		view, _ := a.node.View()
		header := envelope.Header{Codec: 1, Epoch: view.Epoch, Hard: time.Now().Add(time.Hour).UnixMilli()}
		hostile := append(envelope.Begin(nil, [16]byte{1}, header), "\xdd\xff\xff\xff\xff"...)
		if err := envelope.Finish(hostile); err != nil {
			s.Fatal(err)
		}
		strings := map[string]string{
			"empty": "", "one byte": "V", "short": good[:20], "cut": good[:len(good)-1], "flipped": string(flipped),
			"hostile msgpack": string(hostile), "unknown kind": "Xyz", "number": "1",
			"a lease cut": "L123", "no lease of ours": "L" + good[1:34], "a bare L": "L", "a bare F": "F",
			"a fence cut": "Fc1234", "a fence of rubbish": "F" + string(make([]byte, 29)),
		}
		put := map[string]func(){
			"hash": func() { s.redis.HSet("f:p:"+key, "a", "b") },
			"list": func() { _, _ = s.redis.Push("f:p:"+key, "a") },
			"zset": func() { _, _ = s.redis.ZAdd("f:p:"+key, 1, "a") },
		}
		for name, text := range strings {
			put[name] = func() { _ = s.redis.Set("f:p:"+key, text) }
		}
		for name, put := range put {
			if err := a.cache.Invalidate(s.Context(), key); err != nil {
				s.Fatal(err)
			}
			s.settle()
			put()
			began := time.Now()
			a.want(1, name)
			if took := time.Since(began); took != 0 {
				s.Errorf("%s: the read took %v", name, took)
			}
			before := b.cache.Stats().RemoteHits
			b.want(1, name)
			if b.cache.Stats().RemoteHits != before+1 {
				s.Errorf("%s: the record was not repaired", name)
			}
		}
	})
}

// Fault 15. The Redis clock goes back an hour during all of this: no value is
// served that was replaced.
func TestGatedRedisClockGoesBack(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		a.want(1, "first load")
		b.updateBy(func() {
			s.redis.SetTime(time.Now().Add(-time.Hour))
			s.settle()
			a.want(1, "under the fence")
			s.source.set(2)
		})
		s.settle()
		a.want(2, "the update was heard")
		b.want(2, "own write")
		time.Sleep(bound)
		b.change(3)
		s.settle()
		a.want(3, "the invalidation was heard")
		s.join().want(3, "a new node")
	})
}

// Fault 16. So many copies are stored at once that ristretto drops most, and each
// key twice in a row, of which it keeps the first. What is read is always what was
// written last.
func TestGatedLocalTierDrops(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join()
		for v := range 3 {
			for i := range 200 {
				k := fmt.Sprint(i)
				load := func(context.Context, string) (int, error) { return v, nil }
				if got, err := a.cache.Get(s.Context(), k, load); err != nil || got != v {
					s.Fatalf("Get(%s) = %d, %v, want %d", k, got, err, v)
				}
				hash := a.cache.space.Hash(k)
				old := &entry[int]{key: k, value: -1, gen: a.cache.space.Generation(hash) - 1, hardMillis: 1 << 30}
				a.cache.local.set(hash, old, 1)
			}
			for i := range 200 {
				k := fmt.Sprint(i)
				if got, err := a.cache.Peek(s.Context(), k); (err != nil || got != v) && !errors.Is(err, ErrMiss) {
					s.Fatalf("Peek(%s) = %d, %v, want %d", k, got, err, v)
				}
				if err := a.cache.Invalidate(s.Context(), k); err != nil {
					s.Fatal(err)
				}
			}
		}
	})
}
