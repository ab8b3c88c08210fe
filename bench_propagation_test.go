package tiercache_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
)

const (
	busKeys  = 4096 // announced in turn
	busBatch = 100  // keys of a batched message
)

// BenchmarkPropagation: from the call that announces a change to its effect on
// another connection, alone (50 a second), under a flow and while Redis serves reads
// as well; what one node makes others apply when 64 callers do nothing else; and what
// one node can apply. The floor is PUBLISH to Receive by go-redis, which repairs
// nothing. One observer polls all variants alike.
func BenchmarkPropagation(b *testing.B) {
	addr := redistest.RunServer(b).Addr()
	aside := goRedis(b, addr)
	for _, p := range []struct {
		name string
		open func(b *testing.B, addr string) bus
		feed func(b *testing.B, addr string) feed // nil: it cannot be fed
	}{{"lib=goredis-pubsub", openPubSub, feedPubSub}, {"lib=rueidis-tracking", openTracking, nil}, {"lib=tiercache", openSpaces, feedNode}} {
		b.Run(p.name, func(b *testing.B) {
			medium := p.open(b, addr)
			for _, rate := range []int{50, 200, 5000} {
				b.Run("rate="+strconv.Itoa(rate), func(b *testing.B) { paced(b, medium, rate).report(b) })
			}
			for _, rate := range []int{200, 5000} {
				b.Run("rate="+strconv.Itoa(rate)+"/load=reads", func(b *testing.B) {
					underReads(b, aside, func() { paced(b, medium, rate).report(b) })
				})
			}
			b.Run("flow=single", func(b *testing.B) {
				m := newMeter(b, aside)
				b.ResetTimer()
				flood(b, medium, 1, m)
				b.StopTimer()
				m.report(b, b.N)
			})
			b.Run("flow=batched", func(b *testing.B) {
				m := newMeter(b, aside)
				b.ResetTimer()
				flood(b, medium, busBatch, m)
				b.StopTimer()
				b.ReportMetric(float64(b.N*busBatch)/b.Elapsed().Seconds(), "keys/s")
				m.report(b, b.N)
			})
			if p.feed == nil {
				return
			}
			b.Run("apply=single", func(b *testing.B) { fed(b, addr, p.feed, 1) })
			b.Run("apply=batched", func(b *testing.B) { fed(b, addr, p.feed, busBatch) })
		})
	}
}

// A bus is a way to tell another connection that keys have changed.
type bus struct {
	announce  func(keys []int) error
	applied   func(key int) uint64 // how many announcements of the key the other side has applied
	coalesces bool                 // two changes of a key may be announced as one
}

// paced announces single keys at a rate, or as fast as four callers can, and
// measures from each call to its effect.
func paced(b *testing.B, medium bus, rate int) *histogram {
	type sent struct {
		key int
		at  time.Time
	}
	under := make(chan sent, b.N)
	var times histogram
	seen := make([]uint64, busKeys)
	for key := range seen {
		seen[key] = medium.applied(key)
	}
	var observer sync.WaitGroup
	observer.Go(func() {
		for s := range under {
			if !await(medium, s.key, seen[s.key]+1) {
				b.Error("an announcement was not applied")
				return
			}
			times.add(time.Since(s.at))
			seen[s.key] = medium.applied(s.key)
		}
	})
	start := time.Now()
	crowd(b, min(4, rate/50), b.N, func(i int) error {
		time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate)))) // the pace
		under <- sent{i % busKeys, time.Now()}
		return medium.announce([]int{i % busKeys})
	})
	close(under)
	observer.Wait()
	return &times
}

