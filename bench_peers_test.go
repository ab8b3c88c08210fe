package tiercache_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/viccon/sturdyc"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// How each library is opened, the same in every group: a pool of 64 connections,
// values that live for an hour, and room for everything unless a group says less.

const (
	pool = 64
	life = time.Hour
)

func goRedis(b *testing.B, addr string) *redis.Client {
	return goRedisWith(b, &redis.Options{Addr: addr, PoolSize: pool})
}

func goRedisWith(b *testing.B, opts *redis.Options) *redis.Client {
	opts.DialTimeout, opts.ReadTimeout, opts.PoolTimeout = patience, patience, patience
	rdb := redis.NewClient(opts)
	b.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// patience is every library's timeout: a busy machine must not turn hits into errors.
const patience = 30 * time.Second

func autopipeline(b *testing.B, addr string) *redis.AutoPipeliner {
	pipe, err := goRedis(b, addr).AutoPipeline()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = pipe.Close() })
	return pipe
}

func clientSideCache(b *testing.B, addr string, entries int) *redis.Client {
	return goRedisWith(b, &redis.Options{
		Addr: addr, PoolSize: pool, Protocol: 3,
		ClientSideCacheConfig: &redis.ClientSideCacheConfig{MaxEntries: 4 * entries},
	})
}

func rueidisClient(b *testing.B, addr string, change func(*rueidis.ClientOption)) rueidis.Client {
	opts := rueidis.ClientOption{InitAddress: []string{addr}, CacheSizeEachConn: 512 << 20, ConnWriteTimeout: patience}
	if change != nil {
		change(&opts)
	}
	client, err := rueidis.NewClient(opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	return client
}

func openOtter(b *testing.B, entries int) *otter.Cache[string, *Product] {
	cache, err := otter.New(&otter.Options[string, *Product]{
		MaximumSize: entries, ExpiryCalculator: otter.ExpiryWriting[string, *Product](life),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cache.StopAllGoroutines() })
	return cache
}

// openSturdyc has no Close: its evictions, one goroutine, are switched off.
func openSturdyc(entries int) *sturdyc.Client[*Product] {
	return sturdyc.New[*Product](entries, 16, life, 10, sturdyc.WithNoContinuousEvictions())
}

func openRistretto(b *testing.B, entries int) *ristretto.Cache[string, *Product] {
	cache, err := ristretto.NewCache(&ristretto.Config[string, *Product]{
		NumCounters: 10 * int64(entries), MaxCost: int64(entries), BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cache.Close)
	return cache
}

// joinFleet opens a node of ours. D is long: a busy machine must not cost the lease.
func joinFleet(b *testing.B, addr string) *coherence.Node {
	b.Helper()
	node, done, err := join(b.Context(), addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(done)
	return node
}

func join(ctx context.Context, addr string) (*coherence.Node, func(), error) {
	return joinAs(ctx, addr, coherence.Config{Fleet: "bench", MaxStale: patience, Probe: coherence.DefaultProbe})
}

func joinAs(ctx context.Context, addr string, cfg coherence.Config) (*coherence.Node, func(), error) {
	opts := &redis.UniversalOptions{
		Addrs: []string{addr}, PoolSize: pool, ReadTimeout: patience, PoolTimeout: patience,
	}
	cfg.Monitor = coherence.Instrument(opts)
	cfg.Timeout, cfg.OnEvent = patience/4, func(coherence.Event) {}
	rdb := redis.NewUniversalClient(opts)
	node, err := coherence.Join(ctx, rdb, cfg)
	if err != nil {
		return nil, nil, errors.Join(err, rdb.Close())
	}
	return node, func() {
		_ = node.Close()
		_ = rdb.Close()
	}, nil
}

func openTiered[V any](b *testing.B, node *coherence.Node, cfg tiered.Config[V]) *tiered.Cache[V] {
	b.Helper()
	cfg.Name = "p" + strconv.FormatUint(freshKeys.Add(1), 10)
	cfg.TTL = life
	c, err := tiered.New(node, cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

// anyServer is for groups that do not measure Redis.
func anyServer(b *testing.B) string {
	if redistest.Available() {
		return redistest.RunServer(b).Addr()
	}
	return redistest.RunEmbedded(b).Addr()
}

// textbook is the plain code that articles show: GET, JSON, SET EX.
type textbook struct{ rdb *redis.Client }

func (t textbook) get(ctx context.Context, key string) (*Product, error) {
	p, err := t.peek(ctx, key)
	if !errors.Is(err, redis.Nil) {
		return p, err
	}
	if p, err = load(ctx, key); err != nil {
		return nil, err
	}
	return p, t.set(ctx, p)
}

func (t textbook) peek(ctx context.Context, key string) (*Product, error) {
	data, err := t.rdb.Get(ctx, "t:"+key).Bytes()
	if err != nil {
		return nil, err
	}
	p := new(Product)
	return p, json.Unmarshal(data, p)
}

func (t textbook) set(ctx context.Context, p *Product) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return t.rdb.Set(ctx, "t:"+p.ID, data, 300*time.Second).Err()
}

// fill writes the products of keys for raw clients (r:, msgpack) and for the
// textbook (t:, JSON).
func fill(b *testing.B, addr string, keys []string) {
	b.Helper()
	ctx, rdb := b.Context(), goRedis(b, addr)
	err := chunks(keys, func(keys []string) error {
		pipe := rdb.Pipeline()
		for _, key := range keys {
			p := newProduct(key)
			packed, e1 := msgpack.Marshal(p)
			text, e2 := json.Marshal(p)
			if err := errors.Join(e1, e2); err != nil {
				return err
			}
			pipe.Set(ctx, "r:"+key, packed, life)
			pipe.Set(ctx, "t:"+key, text, life)
		}
		_, err := pipe.Exec(ctx)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

func unpack(data []byte, err error) (*Product, error) {
	if err != nil {
		return nil, err
	}
	p := new(Product)
	return p, msgpack.Unmarshal(data, p)
}
