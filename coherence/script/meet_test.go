package script_test

import (
	"fmt"
	"time"
)

func meetNew(b *bus) {
	epoch := b.greet("run:repl", 0, 0)
	if skew := time.Since(time.UnixMilli(epoch)).Abs(); skew > time.Hour {
		b.Errorf("epoch %d is %v off the clock", epoch, skew)
	}
	b.want("history", b.field("r:run:repl"), fmt.Sprint(epoch))
	b.want("TTL", b.rdb.TTL(b.ctx, b.key).Val(), time.Duration(-1))
}

func meetKnown(b *bus) {
	epoch := b.greet("run:repl", 0, 0)
	b.want("epoch for one who saw it", b.greet("run:repl", epoch, 0), epoch)
	b.want("epoch for one who saw an older", b.greet("run:repl", epoch-1, 0), epoch)
	b.want("epoch for one who saw none", b.greet("run:repl", 0, 0), epoch)
	b.rdb.HSet(b.ctx, b.key, "r:run:repl", epoch-5000)
	b.greet("run:repl", epoch, 0)
	if b.age < 5000 || b.age > 3600_000 {
		b.Errorf("age %d ms of a history met 5 s ago", b.age)
	}
	b.rdb.HSet(b.ctx, b.key, "r:run:repl", time.Now().Add(24*time.Hour).UnixMilli())
	b.greet("run:repl", epoch, 0)
	if b.age >= 0 {
		b.Errorf("age %d ms of a history met in the future", b.age)
	}
	b.greet("", epoch, 0)
	b.want("age for who names no history", b.age, int64(-1))
	b.want("epoch of APPEND", b.announce(nonce(), "p").epoch, fmt.Sprint(epoch))
}

// The first node that meets a history raises the epoch, the others follow it.
func meetUnknown(b *bus) {
	old := b.greet("run:repl", 0, 0)
	raised := b.greet("run:repl2", old, 0)
	b.wantAbove("epoch of a promoted server", raised, old)
	b.want("epoch for the next", b.greet("run:repl2", old, 0), raised)
	b.want("epoch of the former history", b.greet("run:repl", old, 0), raised)
}

func (b *bus) wantAbove(what string, got, floor int64) {
	b.Helper()
	if got <= floor {
		b.Errorf("%s = %d, want above %d", what, got, floor)
	}
}

func meetUnnamed(b *bus) {
	epoch := b.greet("", 0, 0)
	b.want("epoch", b.greet("", epoch, 0), epoch)
	b.want("histories", b.rdb.HLen(b.ctx, b.key).Val(), int64(1))
	b.wantAbove("epoch by force", b.greet("", epoch, 1), epoch)
}

func meetBelow(b *bus) {
	epoch := b.greet("run:repl", 0, 0)
	b.want("epoch", b.greet("run:repl", epoch+1000_000_000, 0), epoch+1000_000_001)
	b.want("epoch of the others", b.greet("run:repl", epoch, 0), epoch+1000_000_001)
}

// Every node of a fleet sees the same fork, and the epoch rises once.
func meetForce(b *bus) {
	epoch := b.greet("run:repl", 0, 0)
	raised := b.greet("run:repl", epoch, 1)
	b.wantAbove("epoch", raised, epoch)
	b.want("epoch for the next who saw it", b.greet("run:repl", epoch, 1), raised)
	b.wantAbove("epoch after another fork", b.greet("run:repl", raised, 1), raised)
}

// Redis is restarted twice on one snapshot: the second time it has forgotten the epoch
// that it was given the first time.
func meetRestarts(b *bus) {
	saved := b.greet("run1:repl1", 0, 0)
	snapshot := b.rdb.HGetAll(b.ctx, b.key).Val()
	restart := func() {
		b.rdb.Del(b.ctx, b.key)
		b.rdb.HSet(b.ctx, b.key, snapshot)
	}
	restart()
	first := b.greet("run2:repl2", saved, 0)
	b.wantAbove("epoch after the first restart", first, saved)
	restart()
	second := b.greet("run3:repl3", first, 0)
	b.wantAbove("epoch after the second restart", second, first)

	restart() // and this time one meets it first that has slept through the last two
	third := b.greet("run4:repl4", saved, 0)
	b.wantAbove("epoch after the third restart, for the sleeper", third, saved)
	b.wantAbove("epoch after the third restart", b.greet("run4:repl4", second, 1), second)
}

func meetClockBack(b *bus) {
	future := time.Now().Add(24 * time.Hour).UnixMilli()
	b.rdb.HSet(b.ctx, b.key, "e", future)
	b.want("epoch", b.greet("run:repl", future, 0), future+1)
	b.want("epoch by force", b.greet("run:repl", future+1, 1), future+2)
	b.want("epoch of an unknown history, for one who saw none", b.greet("run2:repl2", 0, 0), future+3)
}

func meetRubbish(b *bus) {
	b.rdb.HSet(b.ctx, b.key, "e", "no number", "r:run:repl", "1")
	b.wantAbove("epoch", b.greet("run:repl", 0, 0), 0)
	b.rdb.HSet(b.ctx, b.key, "e", "-5")
	b.wantAbove("epoch", b.greet("run:repl", 0, 0), 0)
}
