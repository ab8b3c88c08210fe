package redistest

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"
)

// A forsaken replica keeps what it has, learns nothing more, and follows again when
// it is told to.
func TestForsake(t *testing.T) {
	noLeak(t)
	master := RunServer(t)
	replica := RunServer(t, "--replicaof", "127.0.0.1", strconv.Itoa(master.Port()))
	eventually(t, func(ctx context.Context) error { return replicates(ctx, replica) })
	rdb := master.client()
	defer rdb.Close()
	set(t, rdb, "k", "old")
	reads := func(want string) func(context.Context) error {
		return func(ctx context.Context) error {
			if got := direct(replica).Get(ctx, "k").Val(); got != want {
				return errors.New("the replica has " + got)
			}
			return nil
		}
	}
	eventually(t, reads("old"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := replica.Forsake(ctx); err != nil {
		t.Fatal(err)
	}
	set(t, rdb, "k", "new")
	<-time.After(1500 * time.Millisecond) // a replica dials its master once a second
	if err := reads("old")(ctx); err != nil {
		t.Error(err)
	}
	if err := replica.Reconcile(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, reads("new"))
}
