package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// RestartWith is Restart(false) with further arguments for this one process: they overrule the usual ones.
func (s *Server) RestartWith(args ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return errClosed
	}
	if err := s.kill(); err != nil {
		return err
	}
	usual := s.command
	defer func() { s.command = usual }()
	s.command = func(port int, dir string) ([]string, error) {
		all, err := usual(port, dir)
		return append(all, args...), err
	}
	return s.start()
}

// Promoted waits until every sentinel names another master than former, and that one is a master.
func (s *Sentinel) Promoted(ctx context.Context, former *Server) error {
	heir := s.other(former)
	for _, node := range s.sentinels {
		if err := poll(ctx, func() error { return names(ctx, node, heir) }); err != nil {
			return err
		}
	}
	return poll(ctx, func() error { return plays(ctx, heir, "master") })
}

// Rejoin starts the server of the pair that is down, if one is, and waits until the one that is not the master is
// its replica, holds its data, and is known to every sentinel as fit for the next failover. The sentinels may change
// their minds meanwhile, should the machine keep a master from answering for some seconds.
func (s *Sentinel) Rejoin(ctx context.Context) error {
	return poll(ctx, func() error {
		master, err := s.Current(ctx)
		if err != nil {
			return err
		}
		replica := s.other(master)
		if replica.Pid() == 0 {
			host, port, err := net.SplitHostPort(master.Addr())
			if err != nil {
				return err
			}
			if err := replica.RestartWith("--replicaof", host, port); err != nil {
				return err
			}
		}
		errs := []error{plays(ctx, replica, "slave"), replicates(ctx, replica)}
		for _, node := range s.sentinels {
			errs = append(errs, fit(ctx, node, replica))
		}
		return errors.Join(errs...)
	})
}

func (s *Sentinel) other(server *Server) *Server {
	if server == s.master {
		return s.replica
	}
	return s.master
}

// names returns an error unless the sentinel names the server master.
func names(ctx context.Context, sentinel, server *Server) error {
	addr, err := masterAddr(ctx, sentinel)
	if err == nil && addr != server.Addr() {
		err = fmt.Errorf("redistest: sentinel %s names %s", sentinel.Addr(), addr)
	}
	return err
}

// plays returns an error unless the server has the role.
func plays(ctx context.Context, s *Server, role string) error {
	rdb := s.client()
	defer rdb.Close()
	info, err := rdb.Info(ctx, "replication").Result()
	if err != nil {
		return err
	}
	if got := lookup(info, "role"); got != role {
		return fmt.Errorf("redistest: the role of %s is %q, not %q", s.Addr(), got, role)
	}
	return nil
}

// fit returns an error until the sentinel would promote the replica.
func fit(ctx context.Context, sentinel, replica *Server) error {
	rdb := sentinel.sentinelClient()
	defer rdb.Close()
	known, err := rdb.Replicas(ctx, masterName).Result()
	if err != nil {
		return err
	}
	master, err := rdb.Master(ctx, masterName).Result()
	if err != nil {
		return err
	}
	state := fmt.Sprintf("%d others, of %s:%s, which is %s", len(known), master["ip"], master["port"], master["flags"])
	for _, r := range known {
		if net.JoinHostPort(r["ip"], r["port"]) != replica.Addr() {
			continue
		}
		if r["flags"] == "slave" && r["master-link-status"] == "ok" {
			return nil
		}
		state = fmt.Sprintf("as %s, link to its master %s", r["flags"], r["master-link-status"])
	}
	return fmt.Errorf("redistest: sentinel %s does not know %s as a healthy replica, but %s", sentinel.Addr(), replica.Addr(), state)
}

