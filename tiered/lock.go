package tiered

import (
	"context"
	"time"
)

// lock is a lease or a refresh lock to be kept alive.
type lock struct {
	key string // in Redis
	id  string
}

// renewing keeps locks alive until ctx ends or stop is called, which waits for a
// renewal that is under way. One that is lost stays so: what is loaded under it will
// be refused. A load that ends before the first renewal costs a timer and no goroutine.
func (c *Cache[V]) renewing(ctx context.Context, locks ...lock) (stop func()) {
	if len(locks) == 0 {
		return func() {}
	}
	every := c.cfg.LeaseTTL / 3
	turn := make(chan struct{}, 1) // of one renewal at a time; held over a round trip
	var timer *time.Timer
	stopped := false
	turn <- struct{}{}
	timer = time.AfterFunc(every, func() {
		turn <- struct{}{}
		if !stopped && ctx.Err() == nil {
			timer.Reset(every)
			c.remote.renew(ctx, locks)
		}
		<-turn
	})
	<-turn
	return func() {
		timer.Stop()
		turn <- struct{}{}
		stopped = true
		<-turn
	}
}
