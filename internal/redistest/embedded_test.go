package redistest

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
)

// overBoth runs a test over TCP and over memory.
func overBoth(t *testing.T, test func(t *testing.T, e *Embedded, opts func() *redis.Options)) {
	t.Run("tcp", func(t *testing.T) {
		noLeak(t)
		e := RunEmbedded(t)
		test(t, e, func() *redis.Options { return clientOptions(e.Addr()) })
	})
	t.Run("memory", func(t *testing.T) {
		noLeak(t)
		e := RunPipe(t)
		test(t, e, func() *redis.Options { return e.Link().Options().Simple() })
	})
}

func TestEmbeddedLives(t *testing.T) {
	overBoth(t, func(t *testing.T, e *Embedded, opts func() *redis.Options) {
		rdb, addr := dial(t, opts()), e.Addr()
		set(t, rdb, "k", "old")
		snap := e.Snapshot()
		set(t, rdb, "k", "new")
		first, firstRepl, _ := e.Identity()

		e.Crash()
		if err := rdb.Ping(t.Context()).Err(); err == nil {
			t.Fatal("PING of a crashed server succeeded")
		}
		if err := e.Restart(); err != nil {
			t.Fatal(err)
		}
		wantPing(t, rdb)
		wantGet(t, rdb, "k", "new")
		second, secondRepl, role := e.Identity()
		if first == second || firstRepl == secondRepl || role != "master" || len(second) != 40 || len(secondRepl) != 40 {
			t.Fatalf("identity after a restart: %q, %q, %q; before: %q, %q", second, secondRepl, role, first, firstRepl)
		}

		for range 2 { // a snapshot serves more than once
			if err := e.Restore(snap); err != nil {
				t.Fatal(err)
			}
			reconnect(t, rdb)
			wantGet(t, rdb, "k", "old")
			set(t, rdb, "k", "newer")
		}

		if err := e.RestartEmpty(); err != nil {
			t.Fatal(err)
		}
		reconnect(t, rdb)
		wantMissing(t, rdb, "k")
		if e.Addr() != addr {
			t.Errorf("Addr = %s after restarts, was %s", e.Addr(), addr)
		}
	})
}

// reconnect uses up the connections that died with the former process.
func reconnect(t *testing.T, rdb *redis.Client) {
	t.Helper()
	eventually(t, func(ctx context.Context) error { return rdb.Ping(ctx).Err() })
}

func TestEmbeddedRestartEndsConnectionsAndScripts(t *testing.T) {
	overBoth(t, func(t *testing.T, e *Embedded, opts func() *redis.Options) {
		rdb := dial(t, opts())
		sha, err := rdb.ScriptLoad(t.Context(), "return 1").Result()
		if err != nil {
			t.Fatal(err)
		}
		sub := subscribe(t, rdb)
		if err := e.Restore(e.Snapshot()); err != nil {
			t.Fatal(err)
		}
		if msg, err := sub.ReceiveTimeout(t.Context(), patience); err == nil {
			t.Fatalf("a subscription outlived the process: %v", msg)
		}
		reconnect(t, rdb)
		if err := rdb.EvalSha(t.Context(), sha, nil).Err(); !redis.HasErrorPrefix(err, "NOSCRIPT") {
			t.Fatalf("EVALSHA after a restart: %v, want NOSCRIPT", err)
		}
	})
}

func TestEmbeddedCloseIsFinal(t *testing.T) {
	noLeak(t)
	e := RunEmbedded(t)
	e.Close()
	e.Close()
	if err := e.Restart(); !errors.Is(err, errClosed) {
		t.Errorf("Restart after Close: %v, want %v", err, errClosed)
	}
	if conn, err := e.Dial(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Dial after Close = %v, %v, want %v", conn, err, syscall.ECONNREFUSED)
	}
	if conn, err := net.Dial("tcp", e.Addr()); err == nil {
		t.Errorf("a closed server still listens: %v", conn.Close())
	}
}

