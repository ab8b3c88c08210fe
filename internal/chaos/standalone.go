package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// rig is the Redis of a run and the ways to it.
type rig interface {
	address(slot int) Address
	links() []*redistest.Proxy // by slot; none where Redis itself tells the nodes its addresses
	faults() []fault           // of Redis
	Close() error
}

// standalone is one Redis behind a proxy for each node.
type standalone struct {
	addr    string
	fleet   string
	server  *redistest.Server // nil: it is not ours
	harm    bool              // not ours, and yet its data and clients may be harmed
	proxies []*redistest.Proxy
}

// startStandalone starts a private server, or takes the one at addr.
func startStandalone(fleet string, nodes int, addr string, harm bool) (_ rig, err error) {
	s := &standalone{addr: addr, fleet: fleet, harm: harm}
	if addr == "" {
		if s.server, err = redistest.StartServer(); err != nil {
			return nil, err
		}
		s.addr = s.server.Addr()
	}
	for range nodes {
		p, err := redistest.NewProxy(s.addr)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.proxies = append(s.proxies, p)
	}
	return s, nil
}

func (s *standalone) address(slot int) Address {
	return Address{Addrs: []string{s.proxies[slot].Addr()}}
}

func (s *standalone) links() []*redistest.Proxy { return s.proxies }

func (s *standalone) Close() error {
	var errs []error
	for _, p := range s.proxies {
		errs = append(errs, p.Close())
	}
	if s.server != nil {
		return errors.Join(append(errs, s.server.Close())...)
	}
	return errors.Join(append(errs, s.clean())...)
}

// clean removes what the fleet has left in a Redis that is not ours. What else there is expires soon.
func (s *standalone) clean() error {
	args := []any{"del", busKey(s.fleet), nodesKey(s.fleet)}
	for _, key := range slices.Concat(keyNames, shelfNames) {
		args = append(args, redisKey(s.fleet, key))
	}
	return do(context.Background(), s.addr, args...)
}

func (s *standalone) faults() []fault {
	commands := commandFaults(func(context.Context) ([]string, error) { return []string{s.addr}, nil })
	switch {
	case s.server != nil:
		return append(commands, s.serverFaults()...)
	case s.harm:
		return only(commands, []string{"pub/sub killed", "SCRIPT FLUSH", "FLUSHALL", "bus deleted", "records deleted"})
	}
	return only(commands, []string{"bus deleted", "records deleted"}) // our own keys
}

func (s *standalone) serverFaults() []fault {
	frozen := func(kind string, d time.Duration) fault {
		return fault{kind, [2]time.Duration{d, d}, func(context.Context, *thread) (func() error, error) {
			return s.server.Cont, s.server.Stop()
		}}
	}
	return []fault{
		frozen("redis frozen for half the bound", bound/2),
		frozen("redis frozen beyond the bound", 2*bound),
		frozen("redis frozen beyond the life of a fence", fence*6/5),
		once("redis killed and restarted empty", func(ctx context.Context, d *thread) error {
			return s.restart(ctx, d, true)
		}),
		once("redis killed and restarted on an old snapshot", func(ctx context.Context, d *thread) error {
			return s.rewind(ctx, d, 1)
		}),
		once("redis killed and restarted twice on one snapshot", func(ctx context.Context, d *thread) error {
			return s.rewind(ctx, d, 2)
		}),
		once("redis killed and restarted on its append-only file", s.replay),
	}
}

// restart kills the server and starts another process a while later.
func (s *standalone) restart(ctx context.Context, d *thread, empty bool) error {
	defer d.fleet.record.losing()()
	if err := s.server.Kill(); err != nil {
		return err
	}
	_ = sleep(ctx, d.dice.between(0, bound)) // the end of the run finds the server up
	return s.server.Restart(empty)
}

// rewind restarts the server on a snapshot that is old by then.
func (s *standalone) rewind(ctx context.Context, d *thread, times int) error {
	if err := s.server.Save(); err != nil {
		return err
	}
	for range times {
		_ = sleep(ctx, d.dice.between(bound/2, bound*3/2))
		if err := s.restart(ctx, d, false); err != nil {
			return err
		}
	}
	return nil
}

// replay restarts the server with nothing lost: what it had answered was in the file.
func (s *standalone) replay(ctx context.Context, d *thread) error {
	if err := do(ctx, s.addr, "config", "set", "appendonly", "yes"); err != nil {
		return err
	}
	if err := await(ctx, "the append-only file is complete", slack, func() error { return s.complete(ctx) }); err != nil {
		return err
	}
	_ = sleep(ctx, d.dice.between(0, bound))
	if err := s.server.Kill(); err != nil {
		return err
	}
	_ = sleep(ctx, d.dice.between(0, bound))
	if err := s.server.RestartWith("--appendonly", "yes"); err != nil {
		return err
	}
	return do(context.WithoutCancel(ctx), s.addr, "config", "set", "appendonly", "no")
}

// complete returns an error while the server is writing the base of its append-only file.
func (s *standalone) complete(ctx context.Context) error {
	return admin(ctx, s.addr, func(ctx context.Context, rdb *redis.Client) error {
		info, err := rdb.Info(ctx, "persistence").Result()
		for _, want := range []string{"aof_enabled:1", "aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0", "aof_last_bgrewrite_status:ok"} {
			if err == nil && !strings.Contains(info, want) {
				err = fmt.Errorf("INFO does not say %s", want)
			}
		}
		return err
	})
}
