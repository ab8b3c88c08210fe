package simulation

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// step is a place in an Update at which a process can be caught.
type step uint8

const (
	beforeFence  step = iota + 1
	betweenSteps      // the fence stands, and nobody was told
	afterFence        // and everybody was told, but the reply is lost
	beforeUnfence
	afterUnfence // the fence is gone, but the reply is lost
)

func (s step) String() string {
	return [...]string{"nowhere", "before FENCE", "between FENCE and APPEND", "after FENCE and APPEND", "before UNFENCE", "after UNFENCE"}[s]
}

var errTrapped = errors.New("simulation: the connection broke at a trap")

// traps are a client's hook that springs an action at a step, once.
type traps struct {
	rdb    redis.UniversalClient
	copies copies

	mu     sync.Mutex
	at     step
	action func()
}

func (t *traps) arm(at step, action func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at, t.action = at, action
}

func (t *traps) disarm() { t.arm(0, nil) }

// take returns the action if it is set at one of the steps.
func (t *traps) take(steps ...step) (step, func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range steps {
		if t.at == s && s != 0 {
			t.at = 0
			return s, t.action
		}
	}
	return 0, nil
}

func (t *traps) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (t *traps) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		defer t.copies.after(ctx, t.rdb, cmd)
		t.copies.before(ctx, func() { _ = next(ctx, cmd) })
		return next(ctx, cmd)
	}
}

func (t *traps) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		defer t.copies.after(ctx, t.rdb, cmds...)
		t.copies.before(ctx, func() { _ = next(ctx, cmds) })
		return t.pipeline(ctx, cmds, next)
	}
}

func (t *traps) pipeline(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
	at, spring := t.take(stepsOf(cmds)...)
	switch at {
	case 0:
		return next(ctx, cmds)
	case beforeFence, beforeUnfence:
		spring()
		return next(ctx, cmds)
	case betweenSteps:
		_ = next(ctx, cmds[:1]) // its outcome is in the command
		spring()
		cmds[1].SetErr(errTrapped)
		return errTrapped
	}
	_ = next(ctx, cmds)
	spring()
	for _, cmd := range cmds {
		cmd.SetErr(errTrapped)
	}
	return errTrapped
}

// stepsOf recognises the pipelines of an Update: FENCE with APPEND, which names two keys of the bus,
// and UNFENCE with CONFIRM, which names one.
func stepsOf(cmds []redis.Cmder) []step {
	if len(cmds) != 2 {
		return nil
	}
	args := cmds[1].Args()
	if name := cmds[1].Name(); len(args) < 4 || name != "evalsha" && name != "eval" {
		return nil
	}
	if key, _ := args[3].(string); !strings.HasSuffix(key, ":bus") {
		return nil
	}
	if args[2] == 2 {
		return []step{beforeFence, betweenSteps, afterFence}
	}
	return []step{beforeUnfence, afterUnfence}
}