func TestEmbeddedInfo(t *testing.T) {
	noLeak(t)
	e := RunPipe(t)
	rdb := dial(t, e.Link().Options().Simple())
	e.SetIdentity("run", "repl", "slave")
	tests := []struct {
		sections     []string
		server, repl bool
	}{
		{nil, true, true},
		{[]string{"server"}, true, false},
		{[]string{"REPLICATION"}, false, true},
		{[]string{"server", "replication"}, true, true},
		{[]string{"everything"}, true, true},
		{[]string{"keyspace"}, false, false},
	}
	for _, tt := range tests {
		info, err := rdb.Info(t.Context(), tt.sections...).Result()
		if err != nil {
			t.Errorf("INFO %v: %v", tt.sections, err)
		}
		for _, line := range []string{"run_id:run\r\n", "redis_mode:standalone\r\n", "redis_version:6.2.0\r\n"} {
			if strings.Contains(info, line) != tt.server {
				t.Errorf("INFO %v: %q shown: %v, want %v", tt.sections, line, !tt.server, tt.server)
			}
		}
		for _, line := range []string{"role:slave\r\n", "master_replid:repl\r\n"} {
			if strings.Contains(info, line) != tt.repl {
				t.Errorf("INFO %v: %q shown: %v, want %v", tt.sections, line, !tt.repl, tt.repl)
			}
		}
	}
	inScript, err := rdb.Eval(t.Context(), "return redis.call('INFO', 'server')", nil).Text()
	if err != nil || !strings.Contains(inScript, "run_id:run") {
		t.Errorf("INFO in a script = %q, %v", inScript, err)
	}
	if m, err := rdb.InfoMap(t.Context()).Result(); err != nil || m["Replication"]["role"] != "slave" {
		t.Errorf("InfoMap = %v, %v", m, err)
	}
}

func TestEmbeddedRole(t *testing.T) {
	noLeak(t)
	e := RunPipe(t)
	rdb := dial(t, e.Link().Options().Simple())
	for _, role := range []string{"master", "slave"} {
		e.SetIdentity(freshID(), freshID(), role)
		got, err := rdb.Do(t.Context(), "role").Slice()
		if err != nil || got[0] != role {
			t.Errorf("ROLE = %v, %v, want %s", got, err, role)
		}
	}
	wantPing(t, rdb) // the replies were well formed
}

func TestEmbeddedSetErrorKeepsIdentity(t *testing.T) {
	noLeak(t)
	e := RunPipe(t)
	rdb := dial(t, e.Link().Options().Simple())
	wantPing(t, rdb)
	e.SetError("LOADING Redis is loading the dataset in memory")
	if err := rdb.Ping(t.Context()).Err(); !redis.IsLoadingError(err) {
		t.Errorf("PING: %v, want LOADING", err)
	}
	e.SetError("")
	if err := rdb.Info(t.Context(), "server").Err(); err != nil {
		t.Errorf("INFO after SetError: %v", err)
	}
}

func TestEmbeddedIntercept(t *testing.T) {
	noLeak(t)
	e := RunPipe(t)
	rdb := dial(t, e.Link().Options().Simple())
	set(t, rdb, "k", "v")
	e.Intercept(func(c *server.Peer, cmd string, args ...string) bool {
		if cmd == "SET" {
			c.WriteError("OOM command not allowed when used memory > 'maxmemory'.")
			return true
		}
		return false
	})
	if err := rdb.Set(t.Context(), "k", "w", 0).Err(); !redis.IsOOMError(err) {
		t.Errorf("SET: %v, want OOM", err)
	}
	wantGet(t, rdb, "k", "v")
	e.Intercept(nil)
	set(t, rdb, "k", "w")
}

