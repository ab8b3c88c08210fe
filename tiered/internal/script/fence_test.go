package script_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/tiercache/tiercache/internal/token"
	"github.com/tiercache/tiercache/tiered/internal/script"
)

func fenceWritesThrough(r *rig) {
	writer := token.New()
	r.put(value(token.New(), "old"))
	id, others := r.fence(writer)
	r.want("others", others, int64(0))
	r.wantRecord("Fc" + id)
	r.want("UNFENCE", r.unfence(id, value(writer, "new")), int64(1))
	r.wantRecord(value(writer, "new"))
	r.wantWoken()
}

func fenceCleared(r *rig) {
	id, _ := r.fence(token.New())
	r.want("UNFENCE", r.unfence(id, ""), int64(0))
	r.wantRecord("")
	r.want("UNFENCE, too late", r.unfence(id, ""), int64(-1))
}

// twoFences fences for a, then b, and returns their ids.
func (r *rig) twoFences(a, b token.Token) (idA, idB string) {
	r.Helper()
	idA, others := r.fence(a)
	r.want("others of the first", others, int64(0))
	idB, others = r.fence(b)
	r.want("others of the second", others, int64(1))
	r.wantRecord("Fd" + idA + "d" + idB)
	return idA, idB
}

func twoFencesInOrder(r *rig) {
	a, b := token.New(), token.New()
	idA, idB := r.twoFences(a, b)
	r.want("UNFENCE of the first", r.unfence(idA, value(a, "a")), int64(2))
	r.wantRecord("Fd" + idB)
	r.want("UNFENCE of the second", r.unfence(idB, value(b, "b")), int64(0))
	r.wantRecord("")
}

func twoFencesNested(r *rig) {
	a, b := token.New(), token.New()
	idA, idB := r.twoFences(a, b)
	r.want("UNFENCE of the second", r.unfence(idB, value(b, "b")), int64(2))
	r.wantRecord("Fd" + idA)
	r.want("UNFENCE of the first", r.unfence(idA, value(a, "a")), int64(0))
	r.wantRecord("")
}

// A fence stays marked after the overlap has ended, also if its FENCE is sent again.
func overlapSticks(r *rig) {
	a, b, c := token.New(), token.New(), token.New()
	idA, idB := r.twoFences(a, b)
	r.unfence(idB, "")
	again, others := r.fence(a)
	r.want("fence of a", again, idA)
	r.want("others", others, int64(0))
	r.want("UNFENCE of a", r.unfence(idA, value(a, "a")), int64(0))

	idC, _ := r.fence(c)
	r.want("UNFENCE of c, alone again", r.unfence(idC, value(c, "c")), int64(1))
}

func fenceLimit(r *rig) {
	const most = 64
	ids := make([]string, most)
	toks := make([]token.Token, most)
	for i := range ids {
		toks[i] = token.New()
		var others int64
		ids[i], others = r.fence(toks[i])
		r.want("others", others, int64(i))
	}
	full := r.record()
	_, err := r.try(script.Fence, token.New().String(), fenceMs, r.prefix(), "wake")
	if err == nil || !strings.HasPrefix(err.Error(), "FENCES ") {
		r.Errorf("the 65th FENCE: error %v, want FENCES", err)
	}
	r.wantRecord(full)
	if id, others := r.fence(toks[0]); id != ids[0] || others != most-1 {
		r.Errorf("the first of 64, sent again: %d others", others)
	}
	for i, id := range ids {
		left := int64(most - i)
		if i == most-1 {
			left = 0
		}
		r.want(fmt.Sprintf("UNFENCE %d", i), r.unfence(id, value(toks[i], "x")), left)
	}
	r.wantRecord("")
}

func fenceNotRenewed(r *rig) {
	tok := token.New()
	record := "F" + fenceRecord('c', tok, r.now()+fenceMs/2)
	r.rdb.Set(r.ctx, r.key, record, fenceMs/2*time.Millisecond)
	id, _ := r.fence(tok)
	r.wantRecord("Fc" + id)
	r.wantRecord(record)
	if left := r.ttl(); left > fenceMs/2*time.Millisecond {
		r.Errorf("the key lasts %v", left)
	}
}

func fencesExpired(r *rig) {
	dead, live, a, loader := token.New(), token.New(), token.New(), token.New()
	now := r.now()
	r.put("F" + fenceRecord('c', dead, now-1) + fenceRecord('d', token.New(), now-5000))
	r.want("UNFENCE of a dead fence", r.unfence(script.FenceID(dead, now-1), value(dead, "x")), int64(-1))
	id, others := r.fence(a)
	r.want("others", others, int64(0))
	r.want("UNFENCE", r.unfence(id, value(a, "a")), int64(1))

	r.put("F" + fenceRecord('c', dead, now-1) + fenceRecord('c', live, now+fenceMs))
	_, others = r.fence(a)
	r.want("others beside a live one", others, int64(1))

	r.put("F" + fenceRecord('c', live, now+fenceMs) + fenceRecord('c', dead, now-1))
	r.want("UNFENCE beside a dead one", r.unfence(script.FenceID(live, now+fenceMs), value(live, "x")), int64(1))

	r.put("F" + fenceRecord('c', dead, now-1))
	if _, mine := r.acquire(loader).(int64); !mine {
		r.Error("ACQUIRE was refused by dead fences")
	}
}

