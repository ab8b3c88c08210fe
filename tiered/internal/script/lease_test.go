package script_test

import (
	"strings"
	"time"

	"github.com/tiercache/tiercache/internal/token"
	"github.com/tiercache/tiercache/tiered/internal/script"
)

func leaseCommitWakes(r *rig) {
	holder, other := token.New(), token.New()
	id := r.lease(holder)
	r.wantRecord("L" + id)
	r.want("ACQUIRE by another", r.acquire(other), "L"+id)

	r.waits("inbox-01", "inbox-02", "inbox-01", "inbox-03", "inbox-02")
	r.wantRecord("L" + id + "inbox-01inbox-02inbox-03")
	r.want("ACQUIRE by the holder", script.LeaseID(holder, r.acquire(holder).(int64)), id)
	if left := r.ttl(); left > leaseMs*time.Millisecond {
		r.Errorf("WAIT made the lease longer: %v", left)
	}

	r.want("COMMIT by another", r.commit(script.LeaseID(other, 1), value(other, "x")), int64(0))
	r.wantWoken()
	r.want("COMMIT", r.commit(id, value(holder, "fresh")), int64(1))
	r.wantRecord(value(holder, "fresh"))
	r.wantWoken("inbox-01", "inbox-02", "inbox-03")
	if left := r.ttl(); left <= leaseMs*time.Millisecond {
		r.Errorf("the value lasts %v, want its own TTL", left)
	}
	r.want("ACQUIRE of a value", r.acquire(other), value(holder, "fresh"))
}

func leaseGivenUp(r *rig) {
	id := r.lease(token.New())
	r.waits("inbox-01", "inbox-02")
	r.want("COMMIT of nothing", r.commit(id, ""), int64(1))
	r.wantRecord("")
	r.wantWoken("inbox-01", "inbox-02")
	r.want("COMMIT of nothing, too late", r.commit(id, ""), int64(0))
}

func leaseGivenUpByToken(r *rig) {
	holder := token.New()
	r.lease(holder)
	r.waits("inbox-01")
	r.want("COMMIT of nothing without a token", r.commit("", ""), int64(0))
	r.want("COMMIT of nothing by another", r.commit(token.New().String(), ""), int64(0))
	r.want("COMMIT of nothing by token", r.commit(holder.String(), ""), int64(1))
	r.wantRecord("")
	r.wantWoken("inbox-01")
}

func commitWantsGrant(r *rig) {
	holder := token.New()
	id := r.lease(holder)
	for _, wrong := range []string{holder.String(), script.LeaseID(holder, 1), id[:31], id + "0", ""} {
		r.want("COMMIT", r.commit(wrong, value(holder, "x")), int64(0))
	}
	r.wantRecord("L" + id)
}

func leaseUnheard(r *rig) {
	for _, end := range []func(id string, tok token.Token){
		func(id string, tok token.Token) { r.commit(id, value(tok, "x")) },
		func(id string, _ token.Token) { r.commit(id, "") },
		func(string, token.Token) { r.inval() },
		func(string, token.Token) { r.fence(token.New()) },
	} {
		r.clear()
		tok := token.New()
		end(r.lease(tok), tok)
		r.wantWoken()
	}
}

func leaseRenewed(r *rig) {
	holder := token.New()
	id := r.lease(holder)
	r.waits("inbox-01")
	const longer = 5 * leaseMs
	for _, wrong := range []string{"", token.New().String(), script.LeaseID(holder, 1)} {
		r.want("RENEW by another", r.call(script.Renew, wrong, longer), int64(0))
	}
	if left := r.ttl(); left > leaseMs*time.Millisecond {
		r.Errorf("a refused RENEW left %v", left)
	}
	r.want("RENEW", r.call(script.Renew, id, longer), int64(1))
	if left := r.ttl(); left <= leaseMs*time.Millisecond {
		r.Errorf("RENEW left %v", left)
	}
	r.wantRecord("L" + id + "inbox-01")

	r.put(value(holder, "x"))
	r.want("RENEW of a value", r.call(script.Renew, holder.String(), longer), int64(0))
	r.clear()
	r.want("RENEW of nothing", r.call(script.Renew, id, longer), int64(0))
	r.wantRecord("")
}

func refreshLockRenewed(r *rig) {
	refresh := token.New()
	r.rdb.SetNX(r.ctx, r.key, "L"+refresh.String(), time.Second)
	r.want("RENEW by another", r.call(script.Renew, token.New().String(), leaseMs), int64(0))
	r.want("RENEW", r.call(script.Renew, refresh.String(), leaseMs), int64(1))
	if left := r.ttl(); left <= time.Second {
		r.Errorf("RENEW left %v", left)
	}
	r.want("release", r.commit(refresh.String(), ""), int64(1))
	r.wantRecord("")
}