func TestSnapshotKeepsTypesAndTTLs(t *testing.T) {
	noLeak(t)
	e := RunPipe(t)
	e.SetTime(time.Unix(1_000_000, 0)) // a clock that stands still unless told
	rdb := dial(t, e.Link().Options().Simple())
	ctx, binary := t.Context(), "\x00\xff\r\n\"$-1"+strings.Repeat("x", 20_000)
	set(t, rdb, "string", binary)
	for _, err := range []error{
		rdb.HSet(ctx, "hash", "f", binary, "g", "2").Err(),
		rdb.ZAdd(ctx, "zset", redis.Z{Score: 1.25, Member: "a"}, redis.Z{Score: 1e15, Member: binary}).Err(),
		rdb.Set(ctx, "minute", "v", time.Minute).Err(),
		rdb.Set(ctx, "hour", "v", time.Hour).Err(),
		rdb.PExpire(ctx, "hash", 90*time.Minute).Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	snap := e.Snapshot()
	e.FlushAll()
	e.SetTime(time.Unix(1_000_000, 0).Add(10 * time.Minute)) // expiry goes on while the dump lies around
	if err := e.Restore(snap); err != nil {
		t.Fatal(err)
	}
	reconnect(t, rdb)
	wantGet(t, rdb, "string", binary)
	wantMissing(t, rdb, "minute")
	if got := rdb.HGetAll(ctx, "hash").Val(); len(got) != 2 || got["f"] != binary || got["g"] != "2" {
		t.Errorf("hash = %.100q", got)
	}
	zset := []redis.Z{{Score: 1.25, Member: "a"}, {Score: 1e15, Member: binary}}
	if got := rdb.ZRangeWithScores(ctx, "zset", 0, -1).Val(); !slices.Equal(got, zset) {
		t.Errorf("zset = %.100v", got)
	}
	ttls := map[string]time.Duration{"string": -1, "zset": -1, "hour": 50 * time.Minute, "hash": 80 * time.Minute}
	for key, want := range ttls {
		if got := rdb.PTTL(ctx, key).Val(); got != want {
			t.Errorf("PTTL %s = %v, want %v", key, got, want)
		}
	}
}

func TestSnapshotIsOneMoment(t *testing.T) {
	noLeak(t)
	e := RunPipe(t)
	rdb := dial(t, e.Link().Options().Simple())
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default: // both keys change in one step
				rdb.Eval(t.Context(), "redis.call('INCR', KEYS[1]) redis.call('INCR', KEYS[2]) return 1", []string{"a", "b"})
			}
		}
	})
	for range 50 {
		values := map[string]string{}
		for _, r := range e.Snapshot().records {
			values[r.key] = r.items[0]
		}
		if values["a"] != values["b"] {
			t.Errorf("a = %s, b = %s in one snapshot", values["a"], values["b"])
		}
	}
	close(stop)
	writer.Wait()
}

func TestSnapshotRefusesOtherTypes(t *testing.T) {
	noLeak(t)
	e := RunPipe(t)
	defer func() {
		if recover() == nil {
			t.Error("Snapshot left a list out in silence")
		}
	}()
	if _, err := e.Lpush("list", "v"); err != nil {
		t.Fatal(err)
	}
	e.Snapshot()
}

// TestEmbeddedRestartsUnderLoad is for the race detector and for the promise that nobody sees a server
// without its data: a key that is in the snapshot and never deleted must never be missing.
func TestEmbeddedRestartsUnderLoad(t *testing.T) {
	overBoth(t, func(t *testing.T, e *Embedded, opts func() *redis.Options) {
		e.Set("always", "here")
		snap := e.Snapshot()
		ctx, cancel := context.WithCancel(t.Context())
		var load sync.WaitGroup
		for range 3 {
			rdb := dial(t, opts())
			load.Go(func() {
				for ctx.Err() == nil {
					if err := rdb.Get(ctx, "always").Err(); err == redis.Nil || redis.HasErrorPrefix(err, "ERR") {
						t.Errorf("GET during a restart: %v", err)
					}
				}
			})
		}
		for i := range 30 {
			restart := e.Restart
			if i%2 == 0 {
				restart = func() error { return e.Restore(snap) }
			}
			if err := restart(); err != nil {
				t.Error(err)
			}
		}
		cancel()
		load.Wait()
	})
}
