package script

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

var (
	// note appends its argument to a list and returns its length.
	note = New("return redis.call('RPUSH', KEYS[1], ARGV[1])", false)
	// noteOOM does the same under OOM, so that its flags are tried on each server.
	noteOOM = New("return redis.call('RPUSH', KEYS[1], ARGV[1]) + 0", true)
	get     = New("return redis.call('GET', KEYS[1])", false)
)

// servers runs test with clients of an embedded server, a real one, and a cluster of one node.
func servers(t *testing.T, test func(t *testing.T, rdb redis.UniversalClient)) {
	for name, connect := range map[string]func(t *testing.T) redis.UniversalClient{
		"embedded": func(t *testing.T) redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: redistest.RunEmbedded(t).Addr()})
		},
		"real": func(t *testing.T) redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: redistest.RunServer(t).Addr()})
		},
		"cluster": func(t *testing.T) redis.UniversalClient {
			return redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{redistest.RunEmbedded(t).Addr()}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			rdb := connect(t)
			t.Cleanup(func() { _ = rdb.Close() })
			test(t, rdb)
		})
	}
}

func call(s *Script, key string, args ...any) Call {
	return Call{Script: s, Keys: []string{key}, Args: args}
}

func wantValues(t *testing.T, results []Result, want ...any) {
	t.Helper()
	if len(results) != len(want) {
		t.Fatalf("%d results, want %d", len(results), len(want))
	}
	for i, r := range results {
		if r.Err != nil || r.Value != want[i] {
			t.Errorf("result %d = %v, %v, want %v", i, r.Value, r.Err, want[i])
		}
	}
}

func flush(t *testing.T, rdb redis.UniversalClient) {
	t.Helper()
	if err := rdb.ScriptFlush(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestRunSurvivesScriptFlush(t *testing.T) {
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, r := context.Background(), NewRunner(rdb)
		for i, s := range []*Script{note, noteOOM, note, noteOOM} {
			for range 2 {
				flush(t, rdb)
				if _, err := r.Run(ctx, s, []string{"k"}, i); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := r.Run(ctx, s, []string{"k"}, i); err != nil {
				t.Fatal(err)
			}
		}
		if n := rdb.LLen(ctx, "k").Val(); n != 12 {
			t.Errorf("12 runs had %d effects", n)
		}
	})
}

func TestNilIsNoError(t *testing.T) {
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, r := context.Background(), NewRunner(rdb)
		if v, err := r.Run(ctx, get, []string{"none"}); v != nil || err != nil {
			t.Errorf("Run = %v, %v, want nil, nil", v, err)
		}
		wantValues(t, r.Each(ctx, call(get, "none"), call(get, "none")), nil, nil)
		first, last := r.Behind(ctx, []Call{call(get, "none")}, call(get, "none"))
		wantValues(t, append(first, last), nil, nil)
	})
}

func TestEachSurvivesScriptFlush(t *testing.T) {
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, r := context.Background(), NewRunner(rdb)
		if results := r.Each(ctx); len(results) != 0 {
			t.Errorf("Each() = %v", results)
		}
		flush(t, rdb)
		// note and noteOOM are unknown, get is known: every call runs exactly once.
		if _, err := r.Run(ctx, get, []string{"none"}); err != nil {
			t.Fatal(err)
		}
		results := r.Each(ctx, call(note, "a", 1), call(get, "none"), call(noteOOM, "b", 1), call(note, "c", 1))
		wantValues(t, results, int64(1), nil, int64(1), int64(1))
		results = r.Each(ctx, call(note, "a", 2), call(noteOOM, "b", 2), call(note, "c", 2))
		wantValues(t, results, int64(2), int64(2), int64(2))
	})
}

func TestEachKeepsErrorsApart(t *testing.T) {
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, r := context.Background(), NewRunner(rdb)
		rdb.Set(ctx, "string", "x", 0)
		results := r.Each(ctx, call(note, "a", 1), call(note, "string", 1), call(note, "b", 1))
		if results[1].Err == nil {
			t.Error("RPUSH to a string succeeded")
		}
		wantValues(t, []Result{results[0], results[2]}, int64(1), int64(1))
	})
}

// step is a script that says in which order the scripts of a set took effect.
func step(name string, underOOM bool) *Script {
	return New(fmt.Sprintf("redis.call('RPUSH', KEYS[1], '%s') return '%s'", name, name), underOOM)
}

// What runs behind the others does so after all of them, whatever the server knows of
// them, and even if one has failed.
func TestBehindRunsLast(t *testing.T) {
	a, b, c := step("a", false), step("b", true), step("c", false)
	for mask := range 8 {
		t.Run(fmt.Sprintf("known=%03b", mask), func(t *testing.T) {
			servers(t, func(t *testing.T, rdb redis.UniversalClient) {
				ctx, r := context.Background(), NewRunner(rdb)
				rdb.Set(ctx, "string", "x", 0)
				flush(t, rdb)
				for i, s := range []*Script{a, b, c} {
					if mask&(1<<i) != 0 {
						if _, err := r.Run(ctx, s, []string{"warm"}); err != nil {
							t.Fatal(err)
						}
					}
				}
				first, last := r.Behind(ctx, []Call{call(a, "k"), call(a, "string"), call(b, "k")}, call(c, "k"))
				if first[1].Err == nil {
					t.Error("RPUSH to a string succeeded")
				}
				wantValues(t, []Result{first[0], first[2], last}, "a", "b", "c")
				effects := strings.Join(rdb.LRange(ctx, "k", 0, -1).Val(), "")
				if len(effects) < 3 || strings.LastIndexAny(effects, "ab") > strings.LastIndex(effects, "c") {
					t.Errorf("effects in the order %q", effects)
				}
				if mask == 7 && effects != "abc" {
					t.Errorf("known scripts ran as %q", effects)
				}
			})
		})
	}
}

