package script_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	lua "github.com/tiercache/tiercache/internal/script"
	"github.com/tiercache/tiercache/internal/token"
	"github.com/tiercache/tiercache/tiered/internal/script"
)

const (
	leaseMs = 20_000 // long: nothing ends by itself unless a scenario says so
	fenceMs = 30_000
	valueMs = 60_000
)

// servers runs test against an embedded and a real server.
func servers(t *testing.T, test func(t *testing.T, rdb *redis.Client)) {
	for name, start := range map[string]func(t *testing.T) string{
		"embedded": func(t *testing.T) string { return redistest.RunEmbedded(t).Addr() },
		"real":     func(t *testing.T) string { return redistest.RunServer(t).Addr() },
	} {
		t.Run(name, func(t *testing.T) { test(t, connect(t, start(t))) })
	}
}

func connect(t testing.TB, addr string) *redis.Client {
	rdb := redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: 30 * time.Second})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// A rig runs the scripts on one key. With twice set it runs every call twice, as a
// client does that lost a reply, and fails if the second run changes anything more.
type rig struct {
	testing.TB
	ctx    context.Context
	rdb    *redis.Client
	runner *lua.Runner
	key    string
	twice  bool
	inbox  *redis.PubSub
}

func newRig(t testing.TB, rdb *redis.Client, key string, twice bool) *rig {
	r := &rig{TB: t, ctx: context.Background(), rdb: rdb, runner: lua.NewRunner(rdb), key: key, twice: twice}
	r.inbox = rdb.PSubscribe(r.ctx, key+":in:*")
	t.Cleanup(func() { _ = r.inbox.Close() })
	if _, err := r.inbox.Receive(r.ctx); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) prefix() string { return r.key + ":in:" }

// woken returns the inboxes that got a wake-up since it was last called, in order.
func (r *rig) woken() []string {
	r.Helper()
	r.rdb.Publish(r.ctx, r.prefix()+"end", "")
	inboxes := []string{}
	for {
		m, err := r.inbox.ReceiveMessage(r.ctx)
		if err != nil {
			r.Fatal(err)
		}
		inbox := strings.TrimPrefix(m.Channel, r.prefix())
		if inbox == "end" {
			slices.Sort(inboxes)
			return inboxes
		}
		if m.Payload != "wake" {
			r.Errorf("the payload for %s is %q", inbox, m.Payload)
		}
		inboxes = append(inboxes, inbox)
	}
}

func (r *rig) wantWoken(inboxes ...string) {
	r.Helper()
	slices.Sort(inboxes)
	if got := r.woken(); !slices.Equal(got, inboxes) {
		r.Errorf("woken: %q, want %q", got, inboxes)
	}
}

// try runs a script and checks that it left no key without a TTL.
func (r *rig) try(s *lua.Script, args ...any) (any, error) {
	r.Helper()
	before := r.ttl()
	v, err := r.runner.Run(r.ctx, s, []string{r.key}, args...)
	if after := r.ttl(); after == -1 && before != -1 {
		r.Fatalf("the key has no TTL: %q", r.record())
	}
	return v, err
}

// call is try without an error, and twice if the rig says so. The reply is the first one.
func (r *rig) call(s *lua.Script, args ...any) any {
	r.Helper()
	v, err := r.try(s, args...)
	if err != nil {
		r.Fatalf("script failed: %v", err)
	}
	if !r.twice {
		return v
	}
	once := r.content()
	again, err := r.try(s, args...)
	if err != nil {
		r.Fatalf("second run failed: %v", err)
	}
	if got := r.content(); got != once {
		r.Fatalf("the second run changed %.80q to %.80q", once, got)
	}
	if !repeats(s, args, v, again) {
		r.Fatalf("the second run answered %v after %v", again, v)
	}
	return v
}

