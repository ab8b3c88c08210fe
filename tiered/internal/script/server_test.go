package script_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	lua "github.com/tiercache/tiercache/internal/script"
	"github.com/tiercache/tiercache/internal/token"
	"github.com/tiercache/tiercache/tiered/internal/script"
)

var member = redis.Z{Score: 1, Member: "v"}

func entry(stream string) *redis.XAddArgs {
	return &redis.XAddArgs{Stream: stream, Values: []string{"f", "v"}}
}

// What ends by itself leaves no key behind.
func TestRecordsExpire(t *testing.T) {
	servers(t, func(t *testing.T, rdb *redis.Client) {
		r := newRig(t, rdb, t.Name(), false)
		tok := token.New()
		for name, call := range map[string]func(){
			"lease": func() { r.call(script.Acquire, tok.String(), 30, "") },
			"fence": func() { r.call(script.Fence, tok.String(), 30, "", "") },
			"value": func() { r.call(script.Commit, r.lease(tok), value(tok, "x"), 30, "", "") },
		} {
			call()
			r.untilGone(name)
		}
	})
}

func (r *rig) untilGone(what string) {
	r.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for r.content() != "none" {
		if time.Now().After(deadline) {
			r.Fatalf("the %s is still there: %q", what, r.content())
		}
	}
}

// A server over its maxmemory refuses what makes records, before anything changes, and
// lets pass what ends them.
func TestOutOfMemory(t *testing.T) {
	r := newRig(t, connect(t, redistest.RunServer(t).Addr()), t.Name(), false)
	tok, other := token.New(), token.New()

	full := func(prepare func()) {
		t.Helper()
		r.limit("0")
		r.clear()
		prepare()
		r.limit("1mb")
	}
	refused := func(name string, s *lua.Script, args ...any) {
		t.Helper()
		before := r.content()
		if _, err := r.try(s, args...); !redis.HasErrorPrefix(err, "OOM") {
			t.Errorf("%s: error %v, want OOM", name, err)
		}
		r.want("record after "+name, r.content(), before)
		r.wantWoken()
	}

	full(func() {})
	refused("ACQUIRE", script.Acquire, tok.String(), leaseMs, "")
	refused("FENCE of nothing", script.Fence, tok.String(), fenceMs, r.prefix(), "wake")

	var lease string
	full(func() { lease = r.lease(tok); r.waits("inbox-01") })
	refused("WAIT", script.Wait, "inbox-02")
	refused("COMMIT", script.Commit, lease, value(tok, "x"), valueMs, r.prefix(), "wake")
	refused("FENCE of a lease", script.Fence, other.String(), fenceMs, r.prefix(), "wake")
	r.want("giving up", r.commit(lease, ""), int64(1))
	r.wantWoken("inbox-01")

	full(func() { r.put(value(tok, "x")) })
	refused("REPLACE", script.Replace, tok.String(), value(other, "y"), valueMs)
	refused("FENCE of a value", script.Fence, other.String(), fenceMs, r.prefix(), "wake")
	r.want("ACQUIRE of a value", r.acquire(other), value(tok, "x"))
	r.want("INVAL of a value", r.inval(), int64(1))

	var id, idOther string
	full(func() { id, idOther = r.twoFences(tok, other) })
	r.want("INVAL of fences", r.inval(), int64(2))
	r.want("UNFENCE of one of two", r.unfence(id, value(tok, "x")), int64(2))
	r.want("UNFENCE of the last", r.unfence(idOther, ""), int64(0))

	full(func() { id, _ = r.fence(tok) })
	r.want("UNFENCE with a record", r.unfence(id, value(tok, "x")), int64(1))
	r.wantRecord(value(tok, "x"))
}

func (r *rig) limit(maxmemory string) {
	r.Helper()
	if err := r.rdb.ConfigSet(r.ctx, "maxmemory", maxmemory).Err(); err != nil {
		r.Fatal(err)
	}
}
