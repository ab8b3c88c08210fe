// Herd lets three nodes with 300 readers each ask for one cold key at once: the
// source is asked once.
//
//	go run ./examples/herd
package main

import (
	"context"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

const nodes, readers = 3, 300

func main() {
	server, err := redistest.StartEmbedded() // yours: a Redis address
	check(err)
	defer server.Close()
	ctx := context.Background()

	var loads atomic.Int64
	report := func(context.Context, string) (string, error) {
		loads.Add(1)
		time.Sleep(100 * time.Millisecond) // an expensive query
		return "report of the day", nil
	}

	var fleet []*tiered.Cache[string]
	for range nodes {
		opts := &redis.UniversalOptions{Addrs: []string{server.Addr()}}
		monitor := coherence.Instrument(opts)
		rdb := redis.NewUniversalClient(opts)
		defer rdb.Close()
		node, err := coherence.Join(ctx, rdb, coherence.Config{Fleet: "shop", Monitor: monitor})
		check(err)
		defer node.Close()
		cache, err := tiered.New(node, tiered.Config[string]{Name: "report"})
		check(err)
		defer cache.Close()
		fleet = append(fleet, cache)
	}

	began := time.Now()
	var wg sync.WaitGroup
	for i := range nodes * readers {
		wg.Go(func() {
			_, err := fleet[i%nodes].Get(ctx, "today", report)
			check(err)
		})
	}
	wg.Wait()
	fmt.Printf("%d reads on %d nodes: %d load of the source (100 ms), all answered after %v\n",
		nodes*readers, nodes, loads.Load(), time.Since(began).Round(time.Millisecond))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
