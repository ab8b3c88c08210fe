package redistest

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
)

// A slot goes from one master to another; a client finds its keys all the way, also
// when it has to ask, and both masters agree on the owner at the end.
func TestMigration(t *testing.T) {
	noLeak(t)
	c := RunCluster(t, 3, 0)
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), ContextTimeoutEnabled: true})
	defer rdb.Close()
	for i := range 5 {
		set(t, rdb, fmt.Sprint("{k}", i), "before")
	}
	from, err := c.Owner(t.Context(), "{k}")
	if err != nil {
		t.Fatal(err)
	}
	to := c.Nodes()[0]
	if to == from {
		to = c.Nodes()[1]
	}
	m, err := c.BeginMigration(t.Context(), "{k}", to)
	if err != nil {
		t.Fatal(err)
	}
	wantGet(t, rdb, "{k}0", "before")
	set(t, rdb, "{k}new", "asked")
	if err := direct(from).Get(t.Context(), "{k}new").Err(); !redis.HasErrorPrefix(err, "ASK") {
		t.Errorf("GET of a new key from the old owner: %v, want ASK", err)
	}
	if err := m.Move(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantGet(t, rdb, "{k}0", "before")
	set(t, rdb, "{k}0", "after")
	if err := m.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := direct(from).Get(t.Context(), "{k}0").Err(); !redis.HasErrorPrefix(err, "MOVED") {
		t.Errorf("GET from the old owner: %v, want MOVED", err)
	}
	wantGet(t, rdb, "{k}0", "after")
	wantGet(t, rdb, "{k}new", "asked")
	if now, err := c.Owner(t.Context(), "{k}"); now != to || err != nil {
		t.Errorf("Owner = %v, %v, want %s", now, err, to.Addr())
	}
	if _, err := c.BeginMigration(t.Context(), "{k}", to); err == nil {
		t.Error("a slot can be moved to its own master")
	}
}

func direct(s *Server) *oneShot { return &oneShot{s} }

// oneShot is a client for one command.
type oneShot struct{ *Server }

func (o *oneShot) Get(ctx context.Context, key string) *redis.StringCmd {
	rdb := o.client()
	defer rdb.Close()
	return rdb.Get(ctx, key)
}
