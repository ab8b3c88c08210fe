package redistest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

const slots = 16384

// Cluster is a Redis Cluster of local processes. A node that is silent for two seconds counts as down.
type Cluster struct {
	masters int
	nodes   []*Server // masters first, then their replicas: replica i follows master i % masters
}

// StartCluster starts a cluster and returns when every node knows every other, reports
// cluster_state:ok, and each replica holds its master's data. It needs three masters for a failover. End it with Close.
func StartCluster(masters, replicasPer int) (*Cluster, error) {
	c := &Cluster{masters: masters}
	if err := c.start(masters * (1 + replicasPer)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// RunCluster is StartCluster for the length of a test. Without a redis-server it does what Need does.
func RunCluster(t testing.TB, masters, replicasPer int) *Cluster {
	t.Helper()
	Need(t, t.Name())
	c, err := StartCluster(masters, replicasPer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close cluster: %v", err)
		}
	})
	return c
}

// Addrs returns the addresses of all nodes, for redis.ClusterOptions.Addrs.
func (c *Cluster) Addrs() []string { return addrs(c.nodes) }

// Nodes returns all nodes: first those that began as masters, in the order of their slots, then the replicas;
// the replica at index masters+i began under master i modulo masters.
func (c *Cluster) Nodes() []*Server { return append([]*Server(nil), c.nodes...) }

// Close ends all processes. Further calls do nothing.
func (c *Cluster) Close() error { return closeAll(c.nodes) }

func (c *Cluster) start(size int) error {
	for range size {
		node, err := StartServer("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, node)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, step := range []func(context.Context) error{c.meet, c.addSlots, c.replicate, c.settle} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("redistest: create cluster: %w", err)
		}
	}
	return nil
}

// meet introduces everybody to the first node; gossip does the rest. Own epochs from the start save
// the nodes the time to settle a conflict.
func (c *Cluster) meet(ctx context.Context) error {
	for i := range c.nodes {
		if err := c.do(ctx, i, "cluster", "set-config-epoch", i+1); err != nil {
			return err
		}
	}
	for i := 1; i < len(c.nodes); i++ {
		if err := c.do(ctx, i, "cluster", "meet", "127.0.0.1", c.nodes[0].Port()); err != nil {
			return err
		}
	}
	return c.all(ctx, func(rdb *redis.Client) error {
		return expect(ctx, rdb, "cluster_known_nodes", strconv.Itoa(len(c.nodes)))
	})
}

func (c *Cluster) addSlots(ctx context.Context) error {
	for i := range c.masters {
		first, last := i*slots/c.masters, (i+1)*slots/c.masters-1
		if err := c.with(i, func(rdb *redis.Client) error {
			return rdb.ClusterAddSlotsRange(ctx, first, last).Err()
		}); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) replicate(ctx context.Context) error {
	for i := c.masters; i < len(c.nodes); i++ {
		var master string
		if err := c.with(i%c.masters, func(rdb *redis.Client) (err error) {
			master, err = rdb.ClusterMyID(ctx).Result()
			return err
		}); err != nil {
			return err
		}
		if err := c.do(ctx, i, "cluster", "replicate", master); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until clients see one cluster, whichever node they ask.
func (c *Cluster) settle(ctx context.Context) error {
	if err := c.all(ctx, func(rdb *redis.Client) error {
		return errors.Join(
			expect(ctx, rdb, "cluster_state", "ok"),
			expect(ctx, rdb, "cluster_slots_ok", strconv.Itoa(slots)),
			c.complete(ctx, rdb))
	}); err != nil {
		return err
	}
	for _, node := range c.nodes[c.masters:] {
		if err := poll(ctx, func() error { return replicates(ctx, node) }); err != nil {
			return err
		}
	}
	return nil
}

// complete returns an error until the node knows every replica as one.
func (c *Cluster) complete(ctx context.Context, rdb *redis.Client) error {
	nodes, err := rdb.ClusterNodes(ctx).Result()
	if err != nil {
		return err
	}
	if known, want := strings.Count(nodes, "slave"), len(c.nodes)-c.masters; known != want {
		return fmt.Errorf("%v knows %d of %d replicas", rdb, known, want)
	}
	return nil
}

// all waits until ready returns no error on any node.
func (c *Cluster) all(ctx context.Context, ready func(*redis.Client) error) error {
	for i := range c.nodes {
		if err := poll(ctx, func() error { return c.with(i, ready) }); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) do(ctx context.Context, node int, args ...any) error {
	return c.with(node, func(rdb *redis.Client) error { return rdb.Do(ctx, args...).Err() })
}

func (c *Cluster) with(node int, use func(*redis.Client) error) error {
	rdb := c.nodes[node].client()
	defer rdb.Close()
	return use(rdb)
}

func expect(ctx context.Context, rdb *redis.Client, field, want string) error {
	info, err := rdb.ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	if got := lookup(info, field); got != want {
		return fmt.Errorf("%v: %s is %q, want %q", rdb, field, got, want)
	}
	return nil
}

// lookup finds a field in lines of name:value.
func lookup(info, field string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
