// Swr is stale-while-revalidate: a value past its TTL is served at once while
// one node refreshes it, and goes on being served while the source is down.
//
//	go run ./examples/swr
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func main() {
	server, err := redistest.StartEmbedded() // yours: a Redis address
	check(err)
	defer server.Close()
	ctx := context.Background()

	opts := &redis.UniversalOptions{Addrs: []string{server.Addr()}}
	monitor := coherence.Instrument(opts)
	rdb := redis.NewUniversalClient(opts)
	defer rdb.Close()
	node, err := coherence.Join(ctx, rdb, coherence.Config{Fleet: "shop", Monitor: monitor})
	check(err)
	defer node.Close()
	rates, err := tiered.New(node, tiered.Config[int64]{
		Name: "rate", TTL: 300 * time.Millisecond, StaleTTL: time.Hour, Jitter: -1,
	})
	check(err)
	defer rates.Close()

	var asked atomic.Int64
	var down atomic.Bool
	load := func(context.Context, string) (int64, error) { // a slow, rate-limited API
		time.Sleep(200 * time.Millisecond)
		if down.Load() {
			return 0, errors.New("503")
		}
		return asked.Add(1), nil
	}
	read := func(what string) {
		began := time.Now()
		v, err := rates.Get(ctx, "EUR", load)
		fmt.Printf("%-32s answer %d (%v) after %v\n", what, v, err, time.Since(began).Round(time.Millisecond))
	}

	read("cold, waits for the source:")
	read("fresh:")
	time.Sleep(350 * time.Millisecond)
	read("expired, served at once:")
	time.Sleep(350 * time.Millisecond)
	read("refreshed meanwhile:")
	down.Store(true)
	time.Sleep(700 * time.Millisecond)
	read("source down, served stale:")
	fmt.Printf("the source was asked %d times with success\n", asked.Load())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
