package script

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// A Call is one run of a script. Keys must be all the keys it touches.
type Call struct {
	Script *Script
	Keys   []string
	Args   []any

	// Again, if set, makes the arguments with which Behind repeats a call that has
	// run ahead of one the server had forgotten: for a script that would recognise
	// its token and change nothing the second time.
	Again func() []any
}

// A Result is the outcome of a Call. A nil reply is a nil Value and no error. Other
// values are int64, string and []any, as go-redis returns them.
type Result struct {
	Value any
	Err   error
}

// ErrNotRun is the error of a call that was not sent because those before it had failed.
const ErrNotRun = runError("script: not run, what was to come before it failed")

type runError string

func (e runError) Error() string { return string(e) }

// A Runner runs scripts through one client. It is safe for concurrent use.
//
// Errors of the network and of the server are returned as they are, but never with
// keys or arguments in their text. A call that failed may have run. Runner sets no
// deadlines: those of ctx and of the client hold.
type Runner struct {
	rdb      Client
	pipeline bool        // one connection keeps the order of its commands
	plain    atomic.Bool // a server refused script flags: send none any more
}

// A Client is a client of go-redis or one connection of it.
type Client interface {
	redis.Scripter
	Pipeline() redis.Pipeliner
}

// NewRunner returns a runner that uses rdb and does not close it.
func NewRunner(rdb Client) *Runner {
	_, standalone := rdb.(*redis.Client)
	_, connection := rdb.(*redis.Conn)
	return &Runner{rdb: rdb, pipeline: standalone || connection}
}

// Through returns a context under which every runner sends what Run and Each are
// given through r instead: for calls that must take a certain connection.
func Through(ctx context.Context, r *Runner) context.Context {
	return context.WithValue(ctx, through{}, r)
}

type through struct{}

func (r *Runner) under(ctx context.Context) *Runner {
	if other, ok := ctx.Value(through{}).(*Runner); ok {
		return other
	}
	return r
}

// Run runs s and returns its reply.
func (r *Runner) Run(ctx context.Context, s *Script, keys []string, args ...any) (any, error) {
	result := r.under(ctx).one(ctx, Call{Script: s, Keys: keys, Args: args})
	return result.Value, result.Err
}

// Behind runs first, whose calls do not depend on each other, and then last, and
// returns their results. A standalone client sends them in one pipeline, in which last
// runs whatever became of first; any other client leaves it out, with ErrNotRun, if
// all of first have failed.
//
// If the server has forgotten one of the scripts all of them are run again, so that
// last never takes effect before those ahead of it have.
func (r *Runner) Behind(ctx context.Context, first []Call, last Call) (results []Result, of Result) {
	if len(first) == 0 {
		return nil, r.one(ctx, last)
	}
	if r.pipeline {
		results = make([]Result, len(first)+1)
		r.together(ctx, append(first[:len(first):len(first)], last), results)
		return results[:len(first)], results[len(first)]
	}
	results = r.Each(ctx, first...)
	for _, result := range results {
		if result.Err == nil {
			return results, r.one(ctx, last)
		}
	}
	return results, Result{Err: ErrNotRun}
}

func (r *Runner) together(ctx context.Context, calls []Call, results []Result) {
	mode := byDigest
	for {
		r.send(ctx, mode, calls, results)
		next := mode
		for _, result := range results {
			next = max(next, r.after(mode, result.Err))
		}
		if next == mode {
			return
		}
		mode = next
		for i, call := range calls {
			if call.Again != nil {
				calls[i].Args = call.Again()
			}
		}
	}
}

// Each runs calls that do not depend on each other and returns their results, one for
// each. They travel in one pipeline, which a cluster client splits by node.
func (r *Runner) Each(ctx context.Context, calls ...Call) []Result {
	r = r.under(ctx)
	results := make([]Result, len(calls))
	r.send(ctx, byDigest, calls, results)
	for mode := bySource; mode <= byPlainSource; mode++ {
		r.repeat(ctx, mode, calls, results)
	}
	return results
}

// repeat sends those calls again whose error asks for mode.
func (r *Runner) repeat(ctx context.Context, mode mode, calls []Call, results []Result) {
	var again []Call
	var index []int
	for i, result := range results {
		if r.after(mode-1, result.Err) == mode {
			again, index = append(again, calls[i]), append(index, i)
		}
	}
	if len(again) == 0 {
		return
	}
	repeated := make([]Result, len(again))
	r.send(ctx, mode, again, repeated)
	for i, result := range repeated {
		results[index[i]] = result
	}
}

func (r *Runner) one(ctx context.Context, call Call) Result {
	for mode := byDigest; ; {
		cmd := r.add(ctx, r.rdb, mode, call)
		result := resultOf(cmd)
		next := r.after(mode, result.Err)
		if next == mode {
			return result
		}
		mode = next
	}
}

// mode is how a script is sent. Each is tried only when the one before it was refused,
// and a refused script has not run.
type mode int

const (
	byDigest mode = iota
	bySource
	byPlainSource // without flags
)

// after returns the mode to try after err in mode, or mode itself if err stands.
func (r *Runner) after(mode mode, err error) mode {
	switch {
	case mode == byDigest && redis.HasErrorPrefix(err, "NOSCRIPT"):
		return bySource
	case mode == bySource && refusesFlags(err):
		r.plain.Store(true)
		return byPlainSource
	}
	return mode
}

func (r *Runner) send(ctx context.Context, mode mode, calls []Call, results []Result) {
	if len(calls) == 0 {
		return
	}
	pipe := r.rdb.Pipeline()
	cmds := make([]*redis.Cmd, len(calls))
	for i, call := range calls {
		cmds[i] = r.add(ctx, pipe, mode, call)
	}
	_, _ = pipe.Exec(ctx) // every command has its own error
	for i, cmd := range cmds {
		results[i] = resultOf(cmd)
	}
}

// add sends call to c, or queues it if c is a pipeline.
func (r *Runner) add(ctx context.Context, c redis.Scripter, mode mode, call Call) *redis.Cmd {
	form := call.Script.preferred
	if r.plain.Load() {
		form = call.Script.plain
	}
	if mode == byDigest {
		return c.EvalSha(ctx, form.digest, call.Keys, call.Args...)
	}
	return c.Eval(ctx, form.source, call.Keys, call.Args...)
}

func resultOf(cmd *redis.Cmd) Result {
	value, err := cmd.Result()
	switch {
	case err == nil:
		return Result{Value: value}
	case errors.Is(err, redis.Nil):
		return Result{}
	}
	return Result{Err: withoutArgs(err)}
}

// withoutArgs cuts what a server quotes of a command it does not know: its arguments.
func withoutArgs(err error) error {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return err
	}
	if head, _, found := strings.Cut(reply.Error(), ", with args beginning with"); found {
		return serverError(head)
	}
	return err
}

// serverError is an error reply of a server.
type serverError string

func (e serverError) Error() string { return string(e) }
func (serverError) RedisError()     {}
