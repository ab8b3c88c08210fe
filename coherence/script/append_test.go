package script_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

func appendChains(b *bus) {
	previous := ""
	for i := range int64(5) {
		c, payload := nonce(), fmt.Sprintf("payload|%d", i)
		r := b.announce(c, payload)
		b.want("n", r.n, i+1)
		entry := fmt.Sprintf("%d|%s|%s|%s", i+1, previous, c, payload)
		b.want("slot", b.field(fmt.Sprint(i+1)), entry)
		b.want("n of the bus", b.field("n"), fmt.Sprint(i+1))
		b.want("c of the bus", b.field("c"), c)
		if got := b.published(); len(got) != 1 || got[0] != entry {
			b.Errorf("published %q, want %q", got, entry)
		}
		previous = c
	}
	b.want("TTL", b.rdb.TTL(b.ctx, b.key).Val(), time.Duration(-1))
}

func appendWraps(b *bus) {
	for n, slot := range map[int64]string{ring - 1: "1023", ring: "0", ring + 1: "1", 1 << 40: "0", 1<<53 - 1: "1023"} {
		b.rdb.Del(b.ctx, b.key)
		b.rdb.HSet(b.ctx, b.key, "n", n-1, "c", "abc", "e", 7)
		b.want("n", b.announce("ff", "p").n, n)
		b.want("slot "+slot, b.field(slot), fmt.Sprintf("%d|abc|ff|p", n))
		b.want("n of the bus", b.field("n"), fmt.Sprint(n))
		b.want("fields", b.rdb.HLen(b.ctx, b.key).Val(), int64(4))
	}
}

// The second run appends nothing, publishes nothing and answers like the first.
func appendTwice(b *bus) {
	for _, payload := range []string{"first", "second|", strings.Repeat("large", 1<<16)} {
		c := nonce()
		first := b.announce(c, payload)
		before := b.rdb.HGetAll(b.ctx, b.key).Val()
		b.published()
		second := b.announce(c, payload)
		b.want("n", second.n, first.n)
		b.want("epoch", second.epoch, first.epoch)
		b.want("bus", fmt.Sprint(b.rdb.HGetAll(b.ctx, b.key).Val()), fmt.Sprint(before))
		if got := b.published(); len(got) != 0 {
			b.Errorf("published again: %.100q", got)
		}
	}
}

// A copy behind another entry is an entry of its own, and the chain holds.
func appendLateCopy(b *bus) {
	c, other := nonce(), nonce()
	b.announce(c, "keys")
	b.announce(other, "other keys")
	r := b.announce(c, "keys")
	b.want("n", r.n, int64(3))
	b.want("the entry", b.field("3"), fmt.Sprintf("3|%s|%s|keys", other, c))
}

func appendEpoch(b *bus) {
	r := b.announce(nonce(), "p")
	if skew := time.Since(time.UnixMilli(number(b, r.epoch))).Abs(); skew > time.Hour {
		b.Errorf("epoch %s is %v off the clock", r.epoch, skew)
	}
	b.want("epoch of the bus", b.field("e"), r.epoch)
	b.want("epoch of the next", b.announce(nonce(), "p").epoch, r.epoch)
	b.rdb.HSet(b.ctx, b.key, "e", 42)
	b.want("epoch", b.announce(nonce(), "p").epoch, "42")
	b.rdb.HDel(b.ctx, b.key, "e")
	last := b.field("c")
	b.want("epoch of a second run on a bus without", b.announce(last, "p").epoch, b.field("e"))
}

func appendPayloads(b *bus) {
	for _, payload := range []string{"", "|", "\x00\r\n\xff", "%d%s", strings.Repeat("\x00", 1<<20)} {
		r := b.announce("aa"+nonce(), payload)
		got := b.published()
		if len(got) != 1 || !strings.HasSuffix(got[0], "|"+payload) || got[0] != b.field(fmt.Sprint(r.n)) {
			b.Errorf("the entry of %.40q is %.100q", payload, got)
		}
	}
}

// Where there are live members, nobody else announces.
func appendStrangers(b *bus) {
	b.beat("alive", time.Minute, 0, 0)
	b.beat("dying", time.Millisecond, 0, 0)
	<-time.After(10 * time.Millisecond) // of the server's clock
	if _, err := b.announceAs("alive", nonce(), "p"); err != nil {
		b.Errorf("a member: %v", err)
	}
	for _, who := range []string{"", "dying", "never"} {
		if _, err := b.announceAs(who, nonce(), "p"); !redis.HasErrorPrefix(err, "STRANGER") {
			b.Errorf("member %q: %v, want STRANGER", who, err)
		}
	}
	b.want("n", b.field("n"), "1")
	b.beat("alive", 0, 0, 1)
	if _, err := b.announceAs("", nonce(), "p"); err != nil {
		b.Errorf("after the last member has left: %v", err)
	}
}

func appendRubbish(b *bus) {
	b.rdb.HSet(b.ctx, b.key, "n", "no number", "c", "xyz", "e", "5")
	b.want("n", b.announce("ff", "p").n, int64(1))
	b.want("the entry", b.field("1"), "1|xyz|ff|p")

	b.rdb.Del(b.ctx, b.key)
	b.rdb.Set(b.ctx, b.key, "foreign", 0)
	if _, err := b.run.Run(b.ctx, b.append, []string{b.key, b.nodes}, b.prefix(), "ff", "p", 0); err == nil {
		b.Error("APPEND to a string succeeded")
	}
	b.want("the foreign key", b.rdb.Get(b.ctx, b.key).Val(), "foreign")
}

func confirmStands(b *bus) {
	confirm := load(b, "confirm.lua")
	confirmed := func(slot, nonce string) any {
		v, err := b.run.Run(b.ctx, confirm, []string{b.key}, slot, nonce)
		if err != nil {
			b.Fatalf("CONFIRM: %v", err)
		}
		return v
	}
	c, other := nonce(), nonce()
	b.want("before the entry", confirmed("1", c), int64(0))
	b.announce(c, "keys")
	b.want("the entry", confirmed("1", c), int64(1))
	b.announce(other, "keys")
	b.want("the entry, behind another", confirmed("1", c), int64(1))
	b.want("another nonce in its slot", confirmed("1", other), int64(0))
	b.rdb.HSet(b.ctx, b.key, "n", ring)
	b.announce(nonce(), "keys") // number 1025 falls into slot 1
	b.want("the entry, a ring later", confirmed("1", c), int64(0))
}
