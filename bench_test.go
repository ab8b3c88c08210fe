// Package tiercache_test compares tiercache with the raw floor (ristretto,
// go-redis) and with the textbook pattern (GET, JSON, SET EX), in one run and on
// the same values, keys and warm-up:
//
//	go test -run '^$' -bench . .
//
// Compare ratios within a run: absolute times move with the machine. Benchmarks
// of Redis start a redis-server of their own and are skipped without one.
package tiercache_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/redis/go-redis/v9"
	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sync/singleflight"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// Product is a typical record: about 630 bytes of msgpack.
type Product struct {
	ID         string
	Name       string
	Text       string
	Cents      int64
	Stock      int
	Updated    time.Time
	Tags       []string
	Attributes map[string]string
}

func newProduct(id string) Product {
	p := Product{
		ID: id, Name: "Lamp " + id, Cents: 1999, Stock: 12, Updated: time.Unix(1_790_000_000, 0).UTC(),
		Text:       "A lamp for the desk, with a heavy foot, a long arm and a switch that can be found in the dark.",
		Tags:       []string{"lighting", "office", "desk", "black", "new"},
		Attributes: map[string]string{},
	}
	for i := range 8 {
		p.Attributes["attribute-"+strconv.Itoa(i)] = "value of the attribute, number " + strconv.Itoa(i)
	}
	return p
}

func load(_ context.Context, id string) (Product, error) { return newProduct(id), nil }

func loadMany(_ context.Context, ids []string) (map[string]Product, error) {
	found := make(map[string]Product, len(ids))
	for _, id := range ids {
		found[id] = newProduct(id)
	}
	return found, nil
}

func ids(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "product:" + strconv.Itoa(i)
	}
	return keys
}

// zipf returns n draws out of keys; the hottest key comes first in keys.
func zipf(keys []string, n int) []string {
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, uint64(len(keys)-1))
	draws := make([]string, n)
	for i := range draws {
		draws[i] = keys[z.Uint64()]
	}
	return draws
}

// check fails the benchmark unless get returns what the source holds.
func check(b *testing.B, get func(key string) (Product, error)) {
	b.Helper()
	for _, key := range []string{"product:0", "product:7"} {
		if p, err := get(key); err != nil || p.ID != key || len(p.Attributes) != 8 {
			b.Fatalf("get(%q) = %+v, %v", key, p, err)
		}
	}
}

func client(addr string) (*redis.UniversalOptions, *coherence.Monitor) {
	opts := &redis.UniversalOptions{Addrs: []string{addr}, PoolSize: 64}
	return opts, coherence.Instrument(opts)
}

// rawClient is go-redis as the textbook has it.
func rawClient(b *testing.B, addr string) *redis.Client {
	rdb := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 64})
	b.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func openCache(b *testing.B, addr string, cfg tiered.Config[Product]) *tiered.Cache[Product] {
	b.Helper()
	opts, monitor := client(addr)
	rdb := redis.NewUniversalClient(opts)
	node, err := coherence.Join(b.Context(), rdb, coherence.Config{
		Fleet: "bench", Monitor: monitor, MaxStale: 10 * time.Second, OnEvent: func(coherence.Event) {},
	})
	if err != nil {
		b.Fatal(err)
	}
	cfg.Name = "p" + strconv.FormatUint(cacheNumber.Add(1), 10)
	c, err := tiered.New(node, cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = c.Close()
		_ = node.Close()
		_ = rdb.Close()
	})
	return c
}

var cacheNumber atomic.Uint64

// textbook is the plain code that the patterns' article shows.
type textbook struct{ rdb *redis.Client }

func (t textbook) get(ctx context.Context, key string) (Product, error) {
	var p Product
	data, err := t.rdb.Get(ctx, "t:"+key).Bytes()
	if err == nil {
		return p, json.Unmarshal(data, &p)
	}
	if !errors.Is(err, redis.Nil) {
		return p, err
	}
	if p, err = load(ctx, key); err != nil {
		return p, err
	}
	if data, err = json.Marshal(p); err != nil {
		return p, err
	}
	return p, t.rdb.Set(ctx, "t:"+key, data, 300*time.Second).Err()
}

// run measures get over draws, by one goroutine or by one for each core.
func run(b *testing.B, name string, draws []string, get func(key string) error) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if err := get(draws[i%len(draws)]); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}

func runParallel(b *testing.B, name string, callers int, draws []string, get func(key string) error) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
		b.RunParallel(func(pb *testing.PB) {
			i := rand.IntN(len(draws))
			for pb.Next() {
				if err := get(draws[i%len(draws)]); err != nil {
					b.Error(err)
					return
				}
				i++
			}
		})
	})
}