func leaseOnStaleValue(r *rig) {
	old, next, loader := token.New(), token.New(), token.New()
	r.put(value(old, "old"))
	r.want("ACQUIRE", r.acquire(loader), value(old, "old"))
	r.want("ACQUIRE naming another stamp", r.replacing(loader, next.String()), value(old, "old"))
	if _, mine := r.replacing(loader, old.String()).(int64); !mine {
		r.Error("ACQUIRE naming the stamp was refused")
	}
	r.want("ACQUIRE behind it", r.replacing(next, old.String()), r.record())
}

func leaseFenced(r *rig) {
	holder := token.New()
	id := r.lease(holder)
	r.waits("inbox-01", "inbox-02")
	fence, others := r.fence(token.New())
	r.want("others", others, int64(0))
	r.wantWoken("inbox-01", "inbox-02")
	r.want("COMMIT under a fence", r.commit(id, value(holder, "old")), int64(0))
	r.wantRecord("Fc" + fence)
	r.unfence(fence, "")
	r.want("COMMIT after a fence", r.commit(id, value(holder, "old")), int64(0))
	r.wantRecord("")
}

func leaseInvalidated(r *rig) {
	holder := token.New()
	id := r.lease(holder)
	r.waits("inbox-01", "inbox-02")
	r.want("INVAL", r.inval(), int64(1))
	r.wantWoken("inbox-01", "inbox-02")
	r.want("COMMIT", r.commit(id, value(holder, "old")), int64(0))
	r.wantRecord("")
	r.want("INVAL of nothing", r.inval(), int64(0))
}

func leaseLost(r *rig) {
	slow, quick := token.New(), token.New()
	id := r.lease(slow)
	r.clear() // its TTL ended
	next := r.lease(quick)
	r.waits("inbox-01")
	r.want("COMMIT by the former holder", r.commit(id, value(slow, "old")), int64(0))
	r.want("giving up by the former holder", r.commit(id, ""), int64(0))
	r.want("RENEW by the former holder", r.call(script.Renew, id, leaseMs), int64(0))
	r.wantRecord("L" + next + "inbox-01")
	r.wantWoken()
}

// A load acquires, reads the source, and is overtaken by a write. Then the first copy
// of its ACQUIRE arrives, the one it had given up waiting for and sent again.
func lateAcquire(r *rig) {
	loader := token.New()
	id := r.lease(loader)
	r.inval()
	phantom := r.lease(loader)
	if phantom == id {
		r.Fatal("a second lease has the grant of the first")
	}
	r.want("COMMIT of the overtaken load", r.commit(id, value(loader, "old")), int64(0))
	r.wantRecord("L" + phantom)
}

func waitElsewhere(r *rig) {
	r.want("WAIT for nothing", r.wait("inbox-01"), nil)
	record := value(token.New(), "x")
	r.put(record)
	r.want("WAIT for a value", r.wait("inbox-01"), record)
	r.clear()
	id, _ := r.fence(token.New())
	r.want("WAIT for a fence", r.wait("inbox-01"), "Fc"+id)
	r.wantRecord("Fc" + id)
}

func replaceByStamp(r *rig) {
	old, a, b := token.New(), token.New(), token.New()
	r.want("REPLACE of nothing", r.replace(old, value(a, "a")), int64(0))
	r.put(value(old, "old"))
	r.want("REPLACE", r.replace(old, value(a, "a")), int64(1))
	r.want("REPLACE by the slower", r.replace(old, value(b, "b")), int64(0))
	r.wantRecord(value(a, "a"))
	if left := r.ttl(); left > valueMs*time.Millisecond {
		r.Errorf("TTL = %v", left)
	}
}

func replaceAfterWrite(r *rig) {
	old, refresh := token.New(), token.New()
	r.put(value(old, "old"))
	id, _ := r.fence(token.New())
	r.want("REPLACE under a fence", r.replace(old, value(refresh, "old")), int64(0))
	r.unfence(id, "")
	r.want("REPLACE after it", r.replace(old, value(refresh, "old")), int64(0))
	lease := r.lease(token.New())
	r.want("REPLACE of a lease", r.replace(old, value(refresh, "old")), int64(0))
	r.wantRecord("L" + lease)
}

func largeValue(r *rig) {
	const mb = 1 << 20
	a, b, c := token.New(), token.New(), token.New()
	big := strings.Repeat("0123456789abcdef", mb/16)
	r.want("COMMIT", r.commit(r.lease(a), value(a, big)), int64(1))
	r.want("ACQUIRE", r.acquire(b), value(a, big))
	r.want("WAIT", r.wait("inbox-01"), value(a, big))
	r.want("REPLACE", r.replace(a, value(b, big)), int64(1))
	id, _ := r.fence(c)
	r.want("UNFENCE", r.unfence(id, value(c, big)), int64(1))
	r.wantRecord(value(c, big))
	r.want("INVAL", r.inval(), int64(1))
}
