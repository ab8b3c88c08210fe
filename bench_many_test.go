package tiercache_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

const manyKeys = 100

// BenchmarkGetMany: 100 keys at once, all in memory, all in Redis, or one half each.
// The floors are a map, MGET with msgpack, and both together.
func BenchmarkGetMany(b *testing.B) {
	addr := redistest.RunServer(b).Addr()
	keys := ids(max(*keyCount, 1000))
	fill(b, addr, keys)
	for _, tier := range []struct {
		name  string
		peers []manyPeer
		next  func(i int) []string
	}{
		{"tier=local", nearPeers(keys), func(int) []string { return keys[:manyKeys] }},
		{"tier=remote", farPeers(addr, keys), func(int) []string { return keys[:manyKeys] }},
		{"tier=mixed", mixedPeers(addr, keys), func(i int) []string { return halves(keys, i) }},
	} {
		for _, p := range tier.peers {
			b.Run(p.name+"/"+tier.name, func(b *testing.B) { measureMany(b, p.open(b), tier.next) })
		}
	}
}

// halves returns 50 keys that are the same every time and 50 that come back late.
func halves(keys []string, i int) []string {
	const half = manyKeys / 2
	cold := keys[half:]
	at := i * half % (len(cold) - half)
	return append(append(make([]string, 0, manyKeys), keys[:half]...), cold[at:at+half]...)
}

type getMany func(keys []string) (map[string]*Product, error)

type manyPeer struct {
	name string
	open func(b *testing.B) getMany
}

func measureMany(b *testing.B, get getMany, next func(i int) []string) {
	i := 0
	ask := func() {
		keys := next(i)
		i++
		found, err := get(keys)
		if err == nil && len(found) != len(keys) {
			err = fmt.Errorf("%d of %d keys", len(found), len(keys))
		}
		if err != nil {
			b.Fatal(err)
		}
		if err := wrong(found[keys[len(keys)-1]], keys[len(keys)-1]); err != nil {
			b.Fatal(err)
		}
	}
	for range 30 {
		ask()
	}
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}

func nearPeers(keys []string) []manyPeer {
	keys = keys[:manyKeys]
	return []manyPeer{
		{"lib=map", func(*testing.B) getMany { return oneByOne(mapReader(keys)) }},
		{"lib=ristretto", func(b *testing.B) getMany { return oneByOne(ristrettoReader(b, keys, life)) }},
		{"lib=otter", func(b *testing.B) getMany { return otterMany(b, len(keys)*2, loadMany) }},
		{"lib=sturdyc", func(b *testing.B) getMany { return sturdycMany(b, len(keys)*20, loadMany) }},
		{"lib=tiercache", func(b *testing.B) getMany {
			ctx, c := b.Context(), openTiered(b, joinFleet(b, anyServer(b)), tiered.Config[*Product]{})
			get := func(keys []string) (map[string]*Product, error) { return c.GetMany(ctx, keys, loadMany) }
			warm(b, func() error { _, err := get(keys); return err }, func() bool {
				before := c.Stats().LocalHits
				_, err := get(keys)
				return err == nil && c.Stats().LocalHits-before == uint64(len(keys))
			})
			return get
		}},
	}
}

func oneByOne(r reader) getMany {
	return func(keys []string) (map[string]*Product, error) {
		found := make(map[string]*Product, len(keys))
		for _, key := range keys {
			p, err := r.read(key)
			if err != nil {
				return nil, err
			}
			found[key] = p
		}
		return found, nil
	}
}

func otterMany(b *testing.B, entries int, load getManyCtx) getMany {
	ctx, cache := b.Context(), openOtter(b, entries)
	loader := otter.BulkLoaderFunc[string, *Product](load)
	return func(keys []string) (map[string]*Product, error) { return cache.BulkGet(ctx, keys, loader) }
}

type getManyCtx = func(ctx context.Context, keys []string) (map[string]*Product, error)

func sturdycMany(b *testing.B, entries int, load getManyCtx) getMany {
	ctx, cache := b.Context(), openSturdyc(entries)
	self := func(id string) string { return id }
	return func(keys []string) (map[string]*Product, error) { return cache.GetOrFetchBatch(ctx, keys, self, load) }
}

