package script_test

import (
	"fmt"
	"slices"
	"time"
)

// beat runs BEAT, twice if the second run cannot find the life at its end, and returns
// the last reply.
func (b *bus) beat(id string, life time.Duration, seen, member int) []any {
	b.Helper()
	var reply []any
	for run := range 2 {
		if run == 1 && life < time.Second {
			break
		}
		v, err := b.run.Run(b.ctx, load(b, "beat.lua"), []string{b.key, b.nodes}, id, life.Milliseconds(), seen, member)
		if err != nil {
			b.Fatalf("BEAT: %v", err)
		}
		if run == 1 && fmt.Sprint(v) != fmt.Sprint(reply) {
			b.Errorf("BEAT = %v, run again %v", reply, v)
		}
		reply = v.([]any)
	}
	return reply
}

// members returns the list in a reply of BEAT, in order.
func members(reply []any) string {
	list := reply[2].([]any)
	var out []string
	for i := 0; i < len(list); i += 2 {
		out = append(out, fmt.Sprintf("%v:%v", list[i], list[i+1]))
	}
	slices.Sort(out)
	return fmt.Sprint(out)
}

func beatMembers(b *bus) {
	b.announce(nonce(), "p")
	first, second := b.beat("a", time.Minute, 0, 0), b.beat("b", time.Minute, 0, 0)
	b.want("the first", fmt.Sprint(first[1:]), "[1 []]")
	if first[0].(int64) >= second[0].(int64) {
		b.Errorf("versions %v and %v, want one that grows", first[0], second[0])
	}
	b.want("members", members(second), "[a:0]")
	b.want("a has seen it", members(b.beat("a", time.Minute, 2, 1)), "[b:0]")
	b.want("b hears of that", members(b.beat("b", time.Minute, 2, 1)), "[a:2]")
	b.want("version in the bus", b.field("v"), fmt.Sprint(second[0]))
	b.want("TTL", b.rdb.TTL(b.ctx, b.nodes).Val(), time.Duration(-1))
	b.beat("b", 0, 0, 1)
	third := b.beat("a", time.Minute, 2, 1)
	b.want("after b has left", fmt.Sprint(third[1:]), "[1 []]")
	if third[0].(int64) <= second[0].(int64) {
		b.Errorf("versions %v and %v, want one that grows", second[0], third[0])
	}
	b.want("b is none any more", fmt.Sprint(b.beat("b", time.Minute, 2, 1)), "[-1]")
}

func beatExpiry(b *bus) {
	b.beat("a", time.Minute, 0, 0)
	b.beat("b", 20*time.Millisecond, 0, 0)
	for deadline := time.Now().Add(time.Minute); members(b.beat("a", time.Second-1, 2, 1)) != "[]"; {
		if time.Now().After(deadline) {
			b.Fatal("b stays on the list")
		}
	}
	b.want("b is none any more", fmt.Sprint(b.beat("b", time.Minute, 2, 1)), "[-1]")
	b.rdb.HSet(b.ctx, b.nodes, "m:c", "rubbish")
	b.want("rubbish goes", members(b.beat("a", time.Minute, 3, 1)), "[]")
}

// recover runs RECOVER, twice, and returns the first word of its reply.
func (b *bus) recover(process string, epoch any, id string, grace time.Duration, done int, known ...any) string {
	b.Helper()
	var word string
	for range 2 {
		args := append([]any{process, epoch, id, time.Minute.Milliseconds(), grace.Milliseconds(), done}, known...)
		v, err := b.run.Run(b.ctx, load(b, "recover.lua"), []string{b.key, b.nodes}, args...)
		if err != nil {
			b.Fatalf("RECOVER: %v", err)
		}
		again := v.([]any)[0].(string)
		if word != "" && again != word {
			b.Errorf("RECOVER = %q, run again %q", word, again)
		}
		word = again
	}
	return word
}

// fleet makes a bus with the members a and b and returns its epoch.
func (b *bus) fleet() string {
	b.greet("old:process", 0, 0)
	b.announce(nonce(), "p")
	b.beat("a", time.Minute, 0, 0)
	b.beat("b", time.Minute, 0, 0)
	return b.field("e")
}

func recoverKept(b *bus) {
	e := b.fleet()
	b.want("opened", b.recover("p", e, "a", time.Minute, 0), "open")
	b.want("a vouches for a and b", b.recover("p", e, "a", time.Minute, 1, "a", "b"), "open")
	b.want("a fresh node waits", b.recover("p", "0", "", time.Minute, 1), "open")
	b.want("unmet", b.field("r:p"), "")
	b.want("b comes", b.recover("p", e, "b", time.Minute, 0), "open")
	b.want("b reports", b.recover("p", e, "b", time.Minute, 1), "kept")
	if met := number(b, b.field("r:p")); time.Since(time.UnixMilli(met)).Abs() > time.Hour {
		b.Errorf("met at %d", met)
	}
	b.want("a learns of it", b.recover("p", e, "a", time.Minute, 1, "a", "b"), "kept")
	b.want("epoch", b.field("e"), e)
	b.want("what is left", b.rdb.HLen(b.ctx, b.nodes).Val(), int64(2))
}

func recoverCold(b *bus) {
	b.want("an empty bus", b.recover("p", "5", "a", time.Minute, 1, "a"), "cold")
	e := b.fleet()
	b.want("another epoch", b.recover("p", "5", "a", time.Minute, 1, "a"), "cold")
	b.want("nobody vouches", b.recover("p", e, "a", time.Minute, 1), "open")
	b.want("unmet", b.field("r:p"), "")
	b.rdb.HSet(b.ctx, b.nodes, "u", "1")
	b.want("the grace is over", b.recover("p", e, "a", time.Minute, 1, "a"), "cold")
}

// Reports to one process say nothing about another.
func recoverAnother(b *bus) {
	e := b.fleet()
	b.recover("p", e, "a", time.Minute, 1, "a", "b")
	b.want("b reports to another", b.recover("q", e, "b", time.Minute, 1), "open")
	b.want("and vouches", b.recover("q", e, "b", time.Minute, 1, "a", "b"), "open")
	b.want("a reports", b.recover("q", e, "a", time.Minute, 1), "kept")
	b.want("the first is unmet", b.field("r:p"), "")
}
