package coherence

import (
	"context"
	"slices"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// BenchmarkApply: how fast one node applies what others announce. Redis' own script
// makes some 60,000 entries a second, so that the entries come ready-made: deliver
// without a connection, and published in pipelines, over a subscription as in life.
func BenchmarkApply(b *testing.B) {
	addr := redistest.RunServer(b).Addr()
	for _, keys := range []int{1, 100} {
		b.Run("from=memory/keys="+strconv.Itoa(keys), func(b *testing.B) {
			n, entries := following(b, addr, keys)
			b.ReportAllocs()
			b.ResetTimer()
			for _, e := range entries {
				n.deliver(&redis.Message{Channel: n.keys.channel, Payload: e})
			}
			wantApplied(b, n, keys)
		})
		b.Run("from=redis/keys="+strconv.Itoa(keys), func(b *testing.B) {
			n, entries := following(b, addr, keys)
			rdb := redis.NewClient(&redis.Options{Addr: addr})
			b.Cleanup(func() { _ = rdb.Close() })
			b.ResetTimer()
			for part := range slices.Chunk(entries, 512) {
				_, err := rdb.Pipelined(context.Background(), func(pipe redis.Pipeliner) error {
					for _, e := range part {
						pipe.Publish(context.Background(), n.keys.channel, e)
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			wantApplied(b, n, keys)
		})
	}
}

// following returns a node and b.N entries that continue what it has followed. It does
// not probe meanwhile: Redis knows nothing of them.
func following(b *testing.B, addr string, keys int) (*Node, []string) {
	opts := &redis.UniversalOptions{Addrs: []string{addr}}
	cfg := unhurried()
	cfg.Probe = cfg.MaxStale / 4
	cfg.Fleet, cfg.Monitor, cfg.OnEvent = "apply"+strconv.Itoa(keys), Instrument(opts), func(Event) {}
	rdb := redis.NewUniversalClient(opts)
	b.Cleanup(func() { _ = rdb.Close() })
	n, err := Join(b.Context(), rdb, cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = n.Close() })
	if _, err := n.Space(SpaceConfig{Name: "s"}); err != nil {
		b.Fatal(err)
	}
	entries := make([]string, b.N)
	at := n.history.held().at
	for i := range entries {
		entries[i], at = entryAfter(at, keys)
	}
	return n, entries
}

// wantApplied waits until the node has applied b.N entries, and fails if one was lost.
func wantApplied(b *testing.B, n *Node, keys int) {
	eventually(b, "all entries are applied", func() bool { return n.Stats().Messages >= uint64(b.N) })
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(b.N*keys)/b.Elapsed().Seconds(), "keys/s")
	if s := n.Stats(); s.Malformed != 0 || s.Messages != uint64(b.N) {
		b.Fatalf("%d entries: %+v", b.N, s)
	}
}

// entryAfter makes the entry that follows a position.
func entryAfter(at position, keys int) (string, position) {
	next := position{at.n + 1, strconv.FormatUint(at.n+1<<60, 16) + "0123456789abcdef"}
	about := notice{space: "s", keys: make([]string, keys)}
	for i := range about.keys {
		about.keys[i] = "product:" + strconv.Itoa(int(next.n)*keys+i)
	}
	return strconv.FormatUint(next.n, 10) + "|" + at.nonce + "|" + next.nonce + "|" + string(about.append(nil)), next
}
