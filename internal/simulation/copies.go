package simulation

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// copies makes Redis execute commands twice, as a client does that has lost a reply: at once, or after
// others have done whole updates (I13).
type copies struct {
	twice atomic.Bool
	late  atomic.Pointer[func(send func())] // runs send later
}

// isCopy marks the context of a late copy, which is not copied again.
type isCopy struct{}

func (c *copies) before(ctx context.Context, send func()) {
	if ctx.Value(isCopy{}) == nil && c.twice.Load() {
		send()
	}
}

func (c *copies) after(ctx context.Context, rdb redis.UniversalClient, cmds ...redis.Cmder) {
	later := c.late.Load()
	if later == nil || ctx.Value(isCopy{}) != nil {
		return
	}
	var again []*redis.Cmd
	ctx = context.WithValue(context.Background(), isCopy{}, true)
	for _, cmd := range cmds {
		if name := cmd.Name(); name == "evalsha" || name == "eval" || name == "set" {
			again = append(again, redis.NewCmd(ctx, cmd.Args()...))
		}
	}
	if len(again) == 0 {
		return
	}
	(*later)(func() {
		for _, cmd := range again {
			_ = rdb.Process(ctx, cmd) // nobody waits for it
		}
	})
}
