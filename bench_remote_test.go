package tiercache_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// BenchmarkRemoteHit: a value in Redis, as bytes or decoded. No local tier helps:
// ours is kept too small for anything. The floor is GET of bytes by go-redis.
func BenchmarkRemoteHit(b *testing.B) {
	addr := redistest.RunServer(b).Addr()
	keys := ids(*keyCount)
	fill(b, addr, keys)
	aside := goRedis(b, addr)
	each(b, remotePeers(addr, keys), keys, func(b *testing.B, r reader) {
		metered(b, aside, []int{1, 8, 64, 512}, func(i int) error { return r.get(keys[i%len(keys)]) })
	})
}

// metered measures do by so many callers, when all connections have been made.
func metered(b *testing.B, aside *redis.Client, sizes []int, do func(i int) error) {
	crowd(b, 4*pool, 8*pool, do)
	for _, callers := range sizes {
		b.Run("callers="+strconv.Itoa(callers), func(b *testing.B) {
			b.ReportAllocs()
			m := newMeter(b, aside)
			b.ResetTimer()
			crowd(b, callers, b.N, func(i int) error { return m.timed(func() error { return do(i) }) })
			b.StopTimer()
			m.report(b, b.N)
		})
	}
}

func remotePeers(addr string, keys []string) []peer {
	return []peer{
		{"lib=goredis/data=bytes", func(b *testing.B) reader { return bytesOnly(goRedisGet(b.Context(), goRedis(b, addr))) }},
		{"lib=goredis/data=decoded", func(b *testing.B) reader { return decoded(goRedisGet(b.Context(), goRedis(b, addr))) }},
		{"lib=goredis-autopipe/data=bytes", func(b *testing.B) reader {
			return bytesOnly(goRedisGet(b.Context(), autopipeline(b, addr)))
		}},
		{"lib=goredis-autopipe/data=decoded", func(b *testing.B) reader {
			return decoded(goRedisGet(b.Context(), autopipeline(b, addr)))
		}},
		{"lib=rueidis/data=bytes", func(b *testing.B) reader { return bytesOnly(rueidisGet(b, addr, 0)) }},
		{"lib=rueidis/data=decoded", func(b *testing.B) reader { return decoded(rueidisGet(b, addr, 0)) }},
		{"lib=rueidis-20us/data=bytes", func(b *testing.B) reader { return bytesOnly(rueidisGet(b, addr, 20*time.Microsecond)) }},
		{"lib=rueidis-20us/data=decoded", func(b *testing.B) reader { return decoded(rueidisGet(b, addr, 20*time.Microsecond)) }},
		{"lib=textbook/data=decoded", func(b *testing.B) reader {
			t, ctx := textbook{goRedis(b, addr)}, b.Context()
			return typed(func(key string) (*Product, error) { return t.get(ctx, key) })
		}},
		{"lib=tiercache/data=bytes", func(b *testing.B) reader { return tieredBytes(b, addr, keys) }},
		{"lib=tiercache/data=decoded", func(b *testing.B) reader { return tieredRemote(b, addr, keys) }},
	}
}

func bytesOnly(get func(key string) ([]byte, error)) reader {
	return reader{func(key string) error { _, err := get("r:" + key); return err },
		func(key string) (*Product, error) { return unpack(get("r:" + key)) }}
}

func decoded(get func(key string) ([]byte, error)) reader {
	return typed(func(key string) (*Product, error) { return unpack(get("r:" + key)) })
}

func goRedisGet(ctx context.Context, rdb redis.Cmdable) func(key string) ([]byte, error) {
	return func(key string) ([]byte, error) { return rdb.Get(ctx, key).Bytes() }
}

// rueidisGet pipelines what callers ask at the same time, or within the delay.
func rueidisGet(b *testing.B, addr string, delay time.Duration) func(key string) ([]byte, error) {
	ctx := b.Context()
	client := rueidisClient(b, addr, func(o *rueidis.ClientOption) { o.MaxFlushDelay = delay })
	return func(key string) ([]byte, error) { return client.Do(ctx, client.B().Get().Key(key).Build()).AsBytes() }
}

