package main

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

const shards = 3

// cluster is three masters with a replica each.
type cluster struct {
	group *redistest.Cluster
	fleet string
}

func startCluster(fleet string) (rig, error) {
	group, err := redistest.StartCluster(shards, 1)
	if err != nil {
		return nil, err
	}
	return &cluster{group, fleet}, nil
}

func (c *cluster) address(int) Address { return Address{Addrs: c.group.Addrs(), Cluster: true} }

func (c *cluster) links() []*redistest.Proxy { return nil }

func (c *cluster) Close() error { return c.group.Close() }

func (c *cluster) masters(ctx context.Context) ([]string, error) {
	masters, err := c.group.Masters(ctx)
	var addrs []string
	for _, m := range masters {
		addrs = append(addrs, m.Addr())
	}
	return addrs, err
}

func (c *cluster) faults() []fault {
	return append(commandFaults(c.masters),
		once("master killed", c.killMaster),
		once("master killed and restarted empty", c.restartMaster),
		once("CLUSTER FAILOVER of a live master", c.switchMaster),
		once("master frozen, failover", c.freezeMaster),
		fault{"master frozen for half the bound", [2]time.Duration{bound / 2, bound / 2}, c.pauseMaster},
		once("replica killed", c.killReplica),
	)
}

// victim is the master of shard i, modulo the number of shards.
func (c *cluster) victim(ctx context.Context, i int) (*redistest.Server, error) {
	masters, err := c.group.Masters(ctx)
	if err != nil {
		return nil, err
	}
	return masters[i%shards], nil
}

func (c *cluster) promoted(ctx context.Context, i int, former *redistest.Server) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.group.Promoted(ctx, i%shards, former)
}

func (c *cluster) rejoin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.group.Rejoin(ctx)
}

// holds tells which keys are of shard i.
func (c *cluster) holds(ctx context.Context, i int) (func(string) bool, error) {
	var mine = make(map[string]bool)
	err := admin(ctx, c.group.Addrs()[0], func(ctx context.Context, rdb *redis.Client) error {
		for _, key := range keyNames {
			slot, err := rdb.ClusterKeySlot(ctx, redisKey(c.fleet, key)).Result()
			if err != nil {
				return err
			}
			mine[key] = int(slot)*shards/16384 == i%shards
		}
		return nil
	})
	return func(key string) bool { return mine[key] }, err
}

func (c *cluster) pause() time.Duration { return 0 }

// on runs do with the master of a random shard.
func (c *cluster) on(ctx context.Context, d *thread, do func(shard int, master *redistest.Server) error) error {
	shard := d.dice.below(shards)
	master, err := c.victim(ctx, shard)
	if err != nil {
		return err
	}
	defer d.fleet.record.losing()()
	return do(shard, master)
}

func (c *cluster) killMaster(ctx context.Context, d *thread) error {
	return c.on(ctx, d, func(shard int, master *redistest.Server) error {
		if err := master.Kill(); err != nil {
			return err
		}
		return c.recover(ctx, shard, master)
	})
}

// restartMaster is a supervisor that is faster than the failover: the master is back with nothing.
func (c *cluster) restartMaster(ctx context.Context, d *thread) error {
	return c.on(ctx, d, func(_ int, master *redistest.Server) error {
		if err := master.Restart(true); err != nil {
			return err
		}
		return c.rejoin(ctx)
	})
}

// switchMaster swaps a master that is well with its replica.
func (c *cluster) switchMaster(ctx context.Context, d *thread) error {
	return c.on(ctx, d, func(shard int, master *redistest.Server) error {
		replica, err := c.group.Replica(ctx, master)
		if err == nil {
			err = do(ctx, replica.Addr(), "cluster", "failover")
		}
		if err != nil {
			return err
		}
		// A replica gives up after five seconds if it cannot catch up.
		short, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := c.promoted(short, shard, master); err != nil && ctx.Err() == nil {
			return errNoChance
		}
		if err := c.rejoin(ctx); err != nil {
			return err
		}
		// Connections to the former master are to have ended before it can be promoted again. See the caveats of
		// package coherence.
		return sleep(ctx, 2*connLife)
	})
}

func (c *cluster) freezeMaster(ctx context.Context, d *thread) error {
	return c.on(ctx, d, func(shard int, master *redistest.Server) error {
		if err := master.Stop(); err != nil {
			return err
		}
		promoted := c.promoted(ctx, shard, master)
		if err := errors.Join(promoted, master.Cont()); err != nil {
			return err
		}
		return c.rejoin(ctx)
	})
}

func (c *cluster) pauseMaster(ctx context.Context, d *thread) (func() error, error) {
	master, err := c.victim(ctx, d.dice.below(shards))
	if err != nil {
		return nil, err
	}
	return master.Cont, master.Stop()
}

func (c *cluster) killReplica(ctx context.Context, d *thread) error {
	master, err := c.victim(ctx, d.dice.below(shards))
	if err != nil {
		return err
	}
	replica, err := c.group.Replica(ctx, master)
	if err != nil {
		return err
	}
	if err := replica.Kill(); err != nil {
		return err
	}
	return c.rejoin(ctx)
}

func (c *cluster) recover(ctx context.Context, shard int, former *redistest.Server) error {
	if err := c.promoted(ctx, shard, former); err != nil {
		return err
	}
	return c.rejoin(ctx)
}
