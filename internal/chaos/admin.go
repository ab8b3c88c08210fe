package main

import (
	"context"
	"errors"
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

// targets returns the addresses of the masters.
type targets func(context.Context) ([]string, error)

// each sends a command to all of them.
func (t targets) each(args ...any) func(context.Context, *thread) error {
	return func(ctx context.Context, _ *thread) error {
		addrs, err := t(ctx)
		for _, addr := range addrs {
			if err == nil {
				err = do(ctx, addr, args...)
			}
		}
		return err
	}
}

// commandFaults are what commands can do to a Redis.
func commandFaults(masters targets) []fault {
	return []fault{
		once("pub/sub killed", masters.each("client", "kill", "type", "pubsub")),
		once("SCRIPT FLUSH", masters.each("script", "flush")),
		once("FLUSHALL", func(ctx context.Context, d *thread) error {
			defer d.fleet.record.losing()()
			return masters.each("flushall")(ctx, d)
		}),
		once("bus deleted", func(ctx context.Context, d *thread) error {
			return masters.any(ctx, "del", busKey(d.fleet.name))
		}),
		once("records deleted", func(ctx context.Context, d *thread) error {
			defer d.fleet.record.losing()()
			for _, key := range keyNames[:1+d.dice.below(keys)] {
				if err := masters.any(ctx, "del", redisKey(d.fleet.name, key)); err != nil {
					return err
				}
			}
			return nil
		}),
		{"out of memory", [2]time.Duration{bound / 2, 2 * bound}, masters.squeeze("noeviction", func(context.Context, string) (int64, error) { return 1, nil })},
		{"eviction", [2]time.Duration{bound, 2 * bound}, masters.squeeze("volatile-lru", func(ctx context.Context, addr string) (int64, error) {
			used, err := memory(ctx, addr)
			return used - 64<<10, err
		})},
	}
}

// any sends a command to one after the other until it is not redirected.
func (t targets) any(ctx context.Context, args ...any) error {
	addrs, err := t(ctx)
	for _, addr := range addrs {
		if err = do(ctx, addr, args...); err == nil || !strings.Contains(err.Error(), "MOVED") {
			return err
		}
	}
	return err
}

// squeeze limits the memory of the servers. What they evict is lost.
func (t targets) squeeze(policy string, limit func(context.Context, string) (int64, error)) func(context.Context, *thread) (func() error, error) {
	return func(ctx context.Context, d *thread) (func() error, error) {
		addrs, err := t(ctx)
		if err != nil {
			return nil, err
		}
		ended := d.fleet.record.losing()
		heal := func() error {
			defer ended()
			var errs []error
			for _, addr := range addrs {
				errs = append(errs, do(context.Background(), addr, "config", "set", "maxmemory", "0", "maxmemory-policy", "noeviction"))
			}
			return errors.Join(errs...)
		}
		for _, addr := range addrs {
			most, err := limit(ctx, addr)
			if err == nil {
				err = do(ctx, addr, "config", "set", "maxmemory-policy", policy, "maxmemory", most)
			}
			if err != nil {
				return heal, err
			}
		}
		return heal, nil
	}
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
