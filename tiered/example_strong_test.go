package tiered_test

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

// openPermissions is a process with a cache of permissions.
func openPermissions(addr string) (*tiered.Cache[bool], func()) {
	opts := &redis.UniversalOptions{Addrs: []string{addr}, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second}
	monitor := coherence.Instrument(opts)
	rdb := redis.NewUniversalClient(opts)
	node, err := coherence.Join(context.Background(), rdb, coherence.Config{
		Fleet: "shop", Monitor: monitor, Timeout: 5 * time.Second,
		OnEvent: func(coherence.Event) {},
	})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tiered.New(node, tiered.Config[bool]{
		Name:        "may-refund",
		Consistency: tiered.Strong,
	})
	if err != nil {
		log.Fatal(err)
	}
	return cache, func() { cache.Close(); node.Close(); rdb.Close() }
}

// Once a permission is revoked no process grants it any more, though all of them
// answer from their own memory. (The first write of a fleet that has just come up waits
// for FenceTTL.)
func ExampleConsistency() {
	server, err := redistest.StartEmbedded() // your Redis
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	here, closeHere := openPermissions(server.Addr())
	defer closeHere()
	there, closeThere := openPermissions(server.Addr())
	defer closeThere()

	granted := map[string]bool{"carol": true}
	load := func(_ context.Context, user string) (bool, error) { return granted[user], nil }
	ctx := context.Background()
	may, _ := there.Get(ctx, "carol", load)
	fmt.Println(may)

	_, err = here.Update(ctx, "carol", func(_ context.Context, user string) (bool, error) {
		granted[user] = false
		return false, nil
	})
	if err != nil {
		log.Fatal(err) // ErrNotWritten: nothing has changed, try again
	}
	may, _ = there.Get(ctx, "carol", load)
	fmt.Println(may)
	// Output:
	// true
	// false
}

// A customer's own write is seen by the next request, whichever process serves it.
func ExampleIssue() {
	cache, done := openShop()
	defer done()
	db := products{"42": {"kettle", 1900}}
	ctx := context.Background()

	var token tiered.Token
	_, err := cache.Update(ctx, "42", func(_ context.Context, id string) (Product, error) {
		return db.setPrice(id, 1500), nil
	}, tiered.Issue(&token))
	if err != nil {
		log.Fatal(err)
	}
	cookie := token.String()

	seen, err := tiered.ParseToken(cookie) // in the next request, elsewhere
	if err != nil {
		log.Fatal(err)
	}
	p, err := cache.Get(ctx, "42", db.byID, tiered.AtLeast(seen))
	fmt.Println(p.Cents, err)
	// Output:
	// database: write 42
	// 1500 <nil>
}

// A writer shows its fence to the database, which refuses it if it comes too late.
func ExampleFenceFrom() {
	cache, done := openShop()
	defer done()

	_, err := cache.Update(context.Background(), "42", func(ctx context.Context, id string) (Product, error) {
		fence, ok := tiered.FenceFrom(ctx)
		fmt.Println(ok, fence.Token > 0, time.Until(fence.Deadline) > 0)
		// UPDATE product SET cents = ?, fence = ? WHERE id = ? AND fence < ?
		return Product{"kettle", 1500}, nil
	})
	fmt.Println(err)
	// Output:
	// true true true
	// <nil>
}