// Masters returns the master of each shard, in the order of their slots, as the first node that answers sees it.
func (c *Cluster) Masters(ctx context.Context) ([]*Server, error) {
	var errs []error
	for _, node := range c.nodes {
		if node.Pid() == 0 {
			continue
		}
		masters, err := c.mastersBy(ctx, node)
		if err == nil {
			return masters, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (c *Cluster) mastersBy(ctx context.Context, node *Server) ([]*Server, error) {
	rdb := node.client()
	defer rdb.Close()
	shards, err := rdb.ClusterShards(ctx).Result()
	if err != nil {
		return nil, err
	}
	masters := make([]*Server, c.masters)
	for _, shard := range shards {
		for _, held := range shard.Slots {
			for i := range masters {
				if first := int64(i * slots / c.masters); held.Start <= first && first <= held.End {
					masters[i] = c.masterOf(shard)
				}
			}
		}
	}
	for i, m := range masters {
		if m == nil {
			return nil, fmt.Errorf("redistest: %s knows no master of shard %d", node.Addr(), i)
		}
	}
	return masters, nil
}

func (c *Cluster) masterOf(shard redis.ClusterShard) *Server {
	for _, node := range shard.Nodes {
		if node.Role == "master" {
			return c.at(net.JoinHostPort(node.IP, strconv.FormatInt(node.Port, 10)))
		}
	}
	return nil
}

func (c *Cluster) at(addr string) *Server {
	for _, node := range c.nodes {
		if node.Addr() == addr {
			return node
		}
	}
	return nil
}

// Replica returns a running replica of the master.
func (c *Cluster) Replica(ctx context.Context, master *Server) (*Server, error) {
	rdb := master.client()
	defer rdb.Close()
	id, err := rdb.ClusterMyID(ctx).Result()
	if err != nil {
		return nil, err
	}
	replicas, err := rdb.Do(ctx, "cluster", "replicas", id).StringSlice()
	if err != nil {
		return nil, err
	}
	for _, r := range replicas { // <id> <ip:port@cport> <flags> ...
		fields := strings.Fields(r)
		if len(fields) < 3 || strings.Contains(fields[2], "fail") {
			continue
		}
		addr, _, _ := strings.Cut(fields[1], "@")
		if s := c.at(addr); s != nil && s.Pid() != 0 {
			return s, nil
		}
	}
	return nil, fmt.Errorf("redistest: %s has no healthy replica", master.Addr())
}

// Promoted waits until every running node but former knows another master than former for the shard.
func (c *Cluster) Promoted(ctx context.Context, shard int, former *Server) error {
	for _, node := range c.nodes {
		if node == former || node.Pid() == 0 {
			continue
		}
		if err := poll(ctx, func() error {
			masters, err := c.mastersBy(ctx, node)
			if err == nil && masters[shard] == former {
				err = fmt.Errorf("redistest: %s still takes %s for the master of shard %d", node.Addr(), former.Addr(), shard)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// Rejoin starts the nodes that are down and waits until the cluster is whole: every node agrees on every
// shard's master, and each master has a replica that holds its data.
func (c *Cluster) Rejoin(ctx context.Context) error {
	for _, node := range c.nodes {
		if node.Pid() == 0 {
			if err := node.Restart(false); err != nil {
				return err
			}
		}
	}
	return poll(ctx, func() error { return c.whole(ctx) })
}

func (c *Cluster) whole(ctx context.Context) error {
	masters, err := c.Masters(ctx)
	if err != nil {
		return err
	}
	for i, node := range c.nodes {
		seen, err := c.mastersBy(ctx, node)
		if err != nil {
			return err
		}
		role := "slave"
		for shard, m := range masters {
			if seen[shard] != m {
				return fmt.Errorf("redistest: the nodes disagree on shard %d", shard)
			}
			if m == node {
				role = "master"
			}
		}
		if err := plays(ctx, node, role); err != nil {
			return err
		}
		if role == "slave" {
			err = replicates(ctx, node)
		} else {
			_, err = c.Replica(ctx, node)
		}
		if err := errors.Join(err, c.with(i, func(rdb *redis.Client) error {
			return expect(ctx, rdb, "cluster_state", "ok")
		})); err != nil {
			return err
		}
	}
	return nil
}
