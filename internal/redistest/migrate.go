package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Migration is one slot of a Cluster on its way from one master to another, step by step as redis-cli does it:
// BeginMigration, Move, Finish. In between the old owner answers for the keys that it still holds and
// sends everything else to the new one with ASK; after Finish with MOVED. It is not safe for concurrent use.
type Migration struct {
	cluster      *Cluster
	slot         int
	from, to     int // indexes of nodes
	fromID, toID string
}

// Owner returns the master that serves the key's slot, as the first node that answers knows it.
func (c *Cluster) Owner(ctx context.Context, key string) (*Server, error) {
	i, err := c.owner(ctx, key)
	if err != nil {
		return nil, err
	}
	return c.nodes[i], nil
}

// BeginMigration opens the key's slot for a move to another master.
func (c *Cluster) BeginMigration(ctx context.Context, key string, to *Server) (*Migration, error) {
	m := &Migration{cluster: c}
	var err error
	if m.from, err = c.owner(ctx, key); err != nil {
		return nil, err
	}
	for i, node := range c.nodes {
		if node == to {
			m.to = i
		}
	}
	if m.from == m.to {
		return nil, fmt.Errorf("redistest: %s serves the slot of %q already", to.Addr(), key)
	}
	if m.fromID, err = c.id(ctx, m.from); err != nil {
		return nil, err
	}
	if m.toID, err = c.id(ctx, m.to); err != nil {
		return nil, err
	}
	err = c.with(m.from, func(rdb *redis.Client) error {
		slot, err := rdb.ClusterKeySlot(ctx, key).Result()
		m.slot = int(slot)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := c.do(ctx, m.to, "cluster", "setslot", m.slot, "importing", m.fromID); err != nil {
		return nil, err
	}
	return m, c.do(ctx, m.from, "cluster", "setslot", m.slot, "migrating", m.toID)
}

// Move sends the keys of the slot that the old owner holds now, one at a time.
func (m *Migration) Move(ctx context.Context) error {
	return m.cluster.with(m.from, func(rdb *redis.Client) error {
		for {
			keys, err := rdb.ClusterGetKeysInSlot(ctx, m.slot, 1).Result()
			if err != nil || len(keys) == 0 {
				return err
			}
			target := m.cluster.nodes[m.to]
			if err := rdb.Do(ctx, "migrate", "127.0.0.1", target.Port(), keys[0], 0, 5000, "replace").Err(); err != nil {
				return fmt.Errorf("redistest: migrate %q: %w", keys[0], err)
			}
		}
	})
}

// Finish moves what is left and hands the slot over: to the new owner first, so that it is never without one.
func (m *Migration) Finish(ctx context.Context) error {
	if err := m.Move(ctx); err != nil {
		return err
	}
	for _, i := range []int{m.to, m.from} {
		if err := m.cluster.do(ctx, i, "cluster", "setslot", m.slot, "node", m.toID); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) id(ctx context.Context, node int) (id string, err error) {
	err = c.with(node, func(rdb *redis.Client) error {
		id, err = rdb.ClusterMyID(ctx).Result()
		return err
	})
	return id, err
}

// owner asks the nodes in turn: some may be dead.
func (c *Cluster) owner(ctx context.Context, key string) (int, error) {
	var errs []error
	for i := range c.nodes {
		addr, err := c.ownerKnownTo(ctx, i, key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for j, node := range c.nodes {
			if node.Addr() == addr {
				return j, nil
			}
		}
		errs = append(errs, fmt.Errorf("redistest: %s calls %s the owner of %q", c.nodes[i].Addr(), addr, key))
	}
	return 0, errors.Join(errs...)
}

func (c *Cluster) ownerKnownTo(ctx context.Context, node int, key string) (addr string, err error) {
	err = c.with(node, func(rdb *redis.Client) error {
		slot, err := rdb.ClusterKeySlot(ctx, key).Result()
		if err != nil {
			return err
		}
		shards, err := rdb.ClusterShards(ctx).Result()
		if err != nil {
			return err
		}
		for _, shard := range shards {
			if holds(shard, slot) {
				addr = masterOf(shard)
			}
		}
		return nil
	})
	if err == nil && addr == "" {
		err = fmt.Errorf("redistest: %s knows no owner of %q", c.nodes[node].Addr(), key)
	}
	return addr, err
}

func holds(shard redis.ClusterShard, slot int64) bool {
	return slices.ContainsFunc(shard.Slots, func(r redis.SlotRange) bool { return slot >= r.Start && slot <= r.End })
}

func masterOf(shard redis.ClusterShard) string {
	for _, node := range shard.Nodes {
		if node.Role == "master" && node.Health == "online" {
			return net.JoinHostPort(node.IP, strconv.FormatInt(node.Port, 10))
		}
	}
	return ""
}
