package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// backend is the Redis of a run, as far as the director does things to it.
type backend interface {
	Addr() string
	// Save keeps a snapshot for ReviveOld.
	Save() error
	// Crash ends it at once; nothing is flushed.
	Crash() error
	// Revive brings it back empty, ReviveOld on the last snapshot. ReviveOld
	// returns errNoSnapshot where that is impossible.
	Revive(ctx context.Context) error
	ReviveOld() error
	Close() error
}

var errNoSnapshot = errors.New("a Redis that is not ours cannot be put back to a snapshot")

// openBackend starts the Redis the flags ask for. The director's links exist
// only later, so an external Redis gets them by a function.
func openBackend(o options, fleet string, links func() []*relay) (backend, error) {
	switch o.backendKind() {
	case "external":
		outside, err := openExternal(o.redis, fleet, links)
		if err != nil {
			return nil, err
		}
		return outside, nil
	case "redis-server":
		server, err := redistest.StartServer()
		if err != nil {
			return nil, err
		}
		return &serverBackend{server}, nil
	}
	server, err := redistest.StartEmbedded()
	if err != nil {
		return nil, err
	}
	return &embeddedBackend{Embedded: server}, nil
}

// embeddedBackend is miniredis inside the director.
type embeddedBackend struct {
	*redistest.Embedded
	snapshot redistest.Snapshot
}

func (b *embeddedBackend) Save() error {
	b.snapshot = b.Snapshot()
	return nil
}

func (b *embeddedBackend) Crash() error {
	b.Embedded.Crash()
	return nil
}

func (b *embeddedBackend) Revive(context.Context) error { return b.RestartEmpty() }

func (b *embeddedBackend) ReviveOld() error { return b.Restore(b.snapshot) }

func (b *embeddedBackend) Close() error {
	b.Embedded.Close()
	return nil
}

// serverBackend is a redis-server process of our own.
type serverBackend struct{ *redistest.Server }

func (b *serverBackend) Crash() error { return b.Kill() }

func (b *serverBackend) Revive(context.Context) error { return b.Restart(true) }

func (b *serverBackend) ReviveOld() error { return b.Restart(false) }

// external is a Redis somebody else runs. It is not ours to kill: its crash is
// played by cutting every node's link, its empty return by removing our keys.
type external struct {
	rdb   *redis.Client
	fleet string
	links func() []*relay
}

func openExternal(addr, fleet string, links func() []*relay) (*external, error) {
	rdb := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	if err := rdb.Ping(ctx).Err(); err != nil {
		rdb.Close()
		return nil, fmt.Errorf("redis at %s: %w", addr, err)
	}
	return &external{rdb, fleet, links}, nil
}

func (b *external) Addr() string { return b.rdb.Options().Addr }

func (b *external) Save() error { return errNoSnapshot }

func (b *external) ReviveOld() error { return errNoSnapshot }

func (b *external) Crash() error {
	for _, l := range b.links() {
		l.sever()
	}
	return nil
}

func (b *external) Revive(ctx context.Context) error {
	err := b.clean(ctx)
	for _, l := range b.links() {
		l.mend()
	}
	return err
}

func (b *external) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	return errors.Join(b.clean(ctx), b.rdb.Close())
}

// clean removes the keys of this run: the fleet's name is unique.
func (b *external) clean(ctx context.Context) error {
	for _, pattern := range []string{b.fleet + ":*", "{" + b.fleet + "}:*", b.fleet + textbookSuffix + ":*"} {
		keys := b.rdb.Scan(ctx, 0, pattern, 1000).Iterator()
		for keys.Next(ctx) {
			if err := b.rdb.Del(ctx, keys.Val()).Err(); err != nil {
				return err
			}
		}
		if err := keys.Err(); err != nil {
			return err
		}
	}
	return nil
}