func TestBehindNothingOrFailures(t *testing.T) {
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, r := context.Background(), NewRunner(rdb)
		if first, last := r.Behind(ctx, nil, call(note, "k", 1)); len(first) != 0 || last.Err != nil {
			t.Errorf("alone: %v, %v", first, last)
		}
		rdb.Set(ctx, "string", "x", 0)
		first, last := r.Behind(ctx, []Call{call(note, "string", 1), call(note, "string", 2)}, call(note, "k", 2))
		if len(first) != 2 || first[0].Err == nil || first[1].Err == nil {
			t.Errorf("RPUSH to a string: %v", first)
		}
		if _, cluster := rdb.(*redis.ClusterClient); cluster != (last.Err == ErrNotRun) {
			t.Errorf("behind failures only, on a cluster: %t, the last says %v", cluster, last.Err)
		}
	})
}

func TestContextIsPassedOn(t *testing.T) {
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		r := NewRunner(rdb)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := r.Run(ctx, note, []string{"k"}, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		first, last := r.Behind(ctx, []Call{call(note, "k", 1)}, call(note, "k", 1))
		if !errors.Is(first[0].Err, context.Canceled) || !errors.Is(last.Err, context.Canceled) && last.Err != ErrNotRun {
			t.Errorf("Behind: %v, %v", first[0].Err, last.Err)
		}
		if results := r.Each(ctx, call(note, "k", 1)); !errors.Is(results[0].Err, context.Canceled) {
			t.Errorf("Each: %v", results[0].Err)
		}
	})
}

// Whatever a server says of a command, arguments do not get into error texts.
func TestErrorsHoldNoArguments(t *testing.T) {
	e := redistest.RunEmbedded(t)
	rdb := redis.NewClient(&redis.Options{Addr: e.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	e.Intercept(func(c *server.Peer, cmd string, args ...string) bool {
		if cmd != "EVALSHA" {
			return false
		}
		c.WriteError("ERR unknown command 'EVALSHA', with args beginning with: '" + strings.Join(args, "' '") + "'")
		return true
	})
	_, err := NewRunner(rdb).Run(context.Background(), note, []string{"key-1"}, "secret")
	if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "key-1") {
		t.Errorf("error %v, want one without key and argument", err)
	}
	if !redis.HasErrorPrefix(err, "unknown command") {
		t.Errorf("error %v is no longer known as a reply of the server", err)
	}
}

// Of many goroutines that meet a server without script flags each gets its answer.
func TestFlagsAreGivenUpConcurrently(t *testing.T) {
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, r := context.Background(), NewRunner(rdb)
		const workers = 16
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				if _, err := r.Run(ctx, noteOOM, []string{"k"}, 1); err != nil {
					t.Errorf("Run: %v", err)
				}
			})
		}
		wg.Wait()
		if n := rdb.LLen(ctx, "k").Val(); n != workers {
			t.Errorf("%d runs had %d effects", workers, n)
		}
	})
}

func TestFlagsAreRememberedAsRefused(t *testing.T) {
	e := redistest.RunEmbedded(t)
	rdb := redis.NewClient(&redis.Options{Addr: e.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	var sent []string
	e.Intercept(func(_ *server.Peer, cmd string, args ...string) bool {
		if strings.HasPrefix(cmd, "EVAL") {
			sent = append(sent, cmd)
		}
		return false
	})
	r := NewRunner(rdb)
	for range 2 {
		if _, err := r.Run(context.Background(), noteOOM, []string{"k"}, 1); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := strings.Join(sent, " "), "EVALSHA EVAL EVAL EVALSHA"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}

// Only a script that may write under OOM does so on a full server.
func TestUnderOOM(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: redistest.RunServer(t, "--maxmemory", "1mb", "--maxmemory-policy", "noeviction").Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	ctx, r := context.Background(), NewRunner(rdb)
	for rdb.Append(ctx, "fill", strings.Repeat("x", 1<<16)).Err() == nil {
	}
	if _, err := r.Run(ctx, note, []string{"k"}, 1); !redis.HasErrorPrefix(err, "OOM") {
		t.Errorf("note: error %v, want OOM", err)
	}
	if v, err := r.Run(ctx, noteOOM, []string{"k"}, 1); v != int64(1) || err != nil {
		t.Errorf("noteOOM = %v, %v, want 1", v, err)
	}
}

// Errors of the network come through as they are.
func TestNetworkErrors(t *testing.T) {
	e := redistest.RunEmbedded(t)
	rdb := redis.NewClient(&redis.Options{Addr: e.Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = rdb.Close() })
	e.Crash()
	ctx, r := context.Background(), NewRunner(rdb)
	_, runErr := r.Run(ctx, note, []string{"k"}, 1)
	first, last := r.Behind(ctx, []Call{call(note, "k", 1)}, call(note, "k", 2))
	each := r.Each(ctx, call(note, "k", 1), call(note, "k", 2))
	for i, err := range []error{runErr, first[0].Err, last.Err, each[0].Err, each[1].Err} {
		var reply redis.Error
		if err == nil || errors.As(err, &reply) {
			t.Errorf("error %d = %v, want one of the network", i, err)
		}
	}
}
