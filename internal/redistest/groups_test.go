package redistest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestSentinelFailover(t *testing.T) {
	noLeak(t)
	s := RunSentinel(t)
	rdb := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName:            s.MasterName(),
		SentinelAddrs:         s.Addrs(),
		ContextTimeoutEnabled: true,
		DialTimeout:           time.Second,
	})
	defer rdb.Close()
	set(t, rdb, "k", "v")
	wantGet(t, rdb, "k", "v")
	eventually(t, func(ctx context.Context) error { // replication is asynchronous
		replica := s.Replica().client()
		defer replica.Close()
		return replica.Get(ctx, "k").Err()
	})

	if err := s.Master().Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error { return rdb.Set(ctx, "k", "after", 0).Err() })
	wantGet(t, rdb, "k", "after")
	eventually(t, func(ctx context.Context) error { // the sentinels learn it from each other
		if now, err := s.Current(ctx); err != nil || now != s.Replica() {
			return fmt.Errorf("Current = %v, %v, want the former replica", now, err)
		}
		return nil
	})
	if err := s.Master().Restart(true); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error { // the sentinels make it a replica
		if role := roleOf(ctx, s.Master()); role != "slave" {
			return fmt.Errorf("the former master is %q", role)
		}
		return nil
	})
}

func TestCluster(t *testing.T) {
	noLeak(t)
	c := RunCluster(t, 3, 1)
	rdb := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:                      c.Addrs(),
		ContextTimeoutEnabled:      true,
		DialTimeout:                time.Second,
		ClusterStateReloadInterval: time.Second,
	})
	defer rdb.Close()
	for i := range 100 { // over all masters
		set(t, rdb, fmt.Sprint("k", i), fmt.Sprint(i))
	}
	for i := range 100 {
		wantGet(t, rdb, fmt.Sprint("k", i), fmt.Sprint(i))
	}
	nodes := c.Nodes()
	for i, want := range []string{"master", "master", "master", "slave", "slave", "slave"} {
		if role := roleOf(t.Context(), nodes[i]); role != want {
			t.Errorf("node %d is %q, want %s", i, role, want)
		}
	}

	if err := nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		rdb.ReloadState(ctx)
		if role := roleOf(ctx, nodes[3]); role != "master" {
			return errors.New("the replica was not promoted yet")
		}
		for i := range 100 {
			if err := rdb.Set(ctx, fmt.Sprint("k", i), "after", 0).Err(); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestClusterOfMastersOnly(t *testing.T) {
	noLeak(t)
	c := RunCluster(t, 3, 0)
	for i, node := range c.Nodes() {
		rdb := node.client()
		if got := rdb.ClusterInfo(t.Context()).Val(); lookup(got, "cluster_state") != "ok" {
			t.Errorf("node %d: %s", i, got)
		}
		rdb.Close()
	}
}

// roleOf returns "" while the server does not answer.
func roleOf(ctx context.Context, s *Server) string {
	rdb := s.client()
	defer rdb.Close()
	info, _ := rdb.Info(ctx, "replication").Result()
	return lookup(info, "role")
}
