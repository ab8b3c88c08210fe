package tiered_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// Hits are checked in production, and the figures of all nodes add up to the
// fleet's.
func ExampleConfig_audit() {
	cache, done := openShop(func(c *tiered.Config[Product]) {
		c.Audit = tiered.Audit[Product]{
			Sample:    1, // 0.001 on a busy cache
			Rate:      1_000_000,
			Pending:   1000,
			OnFinding: func(f tiered.Finding) { fmt.Println("finding:", f) },
		}
	})
	defer done()
	db := products{"42": {"Teapot", 1999}}
	for cache.Stats().Audit.Sampled < 1000 {
		if _, err := cache.Get(context.Background(), "42", db.byID); err != nil {
			fmt.Println(err)
			return
		}
	}
	for cache.Stats().Audit.Redis.Pending > 0 {
		time.Sleep(time.Millisecond) // or wait for the next scrape
	}

	var fleet tiered.AuditStats
	for _, node := range []*tiered.Cache[Product]{cache} { // in truth, what each node has exported
		fleet = fleet.Merge(node.Stats().Audit)
	}
	_, nines := fleet.Redis.Nines()
	fmt.Println(fleet.Redis.Checked(), "hits checked,", fleet.Redis.Outcomes[tiered.AuditStale], "stale")
	fmt.Printf("at least %.1f nines with a confidence of 95 %%\n", nines)
	// Output:
	// database: read 42
	// 1000 hits checked, 0 stale
	// at least 2.5 nines with a confidence of 95 %
}