func tieredRemote(b *testing.B, addr string, keys []string) reader {
	return typed(tieredGet(b, addr, keys, tiered.Config[*Product]{}, loadMany))
}

// tieredBytes holds what the raw clients hold: a Product that somebody else has encoded.
func tieredBytes(b *testing.B, addr string, keys []string) reader {
	cfg := tiered.Config[[]byte]{Codec: codec.Raw()}
	get := tieredGet(b, addr, keys, cfg, func(_ context.Context, ids []string) (map[string][]byte, error) {
		found := make(map[string][]byte, len(ids))
		for _, id := range ids {
			packed, err := msgpack.Marshal(newProduct(id))
			if err != nil {
				return nil, err
			}
			found[id] = packed
		}
		return found, nil
	})
	return reader{func(key string) error { _, err := get(key); return err },
		func(key string) (*Product, error) { return unpack(get(key)) }}
}

// tieredGet reads from a cache whose values are all in Redis.
func tieredGet[V any](b *testing.B, addr string, keys []string, cfg tiered.Config[V], load tiered.BatchLoader[V]) func(key string) (V, error) {
	ctx := b.Context()
	cfg.MaxLocalBytes = 1
	c := openTiered(b, joinFleet(b, addr), cfg)
	err := chunks(keys, func(keys []string) error { _, err := c.GetMany(ctx, keys, load); return err })
	if err != nil {
		b.Fatal(err)
	}
	unheld := func(context.Context, string) (v V, err error) { return v, errMissing }
	return func(key string) (V, error) { return c.Get(ctx, key, unheld) }
}

// BenchmarkMiss: neither tier holds the key and the source answers at once; the
// value is stored. The floor is GET and SET by go-redis.
func BenchmarkMiss(b *testing.B) {
	addr := redistest.RunServer(b).Addr()
	aside := goRedis(b, addr)
	each(b, missPeers(addr), []string{fresh(), fresh(), fresh()}, func(b *testing.B, r reader) {
		metered(b, aside, []int{1, 64}, func(int) error { return r.get(fresh()) })
	})
}

func missPeers(addr string) []peer {
	return []peer{
		{"lib=goredis", func(b *testing.B) reader { return asideBy(b.Context(), goRedis(b, addr), "g:") }},
		{"lib=goredis-autopipe", func(b *testing.B) reader { return asideBy(b.Context(), autopipeline(b, addr), "a:") }},
		{"lib=rueidis", func(b *testing.B) reader { return asideByRueidis(b, addr) }},
		{"lib=textbook", func(b *testing.B) reader {
			t, ctx := textbook{goRedis(b, addr)}, b.Context()
			return typed(func(key string) (*Product, error) { return t.get(ctx, key) })
		}},
		{"lib=tiercache", func(b *testing.B) reader {
			c, ctx := openTiered(b, joinFleet(b, addr), tiered.Config[*Product]{}), b.Context()
			return typed(func(key string) (*Product, error) { return c.Get(ctx, key, load) })
		}},
	}
}

// asideBy is the least that cache-aside costs with msgpack values.
func asideBy(ctx context.Context, rdb redis.Cmdable, prefix string) reader {
	return typed(func(key string) (*Product, error) {
		p, err := unpack(rdb.Get(ctx, prefix+key).Bytes())
		if !errors.Is(err, redis.Nil) {
			return p, err
		}
		p = newProduct(key)
		data, err := msgpack.Marshal(p)
		if err != nil {
			return nil, err
		}
		return p, rdb.Set(ctx, prefix+key, data, time.Minute).Err()
	})
}

func asideByRueidis(b *testing.B, addr string) reader {
	client, ctx := rueidisClient(b, addr, nil), b.Context()
	return typed(func(key string) (*Product, error) {
		p, err := unpack(client.Do(ctx, client.B().Get().Key("u:"+key).Build()).AsBytes())
		if !rueidis.IsRedisNil(err) {
			return p, err
		}
		p = newProduct(key)
		data, err := msgpack.Marshal(p)
		if err != nil {
			return nil, err
		}
		set := client.B().Set().Key("u:" + key).Value(rueidis.BinaryString(data)).Px(time.Minute)
		return p, client.Do(ctx, set.Build()).Error()
	})
}