// await polls until the other side has applied so many announcements of the key. It
// sleeps in between, which adds some 50 us to every variant's delay: an observer that
// spins takes a processor from Redis, and adds milliseconds on two cores.
func await(medium bus, key int, want uint64) bool {
	for end := time.Now().Add(patience); medium.applied(key) < want; time.Sleep(5 * time.Microsecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// flood announces batches of keys by 64 callers until the other side has applied all.
func flood(b *testing.B, medium bus, batch int, m *meter) {
	want := make([]atomic.Uint64, busKeys)
	for key := range want {
		want[key].Store(medium.applied(key))
	}
	crowd(b, pool, b.N, func(i int) error {
		keys := make([]int, batch)
		for j := range keys {
			keys[j] = (i*batch + j) % busKeys
			want[keys[j]].Add(1)
		}
		return m.timed(func() error { return medium.announce(keys) })
	})
	last := medium.applied(0) // what all others went ahead of
	if err := medium.announce([]int{0}); err != nil {
		b.Fatal(err)
	}
	want[0].Add(1)
	if !await(medium, 0, last+1) {
		b.Fatal("the last announcement was not applied")
	}
	for key := range want {
		if !medium.coalesces && !await(medium, key, want[key].Load()) {
			b.Fatal("an announcement was not applied")
		}
	}
}

func openPubSub(b *testing.B, addr string) bus {
	ctx, rdb := b.Context(), goRedis(b, addr)
	l := listen(b, addr, "changes")
	return bus{
		announce: func(keys []int) error { return rdb.Publish(ctx, "changes", strings.Join(names(keys), " ")).Err() },
		applied:  func(key int) uint64 { return l.counts[key].Load() },
	}
}

// A listener counts the keys that the messages of a channel name.
type listener struct {
	messages atomic.Uint64
	counts   [busKeys]atomic.Uint64
}

func listen(b *testing.B, addr, channel string) *listener {
	sub := goRedis(b, addr).Subscribe(b.Context(), channel)
	if _, err := sub.Receive(b.Context()); err != nil {
		b.Fatal(err)
	}
	l := new(listener)
	var receiver sync.WaitGroup
	receiver.Go(func() {
		for {
			msg, err := sub.ReceiveMessage(context.Background())
			if err != nil {
				return // closed
			}
			for name := range strings.SplitSeq(msg.Payload, " ") {
				if key, err := strconv.Atoi(name); err == nil {
					l.counts[key].Add(1)
				}
			}
			l.messages.Add(1)
		}
	})
	b.Cleanup(func() {
		_ = sub.Close()
		receiver.Wait()
	})
	return l
}

func names(keys []int) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = strconv.Itoa(key)
	}
	return names
}

// openTracking lets Redis announce what is set (CLIENT TRACKING, broadcast).
func openTracking(b *testing.B, addr string) bus {
	ctx := b.Context()
	counts := make([]atomic.Uint64, busKeys)
	writer := rueidisClient(b, addr, nil)
	reader := rueidisClient(b, addr, func(o *rueidis.ClientOption) {
		o.ClientTrackingOptions = []string{"PREFIX", "change:", "BCAST"}
		o.OnInvalidations = func(messages []rueidis.RedisMessage) {
			for _, m := range messages {
				name, _ := m.ToString()
				if key, err := strconv.Atoi(strings.TrimPrefix(name, "change:")); err == nil {
					counts[key].Add(1)
				}
			}
		}
	})
	if err := reader.Do(ctx, reader.B().Ping().Build()).Error(); err != nil {
		b.Fatal(err)
	}
	set := func(keys []int) error {
		commands := make(rueidis.Commands, len(keys))
		for i, name := range names(keys) {
			commands[i] = writer.B().Set().Key("change:" + name).Value("1").Build()
		}
		for _, reply := range writer.DoMulti(ctx, commands...) {
			if err := reply.Error(); err != nil {
				return err
			}
		}
		return nil
	}
	return bus{announce: set, applied: func(key int) uint64 { return counts[key].Load() }, coalesces: true}
}

func openSpaces(b *testing.B, addr string) bus {
	ctx := b.Context()
	near, err := joinFleet(b, addr).Space(coherence.SpaceConfig{Name: "changes"})
	if err != nil {
		b.Fatal(err)
	}
	far, err := joinFleet(b, addr).Space(coherence.SpaceConfig{Name: "changes"})
	if err != nil {
		b.Fatal(err)
	}
	keys, hashes := apart(far)
	announce := func(numbers []int) error {
		batch := make([]string, len(numbers))
		for i, n := range numbers {
			batch[i] = keys[n]
		}
		return near.Announce(ctx, batch...)
	}
	return bus{announce: announce, applied: func(key int) uint64 { return far.Generation(hashes[key]) }}
}

// apart returns keys that share no generation with each other: the table of
// generations is 2^20 long.
func apart(s *coherence.Space) (keys []string, hashes []uint64) {
	taken := make(map[uint64]bool)
	for i := 0; len(keys) < busKeys; i++ {
		key := strconv.Itoa(i)
		hash := s.Hash(key)
		if taken[hash%(1<<20)] {
			continue
		}
		taken[hash%(1<<20)] = true
		keys, hashes = append(keys, key), append(hashes, hash)
	}
	return keys, hashes
}
