package topology

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// TestACL: the rules that the README names are enough for every verb, a herd
// and a refresh. Commands inside scripts are checked by Redis too.
func TestACL(t *testing.T) {
	server := redistest.RunServer(t)
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = admin.Close() })
	rules := readmeACL(t)
	args := []any{"ACL", "SETUSER", "cache", "on", ">secret-of-the-test", "resetchannels", "-@all"}
	for _, rule := range rules {
		args = append(args, rule)
	}
	if err := admin.Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("ACL SETUSER %v: %v", rules, err)
	}
	a, b := restricted(t, server.Addr()), restricted(t, server.Addr())
	ctx := t.Context()
	load := func(_ context.Context, key string) (string, error) {
		return "v of " + key, nil
	}
	slow := func(ctx context.Context, key string) (string, error) {
		select { // long enough for the other node to wait for the lease
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
		return load(ctx, key)
	}
	done := make(chan error, 1)
	go func() { _, err := a.Get(ctx, "1", slow); done <- err }()
	if _, err := b.Get(ctx, "1", slow); err != nil {
		t.Errorf("Get: %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("Get: %v", err)
	}
	if _, err := a.Update(ctx, "1", load); err != nil {
		t.Errorf("Update: %v", err)
	}
	if _, err := b.Peek(ctx, "1"); err != nil {
		t.Errorf("Peek: %v", err)
	}
	if err := b.Invalidate(ctx, "1", "2"); err != nil {
		t.Errorf("Invalidate: %v", err)
	}
	if _, err := a.GetMany(ctx, []string{"1", "2", "3"}, func(_ context.Context, keys []string) (map[string]string, error) {
		return map[string]string{keys[0]: "v"}, nil
	}); err != nil {
		t.Errorf("GetMany: %v", err)
	}
	for deadline := time.Now().Add(time.Minute); a.Stats().Refreshes == 0; {
		if _, err := a.Get(ctx, "1", load); err != nil || time.Now().After(deadline) {
			t.Fatalf("no refresh: %v, %+v", err, a.Stats())
		}
	}
	if s := a.Stats(); s.WeakLoads+s.RefusedFills > 0 {
		t.Errorf("Redis refused something: %+v", s)
	}
	denied, err := admin.Do(ctx, "ACL", "LOG").Slice()
	if err != nil || len(denied) > 0 {
		t.Errorf("ACL LOG = %v, %v, want none", denied, err)
	}
}

// readmeACL returns the rules out of the README's paragraph on keys.
func readmeACL(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "An ACL needs")
	rest, _, end := strings.Cut(rest, "\n\n")
	if !ok || !end {
		t.Fatal("the README names no ACL")
	}
	var rules []string
	for _, quoted := range regexp.MustCompile("(?s)`([^`]*)`").FindAllStringSubmatch(rest, -1) {
		rules = append(rules, strings.Fields(strings.ReplaceAll(quoted[1], "<fleet>", "shop"))...)
	}
	if len(rules) < 10 {
		t.Fatalf("the README's ACL: %v", rules)
	}
	return rules
}

func restricted(t *testing.T, addr string) *tiered.Cache[string] {
	t.Helper()
	opts := &redis.UniversalOptions{Addrs: []string{addr}, Username: "cache", Password: "secret-of-the-test", DisableIdentity: true}
	monitor := coherence.Instrument(opts)
	rdb := redis.NewUniversalClient(opts)
	node, err := coherence.Join(t.Context(), rdb, coherence.Config{Fleet: "shop", Monitor: monitor, Warm: time.Minute, OnEvent: func(e coherence.Event) {
		if e.Kind != coherence.EventInStep {
			t.Log(e)
		}
		if strings.Contains(fmt.Sprint(e), "secret-of-the-test") {
			t.Error("an event holds the password")
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := tiered.New(node, tiered.Config[string]{Name: "p", TTL: 200 * time.Millisecond, StaleTTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		_ = node.Close()
		_ = rdb.Close()
	})
	return c
}
