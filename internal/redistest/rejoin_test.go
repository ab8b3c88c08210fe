package redistest

import (
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestRestartWith(t *testing.T) {
	noLeak(t)
	s := RunServer(t)
	policy := func() string {
		rdb := dial(t, &redis.Options{Addr: s.Addr()})
		return rdb.ConfigGet(t.Context(), "maxmemory-policy").Val()["maxmemory-policy"]
	}
	usual := policy()
	if err := s.RestartWith("--maxmemory-policy", "volatile-lfu"); err != nil {
		t.Fatal(err)
	}
	if got := policy(); got != "volatile-lfu" {
		t.Errorf("the policy is %q", got)
	}
	if err := s.Restart(false); err != nil {
		t.Fatal(err)
	}
	if got := policy(); got != usual {
		t.Errorf("the policy is %q after a usual restart, want %q", got, usual)
	}
}

// A master is killed twice: the second time it is the one that rejoined after the first.
func TestSentinelRejoin(t *testing.T) {
	noLeak(t)
	s := RunSentinel(t)
	for range 2 {
		master, err := s.Current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := master.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.Promoted(t.Context(), master); err != nil {
			t.Fatal(err)
		}
		heir := s.other(master)
		if role := roleOf(t.Context(), heir); role != "master" {
			t.Fatalf("the other server is %q", role)
		}
		rdb := dial(t, &redis.Options{Addr: heir.Addr()})
		set(t, rdb, "k", master.Addr())
		if err := s.Rejoin(t.Context()); err != nil {
			t.Fatal(err)
		}
		if role := roleOf(t.Context(), master); role != "slave" {
			t.Errorf("the killed server is %q", role)
		}
		wantGet(t, dial(t, &redis.Options{Addr: master.Addr()}), "k", master.Addr())
	}
}

func TestClusterRejoin(t *testing.T) {
	noLeak(t)
	c := RunCluster(t, 3, 1)
	masters, err := c.Masters(t.Context())
	if err != nil || !slices.Equal(masters, c.Nodes()[:3]) {
		t.Fatalf("Masters = %v, %v", masters, err)
	}
	replica, err := c.Replica(t.Context(), masters[1])
	if err != nil || replica != c.Nodes()[4] {
		t.Fatalf("Replica = %v, %v", replica, err)
	}
	for range 2 {
		master := masters[1]
		if err := master.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := c.Promoted(t.Context(), 1, master); err != nil {
			t.Fatal(err)
		}
		if err := c.Rejoin(t.Context()); err != nil {
			t.Fatal(err)
		}
		if masters, err = c.Masters(t.Context()); err != nil || masters[1] == master {
			t.Fatalf("Masters = %v, %v", masters, err)
		}
		if replica, err := c.Replica(t.Context(), masters[1]); err != nil || replica != master {
			t.Errorf("Replica = %v, %v, want the server that was killed", replica, err)
		}
	}
}
