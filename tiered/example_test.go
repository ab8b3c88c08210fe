package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// Product is a record of the examples' shop.
type Product struct {
	Name  string
	Cents int
}

// products is the shop's database.
type products map[string]Product

func (p products) byID(_ context.Context, id string) (Product, error) {
	fmt.Println("database: read", id)
	product, ok := p[id]
	if !ok {
		return Product{}, tiered.ErrNotFound
	}
	return product, nil
}

func (p products) byIDs(_ context.Context, ids []string) (map[string]Product, error) {
	fmt.Println("database: read", ids)
	found := map[string]Product{}
	for _, id := range ids {
		if product, ok := p[id]; ok {
			found[id] = product
		}
	}
	return found, nil
}

func (p products) setPrice(id string, cents int) Product {
	fmt.Println("database: write", id)
	product := p[id]
	product.Cents = cents
	p[id] = product
	return product
}

// openShop joins a fleet and opens a cache of products. A real program takes the
// address of its Redis.
func openShop(with ...func(*tiered.Config[Product])) (cache *tiered.Cache[Product], done func()) {
	server, err := redistest.StartEmbedded()
	if err != nil {
		log.Fatal(err)
	}
	opts := &redis.UniversalOptions{Addrs: []string{server.Addr()}}
	monitor := coherence.Instrument(opts)
	rdb := redis.NewUniversalClient(opts)
	node, err := coherence.Join(context.Background(), rdb, coherence.Config{
		Fleet: "shop", Monitor: monitor, OnEvent: func(coherence.Event) {},
		MaxStale: 10 * time.Second, Timeout: 5 * time.Second, // a busy build machine is no outage
	})
	if err != nil {
		log.Fatal(err)
	}
	cfg := tiered.Config[Product]{Name: "product"}
	for _, f := range with {
		f(&cfg)
	}
	cache, err = tiered.New(node, cfg)
	if err != nil {
		log.Fatal(err)
	}
	return cache, func() {
		cache.Close()
		node.Close()
		rdb.Close()
		server.Close()
	}
}

