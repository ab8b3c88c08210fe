package redistest

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// Detour is a hook that sends what its client is asked to another server: it is a pool
// whose connections still lead to a master that was replaced, and lives. The zero Detour
// sends nothing anywhere else. Its methods are safe for concurrent use.
type Detour struct{ to atomic.Pointer[redis.Client] }

// To leads commands to rdb from now on, nil: to the client's own server.
func (d *Detour) To(rdb *redis.Client) { d.to.Store(rdb) }

// DialHook changes nothing.
func (d *Detour) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook redirects single commands.
func (d *Detour) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if rdb := d.to.Load(); rdb != nil {
			return rdb.Process(ctx, cmd)
		}
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook redirects pipelines.
func (d *Detour) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		rdb := d.to.Load()
		if rdb == nil {
			return next(ctx, cmds)
		}
		pipe := rdb.Pipeline()
		for _, cmd := range cmds {
			_ = pipe.Process(ctx, cmd) // queued; Exec has the error
		}
		_, err := pipe.Exec(ctx)
		return err
	}
}
