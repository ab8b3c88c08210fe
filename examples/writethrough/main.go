// Writethrough writes the source through the cache: two nodes agree as soon as
// Update has returned, and what failed is said clearly.
//
//	go run ./examples/writethrough
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func main() {
	server, err := redistest.StartEmbedded() // yours: a Redis address
	check(err)
	defer server.Close()
	ctx := context.Background()
	berlin, closeBerlin := open(ctx, server.Addr())
	defer closeBerlin()
	osaka, closeOsaka := open(ctx, server.Addr())
	defer closeOsaka()

	var price atomic.Int64 // the database
	price.Store(1999)
	load := func(context.Context, string) (int64, error) { return price.Load(), nil }
	set := func(cents int64) tiered.Writer[int64] { // UPDATE ... RETURNING
		return func(context.Context, string) (int64, error) { price.Store(cents); return cents, nil }
	}

	read(ctx, "osaka before", osaka, load)
	cents, err := berlin.Update(ctx, "42", set(1499))
	fmt.Println("berlin writes:", cents, err)
	read(ctx, "berlin after", berlin, load)

	_, err = berlin.Update(ctx, "42", func(context.Context, string) (int64, error) {
		return 0, tiered.RolledBack(errors.New("constraint violated")) // surely unchanged
	})
	fmt.Println("a write that failed:", err)

	logging.Disable() // go-redis would report every failed dial
	server.Crash()
	_, err = berlin.Update(ctx, "42", set(1))
	fmt.Println("without Redis:", errors.Is(err, tiered.ErrNotWritten), "price is still", price.Load())
	read(ctx, "reads go on", osaka, load)
}

// open is one process of the shop.
func open(ctx context.Context, addr string) (*tiered.Cache[int64], func()) {
	opts := &redis.UniversalOptions{Addrs: []string{addr}}
	monitor := coherence.Instrument(opts)
	rdb := redis.NewUniversalClient(opts)
	node, err := coherence.Join(ctx, rdb, coherence.Config{Fleet: "shop", Monitor: monitor})
	check(err)
	cache, err := tiered.New(node, tiered.Config[int64]{Name: "price"})
	check(err)
	return cache, func() { cache.Close(); node.Close(); rdb.Close() }
}

func read(ctx context.Context, who string, c *tiered.Cache[int64], load tiered.Loader[int64]) {
	cents, err := c.Get(ctx, "42", load)
	fmt.Println(who+":", cents, err)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