// repeats reports whether again is a right answer to a call that was answered v before:
// one on which the caller does what is right after the effects of both runs.
func repeats(s *lua.Script, args []any, v, again any) bool {
	switch s {
	case script.Wait:
		_, left := again.(int64)
		_, had := v.(int64)
		return left == had
	case script.Commit:
		return again == v || args[1] == "" && again == int64(0)
	case script.Unfence: // what was cleared is gone: the caller invalidates, which is always right
		return again == v && v == int64(1) || again == int64(-1)
	case script.Inval:
		return again == v && v == int64(2) || again == int64(0)
	default:
		return fmt.Sprint(again) == fmt.Sprint(v)
	}
}

func (r *rig) ttl() time.Duration {
	r.Helper()
	d, err := r.rdb.PTTL(r.ctx, r.key).Result()
	if err != nil {
		r.Fatal(err)
	}
	return d
}

// record returns the string at the key, "" if there is none.
func (r *rig) record() string {
	r.Helper()
	v, err := r.rdb.Get(r.ctx, r.key).Result()
	if err != nil && err != redis.Nil {
		r.Fatal(err)
	}
	return v
}

// content is record for keys of any type.
func (r *rig) content() string {
	r.Helper()
	switch kind := r.rdb.Type(r.ctx, r.key).Val(); kind {
	case "string":
		return r.record()
	default:
		return kind
	}
}

func (r *rig) want(what string, got, want any) {
	r.Helper()
	if got != want {
		r.Errorf("%s = %.80q, want %.80q", what, fmt.Sprint(got), fmt.Sprint(want))
	}
}

func (r *rig) wantRecord(want string) {
	r.Helper()
	r.want("record", r.record(), want)
}

func (r *rig) clear() { r.rdb.Del(r.ctx, r.key) }

func (r *rig) put(record string) { r.rdb.Set(r.ctx, r.key, record, time.Minute) }

// now returns the server's clock in milliseconds.
func (r *rig) now() int64 {
	r.Helper()
	t, err := r.rdb.Time(r.ctx).Result()
	if err != nil {
		r.Fatal(err)
	}
	return t.UnixMilli()
}

// value is the record of a value that tok wrote.
func value(tok token.Token, payload string) string { return "V" + tok.String() + payload }

// fenceRecord is one fence within a record.
func fenceRecord(flag byte, tok token.Token, expiry int64) string {
	return string(flag) + script.FenceID(tok, expiry)
}

func (r *rig) acquire(tok token.Token) any { r.Helper(); return r.replacing(tok, "") }

func (r *rig) replacing(tok token.Token, stamp string) any {
	r.Helper()
	return r.call(script.Acquire, tok.String(), leaseMs, stamp)
}

// lease acquires the key and returns the lease id.
func (r *rig) lease(tok token.Token) string {
	r.Helper()
	grant, mine := r.acquire(tok).(int64)
	if !mine {
		r.Fatal("the lease was refused")
	}
	return script.LeaseID(tok, grant)
}

func (r *rig) wait(inbox string) any { r.Helper(); return r.call(script.Wait, inbox) }

func (r *rig) waits(inboxes ...string) {
	r.Helper()
	for _, inbox := range inboxes {
		if left, ok := r.wait(inbox).(int64); !ok || left <= 0 || left > leaseMs {
			r.Fatalf("WAIT = %v, want the ms the lease has left", left)
		}
	}
}

func (r *rig) commit(id, record string) any {
	r.Helper()
	return r.call(script.Commit, id, record, valueMs, r.prefix(), "wake")
}

func (r *rig) replace(stamp token.Token, record string) any {
	r.Helper()
	return r.call(script.Replace, stamp.String(), record, valueMs)
}

// fence fences the key and returns the fence id and the number of others.
func (r *rig) fence(tok token.Token) (id string, others int64) {
	r.Helper()
	reply := r.call(script.Fence, tok.String(), fenceMs, r.prefix(), "wake").([]any)
	return script.FenceID(tok, reply[1].(int64)), reply[0].(int64)
}

func (r *rig) unfence(id, record string) any {
	r.Helper()
	return r.call(script.Unfence, id, record, valueMs)
}

func (r *rig) inval() any { r.Helper(); return r.call(script.Inval, r.prefix(), "wake") }
