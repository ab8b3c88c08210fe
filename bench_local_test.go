package tiercache_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/redis/rueidis"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

const zipfSkew = 1.01

// BenchmarkLocalHit: a value in this process's memory. The textbook has no local
// tier: its hit is a round trip. The floor is a map, which keeps no time, evicts
// nothing and forbids writing.
func BenchmarkLocalHit(b *testing.B) {
	keys := ids(*keyCount)
	sets := []struct {
		name  string
		draws []string
	}{
		{"keys=hot", keys[:min(1000, len(keys))]},
		{"keys=zipf", zipfTrace(keys, zipfSkew, 1<<16)},
	}
	each(b, localPeers(b, keys), keys, func(b *testing.B, r reader) {
		for _, set := range sets {
			b.Run(set.name+"/par=1", func(b *testing.B) { alone(b, set.draws, r.get) })
			b.Run(set.name+"/par=cores", func(b *testing.B) { together(b, set.draws, r.get) })
		}
	})
}

// alone measures get by one goroutine.
func alone(b *testing.B, draws []string, get func(key string) error) {
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := get(draws[i]); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(draws) {
			i = 0
		}
	}
}

// together measures get by one goroutine for each core.
func together(b *testing.B, draws []string, get func(key string) error) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		i := rand.IntN(len(draws))
		for pb.Next() {
			if err := get(draws[i]); err != nil {
				b.Error(err)
				return
			}
			if i++; i == len(draws) {
				i = 0
			}
		}
	})
}

func localPeers(b *testing.B, keys []string) []peer {
	peers := []peer{
		{"lib=map", func(*testing.B) reader { return mapReader(keys) }},
		{"lib=ristretto", func(b *testing.B) reader { return ristrettoReader(b, keys, 0) }},
		{"lib=ristretto-ttl", func(b *testing.B) reader { return ristrettoReader(b, keys, life) }},
		{"lib=otter", func(b *testing.B) reader { return otterReader(b, keys) }},
		{"lib=sturdyc", func(b *testing.B) reader { return sturdycReader(b, keys) }},
		{"lib=tiercache", func(b *testing.B) reader { return tieredLocal(b, keys) }},
	}
	if !redistest.Available() {
		b.Log("redis-server not found: rueidis, go-redis and the textbook were left out")
		return peers
	}
	addr := redistest.RunServer(b).Addr()
	fill(b, addr, keys)
	return append(peers,
		peer{"lib=rueidis-docache/data=bytes", func(b *testing.B) reader { return doCacheReader(b, addr, keys) }},
		peer{"lib=goredis-csc/data=bytes", func(b *testing.B) reader { return clientSideReader(b, addr, keys, false) }},
		peer{"lib=goredis-csc/data=decoded", func(b *testing.B) reader { return clientSideReader(b, addr, keys, true) }},
		peer{"lib=textbook", func(b *testing.B) reader {
			t, ctx := textbook{goRedis(b, addr)}, b.Context()
			return typed(func(key string) (*Product, error) { return t.get(ctx, key) })
		}},
	)
}

func mapReader(keys []string) reader {
	m, _ := loadMany(context.Background(), keys)
	return typed(func(key string) (*Product, error) { return m[key], nil })
}

func ristrettoReader(b *testing.B, keys []string, ttl time.Duration) reader {
	cache := openRistretto(b, 2*len(keys))
	r := typed(func(key string) (*Product, error) {
		p, ok := cache.Get(key)
		if !ok {
			return nil, errMissing
		}
		return p, nil
	})
	missing := keys
	warm(b, func() error {
		for _, key := range missing {
			cache.SetWithTTL(key, newProduct(key), 1, ttl)
		}
		cache.Wait()
		return nil
	}, func() bool {
		missing = missed(r, missing)
		return len(missing) == 0
	})
	return r
}

// missed returns the keys that a local reader does not hold.
func missed(r reader, keys []string) (missing []string) {
	for _, key := range keys {
		if r.get(key) != nil {
			missing = append(missing, key)
		}
	}
	return missing
}

// unheld is the loader of a cache that is to hold everything.
func unheld(context.Context, string) (*Product, error) { return nil, errMissing }

func otterReader(b *testing.B, keys []string) reader {
	ctx := b.Context()
	cache := openOtter(b, 2*len(keys))
	for _, key := range keys {
		cache.Set(key, newProduct(key))
	}
	loader := otter.LoaderFunc[string, *Product](unheld)
	return typed(func(key string) (*Product, error) { return cache.Get(ctx, key, loader) })
}

func sturdycReader(b *testing.B, keys []string) reader {
	ctx := b.Context()
	cache := openSturdyc(2 * len(keys))
	for _, key := range keys {
		cache.Set(key, newProduct(key))
	}
	fetch := func(context.Context) (*Product, error) { return nil, errMissing }
	return typed(func(key string) (*Product, error) { return cache.GetOrFetch(ctx, key, fetch) })
}

func tieredLocal(b *testing.B, keys []string) reader {
	ctx := b.Context()
	c := openTiered(b, joinFleet(b, anyServer(b)), tiered.Config[*Product]{MaxLocalBytes: 2048 * int64(len(keys))})
	read := func() error {
		return chunks(keys, func(keys []string) error { _, err := c.GetMany(ctx, keys, loadMany); return err })
	}
	warm(b, read, func() bool {
		before := c.Stats().LocalHits
		return read() == nil && c.Stats().LocalHits-before == uint64(len(keys))
	})
	return typed(func(key string) (*Product, error) { return c.Get(ctx, key, unheld) })
}

func doCacheReader(b *testing.B, addr string, keys []string) reader {
	ctx := b.Context()
	client := rueidisClient(b, addr, nil)
	ask := func(key string) rueidis.RedisResult {
		return client.DoCache(ctx, client.B().Get().Key("r:"+key).Cache(), life)
	}
	r := reader{func(key string) error {
		reply := ask(key)
		if !reply.IsCacheHit() {
			return errors.Join(errMissing, reply.Error())
		}
		return nil
	}, func(key string) (*Product, error) { return unpack(ask(key).AsBytes()) }}
	warm(b, func() error {
		return chunks(keys, func(keys []string) error {
			asks := make([]rueidis.CacheableTTL, len(keys))
			for i, key := range keys {
				asks[i] = rueidis.CT(client.B().Get().Key("r:"+key).Cache(), life)
			}
			for _, reply := range client.DoMultiCache(ctx, asks...) {
				if err := reply.Error(); err != nil {
					return err
				}
			}
			return nil
		})
	}, func() bool { return len(missed(r, keys)) == 0 })
	return r
}

// clientSideReader cannot tell a hit from a round trip: its connections are asked
// for every key once before.
func clientSideReader(b *testing.B, addr string, keys []string, decode bool) reader {
	ctx := b.Context()
	rdb := clientSideCache(b, addr, len(keys))
	r := typed(func(key string) (*Product, error) { return unpack(rdb.Get(ctx, "r:"+key).Bytes()) })
	if !decode {
		r.get = func(key string) error { return rdb.Get(ctx, "r:"+key).Err() }
	}
	for _, key := range keys {
		if err := r.get(key); err != nil {
			b.Fatal(err)
		}
	}
	return r
}