// BenchmarkLocalHit: a value in this process's memory.
func BenchmarkLocalHit(b *testing.B) {
	for _, set := range []struct {
		name  string
		draws []string
		keys  []string
	}{
		{"keys=hot", ids(1000), ids(1000)},
		{"keys=zipf", zipf(ids(10_000), 1<<16), ids(10_000)},
	} {
		for _, variant := range localVariants(b, set.keys) {
			run(b, "lib="+variant.name+"/"+set.name+"/par=1", set.draws, variant.get)
			runParallel(b, "lib="+variant.name+"/"+set.name+"/par=cores", runtime.GOMAXPROCS(0), set.draws, variant.get)
		}
	}
}

type variant struct {
	name string
	get  func(key string) error
}

func localVariants(b *testing.B, keys []string) []variant {
	ctx := b.Context()
	variants := []variant{
		{"ristretto", ristrettoGet(b, keys, 0)},
		{"ristretto-ttl", ristrettoGet(b, keys, time.Hour)},
	}
	c := openCache(b, anyServer(b), tiered.Config[Product]{TTL: time.Hour, MaxLocalBytes: 256 << 20})
	check(b, func(key string) (Product, error) { return c.Get(ctx, key, load) })
	warm(b, func() error { _, err := c.GetMany(ctx, keys, loadMany); return err }, func() bool {
		before := c.Stats().LocalHits
		_, err := c.GetMany(ctx, keys, loadMany)
		return err == nil && c.Stats().LocalHits-before == uint64(len(keys))
	})
	variants = append(variants, variant{"tiercache", func(key string) error { _, err := c.Get(ctx, key, load); return err }})
	if redistest.Available() { // the textbook has no local tier: its hit is a round trip
		t := textbook{rawClient(b, redistest.RunServer(b).Addr())}
		for _, key := range keys {
			if _, err := t.get(ctx, key); err != nil {
				b.Fatal(err)
			}
		}
		variants = append(variants, variant{"textbook", func(key string) error { _, err := t.get(ctx, key); return err }})
	}
	return variants
}

var errMissing = errors.New("not in the cache")

func ristrettoGet(b *testing.B, keys []string, ttl time.Duration) func(string) error {
	cache, err := ristretto.NewCache(&ristretto.Config[string, *Product]{NumCounters: 1e7, MaxCost: 1 << 30, BufferItems: 64})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cache.Close)
	for _, key := range keys {
		p := newProduct(key)
		cache.SetWithTTL(key, &p, 700, ttl)
	}
	cache.Wait()
	return func(key string) error {
		if _, ok := cache.Get(key); !ok {
			return errMissing
		}
		return nil
	}
}

// warm reads until everything is served from memory: ristretto takes new entries
// in the background and may drop some.
func warm(b *testing.B, read func() error, done func() bool) {
	b.Helper()
	for range 100 {
		if err := read(); err != nil {
			b.Fatal(err)
		}
		if done() {
			return
		}
	}
	b.Fatal("the keys do not stay in memory")
}

// anyServer is for benchmarks that do not measure Redis.
func anyServer(b *testing.B) string {
	if redistest.Available() {
		return redistest.RunServer(b).Addr()
	}
	return redistest.RunEmbedded(b).Addr()
}

// BenchmarkRemoteHit: a value in Redis, decoded. The local tier is kept too
// small for anything.
func BenchmarkRemoteHit(b *testing.B) {
	server := redistest.RunServer(b)
	ctx := b.Context()
	keys := ids(2000)
	raw, book := rawClient(b, server.Addr()), textbook{rawClient(b, server.Addr())}
	c := openCache(b, server.Addr(), tiered.Config[Product]{TTL: time.Hour, MaxLocalBytes: 1})
	for _, key := range keys {
		data, err := msgpack.Marshal(newProduct(key))
		if err != nil {
			b.Fatal(err)
		}
		_, e1 := book.get(ctx, key)
		_, e2 := c.Get(ctx, key, load)
		if err := errors.Join(e1, e2, raw.Set(ctx, "r:"+key, data, time.Hour).Err()); err != nil {
			b.Fatal(err)
		}
	}
	decoded := func(key string) (p Product, err error) {
		data, err := raw.Get(ctx, "r:"+key).Bytes()
		if err == nil {
			err = msgpack.Unmarshal(data, &p)
		}
		return p, err
	}
	check(b, decoded)
	check(b, func(key string) (Product, error) { return c.Get(ctx, key, load) })
	for _, callers := range []int{1, 8, 64} {
		suffix := "/callers=" + strconv.Itoa(callers)
		runParallel(b, "lib=goredis-bytes"+suffix, callers, keys, func(key string) error { return raw.Get(ctx, "r:"+key).Err() })
		runParallel(b, "lib=goredis-msgpack"+suffix, callers, keys, func(key string) error { _, err := decoded(key); return err })
		runParallel(b, "lib=textbook"+suffix, callers, keys, func(key string) error { _, err := book.get(ctx, key); return err })
		runParallel(b, "lib=tiercache"+suffix, callers, keys, func(key string) error { _, err := c.Get(ctx, key, load); return err })
	}
}

