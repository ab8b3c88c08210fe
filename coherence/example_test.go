package coherence_test

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
)

// A process joins its fleet once and shares the node.
func ExampleJoin() {
	server, err := redistest.StartEmbedded() // in place of a real Redis
	if err != nil {
		panic(err)
	}
	defer server.Close()

	opts := &redis.UniversalOptions{Addrs: []string{server.Addr()}}
	monitor := coherence.Instrument(opts)
	rdb := redis.NewUniversalClient(opts)
	defer rdb.Close()

	node, err := coherence.Join(context.Background(), rdb, coherence.Config{
		Fleet:    "shop",
		MaxStale: 2 * time.Second,
		Monitor:  monitor,
		OnEvent:  func(e coherence.Event) { /* count e.Kind, log e.String() */ },
	})
	if err != nil {
		panic(err)
	}
	defer node.Close()

	fmt.Println(node.State())
	// Output: in step
}

// A space keeps anybody's own copies coherent: here a map of parsed rules.
func ExampleSpace() {
	server, err := redistest.StartEmbedded() // in place of a real Redis
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	opts := &redis.UniversalOptions{Addrs: []string{server.Addr()}}
	monitor := coherence.Instrument(opts)
	rdb := redis.NewUniversalClient(opts)
	defer rdb.Close()
	node, err := coherence.Join(ctx, rdb, coherence.Config{Fleet: "shop", Monitor: monitor})
	if err != nil {
		panic(err)
	}
	defer node.Close()
	rules, err := node.Space(coherence.SpaceConfig{Name: "rules"})
	if err != nil {
		panic(err)
	}
	defer rules.Close()

	type copied struct {
		rule  string
		stamp coherence.Stamp
	}
	source := map[string]string{"discount": "10 %"}
	copies := map[string]copied{}
	get := func(id string) string {
		if c, ok := copies[id]; ok && rules.Valid(c.stamp) {
			return c.rule + " (copy)"
		}
		stamp := rules.Stamp(id) // before the first read of the source
		copies[id] = copied{source[id], stamp}
		return source[id] + " (source)"
	}

	fmt.Println(get("discount"))
	fmt.Println(get("discount"))
	source["discount"] = "20 %"
	if err := rules.Announce(ctx, "discount"); err != nil { // after the change
		panic(err)
	}
	fmt.Println(get("discount"))
	// Output:
	// 10 % (source)
	// 10 % (copy)
	// 20 % (source)
}

// Instrument comes before the client is made: it fills in what a cache needs.
func ExampleInstrument() {
	opts := &redis.UniversalOptions{
		Addrs:       []string{"127.0.0.1:6379"},
		ReadTimeout: 100 * time.Millisecond, // what is set stays
	}
	monitor := coherence.Instrument(opts)
	_ = coherence.Config{Fleet: "shop", Monitor: monitor}

	fmt.Println(opts.ContextTimeoutEnabled, opts.DialTimeout, opts.ReadTimeout, opts.MaxRetries)
	// Output: true 500ms 100ms 1
}