func ExampleNew() {
	server, err := redistest.StartEmbedded() // your Redis
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	// Once in a process: a client, and a node of the fleet on it.
	opts := &redis.UniversalOptions{Addrs: []string{server.Addr()}}
	monitor := coherence.Instrument(opts)
	rdb := redis.NewUniversalClient(opts)
	defer rdb.Close()
	node, err := coherence.Join(context.Background(), rdb, coherence.Config{Fleet: "shop", Monitor: monitor})
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()

	// Once for each kind of record: a cache.
	cache, err := tiered.New(node, tiered.Config[Product]{
		Name:        "product",
		TTL:         5 * time.Minute,
		StaleTTL:    time.Hour, // serve the old one while one process refreshes it
		NotFoundTTL: 10 * time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()

	_, err = tiered.New(node, tiered.Config[Product]{Name: "product/v2", TTL: -time.Second})
	fmt.Println(err)
	// Output:
	// tiered.Config.Name: "product/v2" does not match ^[A-Za-z0-9_.-]+$
	// tiered.Config.TTL: -1s is less than 1ms
}

func ExampleCache_Get() {
	cache, done := openShop()
	defer done()
	db := products{"42": {"Teapot", 1999}}
	ctx := context.Background()

	for range 2 { // the second one is a hit
		p, err := cache.Get(ctx, "42", db.byID)
		fmt.Println(p, err)
	}
	for range 2 { // that there is none is remembered, too
		_, err := cache.Get(ctx, "43", db.byID)
		fmt.Println(errors.Is(err, tiered.ErrNotFound))
	}
	// Output:
	// database: read 42
	// {Teapot 1999} <nil>
	// {Teapot 1999} <nil>
	// database: read 43
	// true
	// true
}

func ExampleCache_GetMany() {
	cache, done := openShop()
	defer done()
	db := products{"1": {"Cup", 499}, "2": {"Saucer", 299}, "3": {"Spoon", 199}}
	ctx := context.Background()

	cache.Get(ctx, "2", db.byID)
	found, err := cache.GetMany(ctx, []string{"1", "2", "3", "4"}, db.byIDs) // one query for what is missing
	fmt.Println(slices.Sorted(maps.Keys(found)), err)
	// Output:
	// database: read 2
	// database: read [1 3 4]
	// [1 2 3] <nil>
}

func ExampleCache_Peek() {
	cache, done := openShop()
	defer done()
	db := products{"42": {"Teapot", 1999}}
	ctx := context.Background()

	_, err := cache.Peek(ctx, "42")
	fmt.Println(errors.Is(err, tiered.ErrMiss))

	cache.Get(ctx, "42", db.byID)
	p, err := cache.Peek(ctx, "42")
	fmt.Println(p, err)
	// Output:
	// true
	// database: read 42
	// {Teapot 1999} <nil>
}

func ExampleCache_Update() {
	cache, done := openShop()
	defer done()
	db := products{"42": {"Teapot", 1999}}
	ctx := context.Background()

	cache.Get(ctx, "42", db.byID)
	_, err := cache.Update(ctx, "42", func(_ context.Context, id string) (Product, error) {
		return db.setPrice(id, 1499), nil // here: the transaction, up to its commit
	})
	fmt.Println(err)

	p, err := cache.Get(ctx, "42", db.byID) // the new price, without a read of the database
	fmt.Println(p, err)
	// Output:
	// database: read 42
	// database: write 42
	// <nil>
	// {Teapot 1499} <nil>
}

func ExampleCache_Invalidate() {
	cache, done := openShop()
	defer done()
	db := products{"42": {"Teapot", 1999}}
	ctx := context.Background()

	cache.Get(ctx, "42", db.byID)
	db.setPrice("42", 1499) // by a nightly import that knows nothing of the cache
	fmt.Println(cache.Invalidate(ctx, "42"))

	p, err := cache.Get(ctx, "42", db.byID)
	fmt.Println(p, err)
	// Output:
	// database: read 42
	// database: write 42
	// <nil>
	// database: read 42
	// {Teapot 1499} <nil>
}

func ExampleRolledBack() {
	cache, done := openShop()
	defer done()
	db := products{"42": {"Teapot", 1999}}
	ctx := context.Background()
	errConflict := errors.New("somebody else changed it first")

	_, err := cache.Update(ctx, "42", func(context.Context, string) (Product, error) {
		return Product{}, tiered.RolledBack(errConflict) // the transaction did nothing
	})
	fmt.Println(errors.Is(err, errConflict))

	for range 2 { // the record can be cached again at once
		p, err := cache.Get(ctx, "42", db.byID)
		fmt.Println(p, err)
	}
	// Output:
	// true
	// database: read 42
	// {Teapot 1999} <nil>
	// {Teapot 1999} <nil>
}

func ExampleBypass() {
	cache, done := openShop()
	defer done()
	db := products{"42": {"Teapot", 1999}}
	ctx := context.Background()

	cache.Get(ctx, "42", db.byID)
	p, err := cache.Get(ctx, "42", db.byID, tiered.Bypass()) // the order is placed: the exact price counts
	fmt.Println(p, err)
	// Output:
	// database: read 42
	// database: read 42
	// {Teapot 1999} <nil>
}

func ExampleWithTTL() {
	cache, done := openShop()
	defer done()
	db := products{"42": {"Teapot", 1999}}
	ctx := context.Background()

	// A price that is announced to change at midnight.
	untilMidnight := 20 * time.Millisecond
	cache.Get(ctx, "42", db.byID, tiered.WithTTL(untilMidnight))
	<-time.After(2 * untilMidnight)
	cache.Get(ctx, "42", db.byID)
	// Output:
	// database: read 42
	// database: read 42
}
