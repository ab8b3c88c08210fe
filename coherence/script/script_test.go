// Package script_test holds the scripts of the bus to their contracts. Package
// coherence embeds them.
package script_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/internal/script"
	"github.com/tiercache/tiercache/internal/token"
)

const ring = 1024

// A bus is the bus of one fleet.
type bus struct {
	testing.TB
	ctx          context.Context
	rdb          *redis.Client
	run          *script.Runner
	append, meet *script.Script
	key, nodes   string
	channel      *redis.PubSub
	age          int64 // what MEET last answered
}

// scenarios run on every server.
var scenarios = []struct {
	name string
	run  func(b *bus)
}{
	{"append: numbers, nonces and slots", appendChains},
	{"append: the ring wraps", appendWraps},
	{"append: run twice", appendTwice},
	{"append: a late copy", appendLateCopy},
	{"append: makes and keeps the epoch", appendEpoch},
	{"append: payloads of any bytes", appendPayloads},
	{"append: strangers", appendStrangers},
	{"append: a bus that holds rubbish", appendRubbish},
	{"append: on the registry", appendListed},
	{"append: stamps", appendStamps},
	{"attest: enters and reads", attestReads},
	{"attest: the birth", attestBirth},
	{"attest: nobody is removed", attestRemovesNobody},
	{"expel: unless attested anew", expelStale},
	{"confirm: while the entry stands in its slot", confirmStands},
	{"beat: come, stay and leave", beatMembers},
	{"beat: a life ends", beatExpiry},
	{"recover: kept when all have reported", recoverKept},
	{"recover: cold", recoverCold},
	{"recover: another process follows", recoverAnother},
	{"meet: a new bus", meetNew},
	{"meet: a known history", meetKnown},
	{"meet: an unknown history", meetUnknown},
	{"meet: an unnamed history", meetUnnamed},
	{"meet: an epoch below the highest seen", meetBelow},
	{"meet: by force, once for all", meetForce},
	{"meet: two restarts on the same snapshot", meetRestarts},
	{"meet: the clock went back", meetClockBack},
	{"meet: a bus that holds rubbish", meetRubbish},
}

func TestScripts(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) string{
		"embedded": func(t *testing.T) string { return redistest.RunEmbedded(t).Addr() },
		"real":     func(t *testing.T) string { return redistest.RunServer(t).Addr() },
	} {
		t.Run(name, func(t *testing.T) {
			rdb := redis.NewClient(&redis.Options{Addr: start(t)})
			t.Cleanup(func() { _ = rdb.Close() })
			for i, s := range scenarios {
				t.Run(s.name, func(t *testing.T) { s.run(newBus(t, rdb, fmt.Sprintf("{fleet%d}", i))) })
			}
		})
	}
}

func newBus(t testing.TB, rdb *redis.Client, prefix string) *bus {
	b := &bus{
		TB: t, ctx: context.Background(), rdb: rdb, run: script.NewRunner(rdb),
		append: load(t, "append.lua"), meet: load(t, "meet.lua"),
		key: prefix + ":bus", nodes: prefix + ":nodes",
	}
	b.channel = rdb.Subscribe(b.ctx, prefix)
	t.Cleanup(func() { _ = b.channel.Close() })
	if _, err := b.channel.Receive(b.ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

func load(t testing.TB, file string) *script.Script {
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return script.New(string(source), true)
}

// reply is what APPEND answers.
type reply struct {
	n     int64
	epoch string
}

func (b *bus) announce(nonce, payload string) reply {
	b.Helper()
	v, err := b.announceAs("", nonce, payload)
	if err != nil {
		b.Fatalf("APPEND: %v", err)
	}
	f := v.([]any)
	return reply{f[0].(int64), f[1].(string)}
}

func (b *bus) announceAs(member, nonce, payload string) (any, error) {
	return b.run.Run(b.ctx, b.append, []string{b.key, b.nodes}, b.prefix(), nonce, payload, 0, member)
}

func (b *bus) prefix() string { return strings.TrimSuffix(b.key, ":bus") }

// greet meets and checks that a second run, of a client that lost the reply, agrees.
func (b *bus) greet(identity string, seen int64, force int) int64 {
	b.Helper()
	meet := func() int64 {
		v, err := b.run.Run(b.ctx, b.meet, []string{b.key}, identity, seen, force)
		if err != nil {
			b.Fatalf("MEET: %v", err)
		}
		fields := v.([]any)
		b.age = fields[1].(int64)
		return number(b, fields[0].(string))
	}
	epoch := meet()
	if again := meet(); again != epoch {
		b.Errorf("MEET(%q, %d, %d) = %d, run again %d", identity, seen, force, epoch, again)
	}
	if stored := number(b, b.field("e")); stored != epoch {
		b.Errorf("MEET(%q, %d, %d) = %d, but the bus has %d", identity, seen, force, epoch, stored)
	}
	return epoch
}

func number(t testing.TB, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatalf("%q is no whole number", s)
	}
	return n
}

func (b *bus) field(name string) string { return b.rdb.HGet(b.ctx, b.key, name).Val() }

// published returns what reached the channel since it was last called.
func (b *bus) published() []string {
	b.Helper()
	b.rdb.Publish(b.ctx, b.prefix(), "end")
	var payloads []string
	for {
		m, err := b.channel.ReceiveMessage(b.ctx)
		if err != nil {
			b.Fatal(err)
		}
		if m.Payload == "end" {
			return payloads
		}
		payloads = append(payloads, m.Payload)
	}
}

func (b *bus) want(what string, got, want any) {
	b.Helper()
	if got != want {
		b.Errorf("%s = %.100q, want %.100q", what, fmt.Sprint(got), fmt.Sprint(want))
	}
}

func nonce() string { return token.New().Hex() }

// A server over its maxmemory still takes announcements and is still met.
func TestOutOfMemory(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: redistest.RunServer(t, "--maxmemory", "1mb", "--maxmemory-policy", "noeviction").Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	b := newBus(t, rdb, "{full}")
	for rdb.Append(b.ctx, "fill", strings.Repeat("x", 1<<16)).Err() == nil {
	}
	epoch := b.greet("run:repl", 0, 0)
	r := b.announce(nonce(), "p")
	b.want("n", r.n, int64(1))
	b.want("epoch", r.epoch, fmt.Sprint(epoch))
	b.want("messages", len(b.published()), 1)
}