// The record lasts as long as the last of its fences, whoever comes and goes.
func lastsAsTheLastFence(r *rig) {
	const hour = 3_600_000
	long, short, late := token.New(), token.New(), token.New()
	now := r.now()
	record := fenceRecord('d', long, now+hour)
	wantHour := func(what string) {
		r.Helper()
		if left := r.ttl(); left <= fenceMs*time.Millisecond || left > hour*time.Millisecond {
			r.Errorf("the record lasts %v after %s, want the hour of its longest fence", left, what)
		}
	}
	r.put("F" + record + fenceRecord('d', short, now+fenceMs))
	r.fence(late)
	wantHour("FENCE")
	r.inval()
	wantHour("INVAL")
	r.unfence(script.FenceID(short, now+fenceMs), "")
	wantHour("UNFENCE of the short one")
	r.unfence(script.FenceID(long, now+hour), "")
	if left := r.ttl(); left > fenceMs*time.Millisecond {
		r.Errorf("the record lasts %v after the longest fence was lifted", left)
	}
}

// My fence ran out while another keeps the record: I am not told that I still had it.
func fenceOwnExpired(r *rig) {
	mine, other := token.New(), token.New()
	now := r.now()
	record := "F" + fenceRecord('d', mine, now-1) + fenceRecord('d', other, now+fenceMs)
	r.put(record)
	r.want("UNFENCE", r.unfence(script.FenceID(mine, now-1), value(mine, "x")), int64(-1))
	r.wantRecord(record)

	r.put("F" + fenceRecord('c', mine, now-1))
	id, _ := r.fence(mine)
	r.wantRecord("Fd" + id)
}

func fenceClearedByToken(r *rig) {
	writer, other := token.New(), token.New()
	id, _ := r.fence(writer)
	r.want("UNFENCE without a token", r.unfence("", ""), int64(-1))
	r.want("UNFENCE by another", r.unfence(other.String(), ""), int64(-1))
	r.wantRecord("Fc" + id)
	r.want("UNFENCE by token writes nothing", r.unfence(writer.String(), value(writer, "x")), int64(0))
	r.wantRecord("")
}

// A write ends, another follows, and then copies of the first one's FENCE and UNFENCE
// arrive. Its record is older than what the source holds.
func lateFence(r *rig) {
	a, b := token.New(), token.New()
	idA, _ := r.fence(a)
	r.unfence(idA, value(a, "a"))
	idB, _ := r.fence(b)
	r.unfence(idB, value(b, "b"))
	r.tick()

	phantom, _ := r.fence(a)
	r.want("UNFENCE of the first, again", r.unfence(idA, value(a, "a")), int64(-1))
	r.wantRecord("Fc" + phantom)
}

// tick returns when the server's clock shows another millisecond.
func (r *rig) tick() {
	for start := r.now(); r.now() == start; {
	}
}

func fenceInvalidated(r *rig) {
	a, b := token.New(), token.New()
	id, _ := r.fence(a)
	expiry := r.ttl()
	r.want("INVAL", r.inval(), int64(2))
	r.wantRecord("Fd" + id)
	if left := r.ttl(); left > expiry || left < expiry/2 {
		r.Errorf("INVAL made %v of a TTL of %v", left, expiry)
	}
	r.want("UNFENCE", r.unfence(id, value(a, "a")), int64(0))

	idA, idB := r.twoFences(a, b)
	r.want("INVAL of two", r.inval(), int64(2))
	r.wantRecord("Fd" + idA + "d" + idB)
	r.wantWoken()
}

func expiredFencesInvalidated(r *rig) {
	dead, live := token.New(), token.New()
	now := r.now()
	r.put("F" + fenceRecord('c', dead, now-1) + fenceRecord('c', live, now+fenceMs))
	r.want("INVAL", r.inval(), int64(2))
	r.wantRecord("F" + fenceRecord('d', live, now+fenceMs))
	r.put("F" + fenceRecord('c', dead, now-1))
	r.want("INVAL of dead fences", r.inval(), int64(1))
	r.wantRecord("")
}

func fenceKeepsLeasesOut(r *rig) {
	id, _ := r.fence(token.New())
	r.want("ACQUIRE", r.acquire(token.New()), "Fc"+id)
	r.want("ACQUIRE naming a stamp", r.replacing(token.New(), id[:16]), "Fc"+id)
	r.wantRecord("Fc" + id)
}