func farPeers(addr string, keys []string) []manyPeer {
	return []manyPeer{
		{"lib=goredis-mget", func(b *testing.B) getMany { return bind(b, mget(goRedis(b, addr))) }},
		{"lib=rueidis-mget", func(b *testing.B) getMany { return bind(b, rueidisMGet(rueidisClient(b, addr, nil))) }},
		{"lib=textbook", func(b *testing.B) getMany {
			t, ctx := textbook{goRedis(b, addr)}, b.Context()
			return oneByOne(typed(func(key string) (*Product, error) { return t.get(ctx, key) }))
		}},
		{"lib=tiercache", func(b *testing.B) getMany {
			ctx, c := b.Context(), openTiered(b, joinFleet(b, addr), tiered.Config[*Product]{MaxLocalBytes: 1})
			if _, err := c.GetMany(ctx, keys[:manyKeys], loadMany); err != nil {
				b.Fatal(err)
			}
			return func(keys []string) (map[string]*Product, error) { return c.GetMany(ctx, keys, noneLeft) }
		}},
	}
}

// noneLeft is the batch loader of a cache that is to hold everything.
func noneLeft(context.Context, []string) (map[string]*Product, error) { return nil, errMissing }

func bind(b *testing.B, get getManyCtx) getMany {
	ctx := b.Context()
	return func(keys []string) (map[string]*Product, error) { return get(ctx, keys) }
}

func prefixed(keys []string) []string {
	full := make([]string, len(keys))
	for i, key := range keys {
		full[i] = "r:" + key
	}
	return full
}

func mget(rdb *redis.Client) getManyCtx {
	return func(ctx context.Context, keys []string) (map[string]*Product, error) {
		values, err := rdb.MGet(ctx, prefixed(keys)...).Result()
		found := make(map[string]*Product, len(keys))
		for i, v := range values {
			text, _ := v.(string)
			p, e := unpack([]byte(text), nil)
			err = errors.Join(err, e)
			found[keys[i]] = p
		}
		return found, err
	}
}

func rueidisMGet(client rueidis.Client) getManyCtx {
	return func(ctx context.Context, keys []string) (map[string]*Product, error) {
		values, err := client.Do(ctx, client.B().Mget().Key(prefixed(keys)...).Build()).ToArray()
		found := make(map[string]*Product, len(keys))
		for i, v := range values {
			p, e := unpack(v.AsBytes())
			err = errors.Join(err, e)
			found[keys[i]] = p
		}
		return found, err
	}
}

// mixedPeers have room for 200 entries, and MGET behind it.
func mixedPeers(addr string, keys []string) []manyPeer {
	const room = 2 * manyKeys
	return []manyPeer{
		{"lib=map-mget", func(b *testing.B) getMany {
			near, far := oneByOne(mapReader(keys[:manyKeys/2])), bind(b, mget(goRedis(b, addr)))
			return func(keys []string) (map[string]*Product, error) {
				found, e1 := near(keys[:manyKeys/2])
				rest, e2 := far(keys[manyKeys/2:])
				for key, p := range rest {
					found[key] = p
				}
				return found, errors.Join(e1, e2)
			}
		}},
		{"lib=otter", func(b *testing.B) getMany { return otterMany(b, room, mget(goRedis(b, addr))) }},
		{"lib=sturdyc", func(b *testing.B) getMany { return sturdycMany(b, room, mget(goRedis(b, addr))) }},
		{"lib=tiercache", func(b *testing.B) getMany { return tieredMixed(b, addr, keys, room) }},
	}
}

func tieredMixed(b *testing.B, addr string, keys []string, room int64) getMany {
	const entry = 1200 // bytes of a Product with what the local tier adds
	ctx, c := b.Context(), openTiered(b, joinFleet(b, addr), tiered.Config[*Product]{MaxLocalBytes: room * entry})
	err := chunks(keys, func(keys []string) error { _, err := c.GetMany(ctx, keys, loadMany); return err })
	if err != nil {
		b.Fatal(err)
	}
	hits, calls := c.Stats().LocalHits, 0
	b.Cleanup(func() {
		b.Logf("%.1f of %d keys a call came from memory", float64(c.Stats().LocalHits-hits)/float64(calls), manyKeys)
	})
	return func(keys []string) (map[string]*Product, error) {
		calls++
		return c.GetMany(ctx, keys, noneLeft)
	}
}
