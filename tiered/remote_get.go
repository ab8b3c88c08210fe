package tiered

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	"github.com/redis/go-redis/v9"
)

// get reads keys in one round trip and says of each what was found, or why not:
// one GET, one MGET, or a pipeline of GETs, which a cluster client splits by node.
func (r *remote) get(ctx context.Context, keys []string, found func(i int, rec record, err error)) {
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	switch {
	case len(keys) == 1:
		rec, err := read(r.rdb.Get(ctx, keys[0]))
		found(0, rec, err)
	case !r.single || r.apart.Load() || !r.getTogether(ctx, keys, found):
		r.getApart(ctx, keys, found)
	}
}

// getTogether reads keys by MGET. False: the server does not take it, because it
// is a shard of a cluster or because of the user's rights, and nothing was found.
func (r *remote) getTogether(ctx context.Context, keys []string, found func(i int, rec record, err error)) bool {
	values, err := r.rdb.MGet(ctx, keys...).Result()
	if redis.HasErrorPrefix(err, "CROSSSLOT") || redis.HasErrorPrefix(err, "NOPERM") || redis.HasErrorPrefix(err, "unknown command") {
		r.apart.Store(true)
		return false
	}
	if err == nil && len(values) != len(keys) {
		err = fmt.Errorf("tiercache: MGET of %d keys answered %d", len(keys), len(values))
	}
	if err != nil && len(keys) > 1 { // perhaps it took too long: ask for half as many
		r.expect(2 * batchBytes / len(keys))
	}
	for i := range keys {
		if err != nil {
			found(i, record{}, err)
			continue
		}
		switch v := values[i].(type) {
		case string:
			r.expect(len(v))
			found(i, classify(bytesOf(v)), nil)
		case nil: // or of a foreign type
			found(i, record{}, nil)
		default:
			found(i, record{}, fmt.Errorf("tiercache: MGET answered %T", v))
		}
	}
	return true
}

// expect notes the size of a value. What is expected follows it: up at once, down by and
// by.
func (r *remote) expect(size int) {
	if now, s := r.size.Load(), int64(size); s != now {
		r.size.Store(max(s, now-(now-s)/64))
	}
}

// most is how many values one round trip asks for: as many as are expected to travel
// well within a Timeout.
func (r *remote) most() int {
	return int(min(max(batchBytes/max(r.size.Load(), 1), 1), pipelined))
}

func (r *remote) getApart(ctx context.Context, keys []string, found func(i int, rec record, err error)) {
	pipe := r.rdb.Pipeline()
	cmds := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		cmds[i] = pipe.Get(ctx, key)
	}
	_, _ = pipe.Exec(ctx) // every command has its own error
	for i, cmd := range cmds {
		rec, err := read(cmd)
		r.expect(len(rec.raw))
		found(i, rec, err)
	}
}

func read(cmd *redis.StringCmd) (record, error) {
	raw, err := cmd.Bytes()
	switch {
	case err == nil:
		return classify(raw), nil
	case errors.Is(err, redis.Nil), redis.HasErrorPrefix(err, "WRONGTYPE"):
		return record{}, nil
	}
	return record{}, err
}

// bytesOf returns the bytes of a reply without copying them, as StringCmd.Bytes
// does: nobody else has the string.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