// BenchmarkMiss: neither tier holds the key; the source answers at once.
func BenchmarkMiss(b *testing.B) {
	server := redistest.RunServer(b)
	ctx := b.Context()
	raw, book := rawClient(b, server.Addr()), textbook{rawClient(b, server.Addr())}
	c := openCache(b, server.Addr(), tiered.Config[Product]{})
	data, err := msgpack.Marshal(newProduct("x"))
	if err != nil {
		b.Fatal(err)
	}
	fresh := func(get func(string) error) func(string) error {
		return func(string) error { return get(strconv.FormatUint(cacheNumber.Add(1), 36)) }
	}
	one := []string{""}
	run(b, "lib=goredis-get-set", one, fresh(func(key string) error {
		if err := raw.Get(ctx, key).Err(); !errors.Is(err, redis.Nil) {
			return fmt.Errorf("a fresh key: %w", err)
		}
		return raw.Set(ctx, key, data, time.Minute).Err()
	}))
	run(b, "lib=textbook", one, fresh(func(key string) error { _, err := book.get(ctx, key); return err }))
	run(b, "lib=tiercache", one, fresh(func(key string) error { _, err := c.Get(ctx, key, load); return err }))
}

// BenchmarkHerd: 256 goroutines ask for one cold key whose load takes 10 ms. The
// loads per herd are reported: the textbook has no protection.
func BenchmarkHerd(b *testing.B) {
	server := redistest.RunServer(b)
	ctx := b.Context()
	book := textbook{rawClient(b, server.Addr())}
	c := openCache(b, server.Addr(), tiered.Config[Product]{SourceLimit: -1})
	var loads atomic.Int64
	slow := func(ctx context.Context, key string) (Product, error) {
		loads.Add(1)
		time.Sleep(10 * time.Millisecond)
		return load(ctx, key)
	}
	herd := func(name string, get func(key string) error) {
		b.Run(name, func(b *testing.B) {
			loads.Store(0)
			herds := 0
			for b.Loop() {
				herds++
				key := strconv.FormatUint(cacheNumber.Add(1), 36)
				var wg sync.WaitGroup
				for range 256 {
					wg.Go(func() {
						if err := get(key); err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
			}
			b.ReportMetric(float64(loads.Load())/float64(herds), "loads/herd")
		})
	}
	var flights singleflight.Group
	herd("lib=singleflight", func(key string) error { // the floor: no Redis at all
		_, err, _ := flights.Do(key, func() (any, error) { return slow(ctx, key) })
		return err
	})
	herd("lib=textbook", func(key string) error {
		if book.rdb.Get(ctx, "t:"+key).Err() == nil {
			return nil
		}
		p, err := slow(ctx, key)
		if err != nil {
			return err
		}
		data, err := json.Marshal(p)
		return errors.Join(err, book.rdb.Set(ctx, "t:"+key, data, time.Minute).Err())
	})
	herd("lib=tiercache", func(key string) error { _, err := c.Get(ctx, key, slow); return err })
}

// BenchmarkUpdate: a write whose source takes no time, against two raw scripts
// in two round trips, and against the textbook's DEL.
func BenchmarkUpdate(b *testing.B) {
	server := redistest.RunServer(b)
	ctx := b.Context()
	raw := rawClient(b, server.Addr())
	c := openCache(b, server.Addr(), tiered.Config[Product]{})
	keys := ids(1000)
	data, err := msgpack.Marshal(newProduct("x"))
	if err != nil {
		b.Fatal(err)
	}
	set := redis.NewScript("return redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)")
	if err := set.Load(ctx, raw).Err(); err != nil {
		b.Fatal(err)
	}
	run(b, "lib=goredis-2x2-evalsha", keys, func(key string) error {
		for range 2 {
			pipe := raw.Pipeline()
			set.EvalSha(ctx, pipe, []string{"a:" + key}, data)
			set.EvalSha(ctx, pipe, []string{"b:" + key}, data)
			if _, err := pipe.Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	run(b, "lib=textbook", keys, func(key string) error { return raw.Del(ctx, "t:"+key).Err() })
	run(b, "lib=tiercache", keys, func(key string) error { _, err := c.Update(ctx, key, load); return err })
}

// BenchmarkGetMany: 100 keys at once, from memory and from Redis.
func BenchmarkGetMany(b *testing.B) {
	server := redistest.RunServer(b)
	ctx := b.Context()
	keys := ids(100)
	raw, book := rawClient(b, server.Addr()), textbook{rawClient(b, server.Addr())}
	near := openCache(b, server.Addr(), tiered.Config[Product]{TTL: time.Hour})
	far := openCache(b, server.Addr(), tiered.Config[Product]{TTL: time.Hour, MaxLocalBytes: 1})
	many := func(c *tiered.Cache[Product]) func(string) error {
		return func(string) error {
			found, err := c.GetMany(ctx, keys, loadMany)
			if err == nil && len(found) != len(keys) {
				err = errMissing
			}
			return err
		}
	}
	full := make([]string, len(keys))
	for i, key := range keys {
		full[i] = "r:" + key
		data, err := msgpack.Marshal(newProduct(key))
		_, e1 := book.get(ctx, key)
		if err := errors.Join(err, e1, raw.Set(ctx, full[i], data, time.Hour).Err()); err != nil {
			b.Fatal(err)
		}
	}
	all := make([]string, 1)
	warm(b, func() error { return many(near)("") }, func() bool {
		before := near.Stats().LocalHits
		return many(near)("") == nil && near.Stats().LocalHits-before == uint64(len(keys))
	})
	run(b, "lib=ristretto/tier=local", all, func() func(string) error {
		get := ristrettoGet(b, keys, time.Hour)
		return func(string) error {
			for _, key := range keys {
				if err := get(key); err != nil {
					return err
				}
			}
			return nil
		}
	}())
	run(b, "lib=tiercache/tier=local", all, many(near))
	run(b, "lib=goredis-mget/tier=remote", all, func(string) error { return raw.MGet(ctx, full...).Err() })
	run(b, "lib=goredis-mget-msgpack/tier=remote", all, func(string) error {
		values, err := raw.MGet(ctx, full...).Result()
		for _, v := range values {
			var p Product
			text, _ := v.(string)
			if err == nil {
				err = msgpack.Unmarshal([]byte(text), &p)
			}
		}
		return err
	})
	run(b, "lib=textbook/tier=remote", all, func(string) error {
		for _, key := range keys {
			if _, err := book.get(ctx, key); err != nil {
				return err
			}
		}
		return nil
	})
	run(b, "lib=tiercache/tier=remote", all, many(far))
}

// BenchmarkCodec: Product in and out.
func BenchmarkCodec(b *testing.B) {
	p := newProduct("product:1")
	one := []string{""}
	for _, c := range []struct {
		name   string
		append func(dst []byte) ([]byte, error)
		decode func(data []byte, into *Product) error
	}{
		{"msgpack-plain", func([]byte) ([]byte, error) { return msgpack.Marshal(&p) },
			func(data []byte, into *Product) error { return msgpack.Unmarshal(data, into) }},
		{"json-plain", func([]byte) ([]byte, error) { return json.Marshal(&p) },
			func(data []byte, into *Product) error { return json.Unmarshal(data, into) }},
		{"tiercache-msgpack", func(dst []byte) ([]byte, error) { return codec.Msgpack().Append(dst, &p) },
			func(data []byte, into *Product) error { return codec.Msgpack().Decode(data, into) }},
		{"tiercache-json", func(dst []byte) ([]byte, error) { return codec.JSON().Append(dst, &p) },
			func(data []byte, into *Product) error { return codec.JSON().Decode(data, into) }},
	} {
		data, err := c.append(nil)
		if err != nil {
			b.Fatal(err)
		}
		var back Product
		if err := c.decode(data, &back); err != nil || back.ID != p.ID {
			b.Fatal(back, err)
		}
		buf := make([]byte, 0, 2*len(data))
		run(b, "lib="+c.name+"/op=encode", one, func(string) error { _, err := c.append(buf[:0]); return err })
		run(b, "lib="+c.name+"/op=decode", one, func(string) error { var p Product; return c.decode(data, &p) })
	}
}
