package redistest

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func init() { logging.Disable() } // go-redis reports every connection that a test cuts

// noLeak checks at the very end of the test, after its other cleanups, that no goroutine is left.
func noLeak(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t, LateDials()...) })
}

// dial returns a client with no retries, closed with the test.
func dial(t *testing.T, opts *redis.Options) *redis.Client {
	t.Helper()
	opts.MaxRetries = -1
	rdb := redis.NewClient(opts)
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

func set(t *testing.T, rdb redis.Cmdable, key, value string) {
	t.Helper()
	if err := rdb.Set(t.Context(), key, value, 0).Err(); err != nil {
		t.Fatalf("SET %s: %v", key, err)
	}
}

func wantGet(t *testing.T, rdb redis.Cmdable, key, want string) {
	t.Helper()
	if got, err := rdb.Get(t.Context(), key).Result(); err != nil || got != want {
		t.Fatalf("GET %s = %q, %v, want %q", key, got, err, want)
	}
}

func wantMissing(t *testing.T, rdb redis.Cmdable, key string) {
	t.Helper()
	if got, err := rdb.Get(t.Context(), key).Result(); err != redis.Nil {
		t.Fatalf("GET %s = %q, %v, want %v", key, got, err, redis.Nil)
	}
}

func wantPing(t *testing.T, rdb *redis.Client) {
	t.Helper()
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Fatalf("PING: %v", err)
	}
}

// eventually polls in real time; for what another process does when it likes.
func eventually(t *testing.T, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := poll(ctx, func() error {
		once, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return try(once)
	}); err != nil {
		t.Fatal(err)
	}
}

// impatient is a context that gives up soon: for calls that must not be answered.
func impatient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}
