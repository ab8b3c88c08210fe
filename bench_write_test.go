package tiercache_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// BenchmarkUpdate: a write whose source takes no time. The floor is two round trips
// of two scripts each, which is what a fence, an announcement and the new value cost;
// the textbook deletes, or writes through, and promises less.
func BenchmarkUpdate(b *testing.B) {
	addr := redistest.RunServer(b).Addr()
	keys, aside := ids(*keyCount), goRedis(b, addr)
	each(b, []peer{
		{"lib=goredis-2x2-evalsha", func(b *testing.B) reader { return scriptWriter(b, addr) }},
		{"lib=textbook", func(b *testing.B) reader {
			t, ctx := textbook{goRedis(b, addr)}, b.Context()
			return typed(func(key string) (*Product, error) {
				return newProduct(key), t.rdb.Del(ctx, "t:"+key).Err()
			})
		}},
		{"lib=textbook-set", func(b *testing.B) reader {
			t, ctx := textbook{goRedis(b, addr)}, b.Context()
			return reader{func(key string) error { return t.set(ctx, newProduct(key)) },
				func(key string) (*Product, error) {
					if err := t.set(ctx, newProduct(key)); err != nil {
						return nil, err
					}
					return t.peek(ctx, key)
				}}
		}},
		{"lib=tiercache", func(b *testing.B) reader { return tieredWriter(b, addr) }},
	}, keys, func(b *testing.B, r reader) {
		metered(b, aside, []int{1, 64}, func(i int) error { return r.get(keys[i%len(keys)]) })
	})
}

func scriptWriter(b *testing.B, addr string) reader {
	ctx, rdb := b.Context(), goRedis(b, addr)
	set := redis.NewScript("return redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)")
	if err := set.Load(ctx, rdb).Err(); err != nil {
		b.Fatal(err)
	}
	write := func(key string) error {
		data, err := msgpack.Marshal(newProduct(key))
		if err != nil {
			return err
		}
		for range 2 {
			pipe := rdb.Pipeline()
			set.EvalSha(ctx, pipe, []string{"a:" + key}, data)
			set.EvalSha(ctx, pipe, []string{"b:" + key}, data)
			if _, err := pipe.Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	return reader{write, func(key string) (*Product, error) {
		if err := write(key); err != nil {
			return nil, err
		}
		return unpack(rdb.Get(ctx, "b:"+key).Bytes())
	}}
}

// tieredWriter reads what it wrote by a cache that never loads.
func tieredWriter(b *testing.B, addr string) reader {
	ctx := b.Context()
	c := openTiered(b, joinFleet(b, addr), tiered.Config[*Product]{})
	write := func(key string) error { _, err := c.Update(ctx, key, load); return err }
	return reader{write, func(key string) (*Product, error) {
		if err := write(key); err != nil {
			return nil, err
		}
		return c.Get(context.WithoutCancel(ctx), key, unheld)
	}}
}
