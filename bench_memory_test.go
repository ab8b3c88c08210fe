package tiercache_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/maypok86/otter/v2"
	"github.com/viccon/sturdyc"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// BenchmarkMemory: bytes of heap that an entry takes beyond its key and its value,
// which are made before. An operation fills a cache; its time means nothing.
// -suite.entries sets how many; what a node takes once (4 MB) is not in it.
func BenchmarkMemory(b *testing.B) {
	redistest.Need(b, b.Name()) // the embedded server would count as ours
	node := joinFleet(b, redistest.RunServer(b).Addr())
	keys := ids(*entryCount)
	values := make(map[string]string, len(keys))
	for _, key := range keys {
		values[key] = key
	}
	for _, m := range []struct {
		name string
		fill func(b *testing.B) (held func(key string) bool)
	}{
		{"lib=map", func(*testing.B) func(string) bool { return fillMap(keys) }},
		{"lib=ristretto", func(b *testing.B) func(string) bool { return fillRistretto(b, keys, false) }},
		{"lib=ristretto-ttl", func(b *testing.B) func(string) bool { return fillRistretto(b, keys, true) }},
		{"lib=otter", func(b *testing.B) func(string) bool { return fillOtter(b, keys) }},
		{"lib=sturdyc", func(*testing.B) func(string) bool { return fillSturdyc(keys) }},
		{"lib=tiercache", func(b *testing.B) func(string) bool {
			c := openTiered(b, node, tiered.Config[string]{MaxLocalBytes: 600 * int64(len(keys)), Codec: codec.Raw()})
			return fillTiered(b, c, keys, values)
		}},
	} {
		b.Run(m.name, func(b *testing.B) {
			var perEntry float64
			for b.Loop() {
				perEntry = footprint(b, keys, m.fill)
			}
			b.ReportMetric(perEntry, "B/entry")
		})
	}
}

// footprint returns the heap per entry of a filled cache.
func footprint(b *testing.B, keys []string, fill func(b *testing.B) func(string) bool) float64 {
	before := liveHeap()
	held := fill(b)
	after := liveHeap()
	n := 0
	for _, key := range keys {
		if held(key) {
			n++
		}
	}
	if n < len(keys)*9/10 {
		b.Fatalf("only %d of %d entries are held", n, len(keys))
	}
	runtime.KeepAlive(held)
	return float64(int64(after-before)) / float64(n)
}

func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools gave up the first time
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func fillMap(keys []string) func(string) bool {
	m := make(map[string]string)
	for _, key := range keys {
		m[key] = key
	}
	return func(key string) bool { return m[key] == key }
}

func fillRistretto(b *testing.B, keys []string, ttl bool) func(string) bool {
	cache, err := ristretto.NewCache(&ristretto.Config[string, string]{
		NumCounters: 10 * int64(len(keys)), MaxCost: 2 * int64(len(keys)), BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cache.Close)
	for i, key := range keys {
		if ttl {
			cache.SetWithTTL(key, key, 1, life)
		} else {
			cache.Set(key, key, 1)
		}
		if i%1000 == 0 {
			cache.Wait() // or it drops some
		}
	}
	cache.Wait()
	return func(key string) bool { v, ok := cache.Get(key); return ok && v == key }
}

func fillOtter(b *testing.B, keys []string) func(string) bool {
	cache := otter.Must(&otter.Options[string, string]{
		MaximumSize: 2 * len(keys), ExpiryCalculator: otter.ExpiryWriting[string, string](life),
	})
	b.Cleanup(func() { cache.StopAllGoroutines() })
	for _, key := range keys {
		cache.Set(key, key)
	}
	return func(key string) bool { v, ok := cache.GetIfPresent(key); return ok && v == key }
}

func fillSturdyc(keys []string) func(string) bool {
	cache := sturdyc.New[string](2*len(keys), 16, life, 10, sturdyc.WithNoContinuousEvictions())
	for _, key := range keys {
		cache.Set(key, key)
	}
	return func(key string) bool { v, ok := cache.Get(key); return ok && v == key }
}

// fillTiered loads the values as they are, so that the cache keeps these strings.
func fillTiered(b *testing.B, c *tiered.Cache[string], keys []string, values map[string]string) func(string) bool {
	ctx := b.Context()
	err := chunks(keys, func(keys []string) error {
		_, err := c.GetMany(ctx, keys, func(_ context.Context, keys []string) (map[string]string, error) {
			found := make(map[string]string, len(keys))
			for _, key := range keys {
				found[key] = values[key]
			}
			return found, nil
		})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return func(key string) bool {
		before := c.Stats().LocalHits
		v, err := c.Peek(ctx, key)
		return err == nil && v == key && c.Stats().LocalHits > before
	}
}
