package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// admin runs commands on a server, past all proxies.
func admin(ctx context.Context, addr string, use func(context.Context, *redis.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	rdb := redis.NewClient(&redis.Options{
		Addr: addr, ContextTimeoutEnabled: true, ReadTimeout: slack,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	defer rdb.Close()
	return use(ctx, rdb)
}

func do(ctx context.Context, addr string, args ...any) error {
	return admin(ctx, addr, func(ctx context.Context, rdb *redis.Client) error {
		if err := rdb.Do(ctx, args...).Err(); err != nil && err != redis.Nil {
			return fmt.Errorf("%v on %s: %w", args[0], addr, err)
		}
		return nil
	})
}

// commandFaults are what a command to a Redis can do. targets returns the addresses to send it to: of the masters, all
// of one for a random one.
func commandFaults(targets func(context.Context) ([]string, error)) []fault {
	each := func(args ...any) func(context.Context, *thread) error {
		return func(ctx context.Context, _ *thread) error {
			addrs, err := targets(ctx)
			for _, addr := range addrs {
				if err == nil {
					err = do(ctx, addr, args...)
				}
			}
			return err
		}
	}
	return []fault{
		once("pub/sub killed", each("client", "kill", "type", "pubsub")),
		once("SCRIPT FLUSH", each("script", "flush")),
		once("FLUSHALL", func(ctx context.Context, d *thread) error {
			defer d.fleet.record.losing()()
			return each("flushall")(ctx, d)
		}),
		once("bus deleted", func(ctx context.Context, d *thread) error {
			return anyShard(ctx, targets, "del", busKey(d.fleet.name))
		}),
		once("records deleted", func(ctx context.Context, d *thread) error {
			defer d.fleet.record.losing()()
			for _, key := range keyNames[:1+d.dice.below(keys)] {
				if err := anyShard(ctx, targets, "del", d.fleet.redisKey(key)); err != nil {
					return err
				}
			}
			return nil
		}),
		{"out of memory", [2]time.Duration{bound / 2, 2 * bound}, squeeze(targets, "noeviction", func(context.Context, string) (int64, error) { return 1, nil })},
		{"eviction", [2]time.Duration{bound, 2 * bound}, squeeze(targets, "volatile-lru", func(ctx context.Context, addr string) (int64, error) {
			used, err := memory(ctx, addr)
			return used - 64<<10, err
		})},
	}
}

// anyShard sends a command to every shard until one does not redirect it.
func anyShard(ctx context.Context, targets func(context.Context) ([]string, error), args ...any) error {
	addrs, err := targets(ctx)
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		if err = do(ctx, addr, args...); err == nil || !strings.Contains(err.Error(), "MOVED") {
			return err
		}
	}
	return err
}

// squeeze limits the memory of the servers. What a server evicts is lost.
func squeeze(targets func(context.Context) ([]string, error), policy string, limit func(context.Context, string) (int64, error)) func(context.Context, *thread) (func() error, error) {
	return func(ctx context.Context, d *thread) (func() error, error) {
		addrs, err := targets(ctx)
		if err != nil {
			return nil, err
		}
		ended := d.fleet.record.losing()
		heal := func() (err error) {
			defer ended()
			for _, addr := range addrs {
				err = firstOf(err, do(context.Background(), addr, "config", "set", "maxmemory", "0", "maxmemory-policy", "noeviction"))
			}
			return err
		}
		for _, addr := range addrs {
			max, err := limit(ctx, addr)
			if err == nil {
				err = do(ctx, addr, "config", "set", "maxmemory-policy", policy, "maxmemory", max)
			}
			if err != nil {
				return heal, err
			}
		}
		return heal, nil
	}
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func memory(ctx context.Context, addr string) (used int64, err error) {
	err = admin(ctx, addr, func(ctx context.Context, rdb *redis.Client) error {
		info, err := rdb.Info(ctx, "memory").Result()
		if err == nil {
			_, rest, _ := strings.Cut(info, "used_memory:")
			_, err = fmt.Sscan(rest, &used)
		}
		return err
	})
	return used, err
}
