// Cacheaside is the default pattern: read through the cache, load on a miss,
// invalidate after somebody else wrote the source.
//
//	go run ./examples/cacheaside
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

type Product struct {
	ID    string
	Name  string
	Cents int
}

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
	products, err := tiered.New(node, tiered.Config[Product]{Name: "product", TTL: 5 * time.Minute})
	check(err)
	defer products.Close()

	table := map[string]Product{"42": {"42", "Lamp", 1999}}
	load := func(_ context.Context, id string) (Product, error) {
		fmt.Println("  SELECT ... WHERE id =", id)
		p, ok := table[id]
		if !ok {
			return Product{}, tiered.ErrNotFound // remembered for NotFoundTTL
		}
		return p, nil
	}
	show := func(what, id string) {
		p, err := products.Get(ctx, id, load)
		fmt.Printf("%s: %+v %v\n", what, p, err)
	}

	show("first read, from the source", "42")
	show("second read, from memory", "42")
	show("no such product", "43")
	show("known not to exist", "43")

	table["42"] = Product{"42", "Lamp", 1499} // an import job writes past the cache...
	check(products.Invalidate(ctx, "42"))     // ...and tells every process
	show("after the invalidation", "42")
	fmt.Printf("%+v\n", products.Stats())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
