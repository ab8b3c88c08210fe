package script_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// attest enters a node that has applied entry number, and returns what it read.
func (b *bus) attest(name string, sequence, number int64, processes ...any) []string {
	b.Helper()
	args := append([]any{name, 1000, sequence, number}, processes...)
	v, err := b.run.Run(b.ctx, load(b, "attest.lua"), []string{b.key, b.nodes}, args...)
	if err != nil {
		b.Fatalf("ATTEST: %v", err)
	}
	var fields []string
	for _, f := range v.([]any) {
		fields = append(fields, f.(string))
	}
	return fields
}

// announceListed announces to the nodes on a registry and takes stamps.
func (b *bus) announceListed(registry, nonce string, stamps int) ([]any, error) {
	v, err := b.run.Run(b.ctx, b.append, []string{b.key, b.nodes}, b.prefix(), nonce, "p", stamps, "", registry)
	fields, _ := v.([]any)
	return fields, err
}

func (b *bus) node(name string) string { return b.rdb.HGet(b.ctx, b.nodes, name).Val() }

func attestReads(b *bus) {
	empty := b.attest("A", 1, 0)
	b.want("an empty bus", strings.Join(empty[:4], ","), ",,,")
	b.greet("run:repl", 0, 0)
	c := nonce()
	r := b.announce(c, "p")
	b.beat("m", time.Minute, 0, 0)
	got := b.attest("A", 2, 1)
	b.want("n", got[0], fmt.Sprint(r.n))
	b.want("c", got[1], c)
	b.want("e", got[2], r.epoch)
	b.want("v", got[3], b.field("v"))
	b.want("registry", got[6], empty[6])
	if skew := time.Since(time.Unix(number(b, got[4]), 1000*number(b, got[5]))).Abs(); skew > time.Hour {
		b.Errorf("the clock is %v off", skew)
	}
	b.want("entry", b.node("l:A"), "1000|2|1|"+got[4])
	b.want("TTL", b.rdb.TTL(b.ctx, b.nodes).Val(), time.Duration(-1))
	b.want("members", members(b.beat("m", time.Minute, 1, 1)), "[]")
}

// The birth is that of whatever is youngest. The instants lie a year apart: no two are equal, and all of them stay below 2^53 us,
// where Lua counts in single steps.
func attestBirth(b *bus) {
	const year = 365 * 86400 * 1000
	born := number(b, b.attest("A", 1, 0)[6]) / 1000
	b.want("of the registry", b.attest("A", 1, 0)[7], fmt.Sprint(born))
	b.rdb.HSet(b.ctx, b.key, "e", born+year, "r:old", "1", "r:new", born+2*year)
	b.want("of the epoch", b.attest("A", 2, 0, "old", "unknown")[7], fmt.Sprint(born+year))
	b.want("of a process", b.attest("A", 3, 0, "old", "new")[7], fmt.Sprint(born+2*year))
	b.rdb.HSet(b.ctx, b.nodes, "g", 1000*(born+3*year))
	b.want("of another registry", b.attest("A", 4, 0, "new")[7], fmt.Sprint(born+3*year))
}

func attestRemovesNobody(b *bus) {
	now := time.Now().Unix()
	b.rdb.HSet(b.ctx, b.nodes, "l:old", fmt.Sprint("1000|1|1|", now-2*86400), "l:ahead", fmt.Sprint("1000|1|1|", now+2*86400), "l:odd", "rubbish")
	b.attest("A", 1, 0)
	b.want("who is left", fmt.Sprint(b.node("l:old") != "", b.node("l:ahead") != "", b.node("l:odd") != ""), "true true true")
}

func appendListed(b *bus) {
	registry := b.attest("A", 1, 0)[6]
	b.attest("B", 1, 0)
	for _, other := range []string{"1", registry + "0"} {
		if _, err := b.announceListed(other, nonce(), 0); !redis.HasErrorPrefix(err, "UNLISTED") {
			b.Errorf("on registry %s: %v, want UNLISTED", other, err)
		}
	}
	b.want("n", b.field("n"), "")
	r, err := b.announceListed(registry, nonce(), 0)
	if err != nil {
		b.Fatal(err)
	}
	got := make(map[any]any)
	list := r[3].([]any)
	for i := 0; i < len(list); i += 2 {
		got[list[i]] = list[i+1]
	}
	b.want("nodes", fmt.Sprint(got), fmt.Sprintf("map[A:%s B:%s]", b.node("l:A"), b.node("l:B")))
	b.rdb.Del(b.ctx, b.nodes)
	if _, err := b.announceListed(registry, nonce(), 0); !redis.HasErrorPrefix(err, "UNLISTED") {
		b.Errorf("without a registry: %v, want UNLISTED", err)
	}
}

func appendStamps(b *bus) {
	stamp := func(nonce string, stamps int) int64 {
		r, err := b.announceListed("", nonce, stamps)
		if err != nil {
			b.Fatal(err)
		}
		return r[2].(int64)
	}
	b.want("none is taken", stamp(nonce(), 0), int64(0))
	c := nonce()
	first := stamp(c, 1)
	if skew := time.Since(time.UnixMicro(first)).Abs(); skew > time.Hour {
		b.Errorf("stamp %d is %v off the clock", first, skew)
	}
	b.want("run twice", stamp(c, 1), first)
	b.wantAbove("the second stamp", stamp(nonce(), 1), first)
	future := first + time.Hour.Microseconds()
	b.rdb.HSet(b.ctx, b.key, "t", future)
	b.want("after the clock went back", stamp(nonce(), 3), future+3)
	b.want("none is taken", stamp(nonce(), 0), int64(0))
	b.want("the next", stamp(nonce(), 1), future+4)
}

func expelStale(b *bus) {
	expel := func(args ...any) int64 {
		n, err := b.run.Run(b.ctx, load(b, "expel.lua"), []string{b.nodes}, args...)
		if err != nil {
			b.Fatalf("EXPEL: %v", err)
		}
		return n.(int64)
	}
	b.attest("A", 1, 0)
	b.attest("B", 1, 0)
	b.attest("C", 1, 0)
	a, was := b.node("l:A"), b.node("l:B")
	b.attest("B", 2, 0)
	b.want("removed", expel("A", a, "B", was), int64(1))
	b.want("once more", expel("A", a, "B", was), int64(0))
	b.want("A and B", fmt.Sprint(b.node("l:A"), b.node("l:B") != ""), "true")
	b.want("who leaves", expel("C", ""), int64(1))
}
