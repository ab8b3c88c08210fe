package main

// acknowledgements are the guards of announcements that every node confirms, and of the
// fences that nodes remember.
var acknowledgements = []row{
	{"noack", "I16", "nobody's confirmation is waited for",
		"coherence/ack.go:Heard", `r.hearing == nil`, `true`,
		"coherence.TestGatedI16SilentNodeIsWaitedFor"},
	{"nooutwait", "I16", "a node that does not confirm is not waited for",
		"coherence/ack.go:outwait", `now < p.end(r)`, `false`,
		"coherence.TestGatedI16SilentNodeIsWaitedFor"},
	{"unattested", "I16", "a node that has not attested since the announcement counts as having confirmed it",
		"coherence/ack.go:consult", `value == p.value`, `false`,
		"coherence.TestGatedI16RegistryShowsNoConfirmation/not attested since"},
	{"shortof", "I16", "a node that has attested short of the announcement counts as having confirmed it",
		"coherence/ack.go:consult", `number < r.number`, `false`,
		"coherence.TestGatedI16RegistryShowsNoConfirmation/attested short of it"},
	{"newregistry", "I16", "a node that another registry does not name counts as having left",
		"coherence/ack.go:consult", `entries.Val()[0] != r.registry`, `false`,
		"coherence.TestGatedI16RegistryShowsNoConfirmation/another registry"},
	{"entrygone", "I16", "the registry is believed about an announcement that is not on the bus any more",
		"coherence/ack.go:consult", `!strings.Contains(slot.Val(), "|"+r.nonce+"|")`, `false`,
		"coherence.TestGatedI16RegistryShowsNoConfirmation/another entry"},
	{"ackfirst", "I16", "a node confirms before it has applied",
		"coherence/bus.go:apply",
		`if err != nil {
			n.distrust(err)
			return
		}`,
		`if err != nil {
			n.distrust(err)
			return
		}
		if c.writer != "" && c.writer != n.name && n.attest.listed.Load() {
			n.debts.add(c.writer, e.at.nonce)
		}`,
		"coherence.TestGatedI16ApplyBeforeConfirming"},
	{"attestlate", "I16", "a probe enters the registry after it has read the bus",
		"coherence/attest.go:attestOrRead",
		`if r, err = n.enlist(ctx, sent, s); err == nil {
			return r, true, n.unproxied(ctx)
		}`,
		`if r, err = n.readBus(ctx, s); err == nil {
			_, err = n.enlist(ctx, sent, s)
		}
		return r, err == nil, err`,
		"coherence.TestGatedI16WhoEntersReadsAfterwards"},
	{"expelblind", "I16", "EXPEL removes a node that has attested anew",
		"coherence/script/expel.lua", `if ARGV[i + 1] == '' or redis.call('HGET', KEYS[1], at) == ARGV[i + 1] then`, `if true then`,
		"coherence.TestGatedI16WhoReturnsStaysListed"},
	{"clockpurge", "I16", "by Redis' clock a node is gone that nobody has waited for",
		"coherence/script/attest.lua", `redis.call('HSET', KEYS[2], 'l:' .. ARGV[1], ARGV[2] .. '|' .. ARGV[3] .. '|' .. ARGV[4] .. '|' .. t[1])`,
		`if redis.call('HSET', KEYS[2], 'l:' .. ARGV[1], ARGV[2] .. '|' .. ARGV[3] .. '|' .. ARGV[4] .. '|' .. t[1]) == 1 then
  local all = redis.call('HGETALL', KEYS[2])
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'l:' and tonumber(string.match(all[i + 1], '|(%d+)$')) < t[1] - 86400 then redis.call('HDEL', KEYS[2], all[i]) end
  end
end`,
		"coherence.TestGatedI16ClockOfRedisRemovesNobody"},
	{"sweepearly", "I16", "a sweep takes nodes off the registry before it has waited for their leases",
		"coherence/registry.go:sweepRegistry", `s.due = n.Now().Add(withMargin(longest))`, `s.due = n.Now()`,
		"coherence.TestGatedI16SweepOfTheRegistry"},
	{"nosweep", "", "who died while nobody wrote stays on the registry",
		"coherence/registry.go:sweepRegistry", `len(gone) > 0`, `false`,
		"coherence.TestGatedI16SweepOfTheRegistry"},
	{"nograce", "I16", "writers do not wait after a loss of history",
		"coherence/attest.go:graceLeft", `return Instant(s.node.attest.born.Load()).Add(s.fenceLife()).Sub(s.node.Now())`, `return 0`,
		"coherence.TestGatedI16RegistryLost/noticed"},
	{"rubbishpeer", "I16", "a node whose entry in the registry cannot be read is not waited for",
		"coherence/registry.go:parsePeer", `return maxLease, 0`, `return 0, 0`,
		"coherence.TestPeersOfWhateverTheRegistryHolds"},
	{"unassured", "I16", "a node announces whose assurance ended while it waited to announce",
		"coherence/attest.go:survey", `!s.node.Assured(s.node.Now())`, `false`,
		"coherence.TestGatedI16NotAnnouncedFromBlind/assurance over"},
	{"lostmeanwhile", "I16", "a node announces though history was lost while it waited to announce",
		"coherence/attest.go:survey", `s.graceLeft() > 0`, `false`,
		"coherence.TestGatedI16NotAnnouncedFromBlind/history lost"},
	{"unlisted", "I16", "APPEND goes ahead on a registry that has lost nodes",
		"coherence/script/append.lua", `if not known then`, `if false then`,
		"coherence.TestGatedI16RegistryLost/the registry alone"},
	{"foreignepoch", "I16", "an announcement to a bus that has lost its history counts",
		"coherence/announcing.go:appended", `epoch != a.vantage.view.Epoch`, `false`,
		"coherence.TestGatedI16RegistryLost/another epoch"},
	{"unseen", "I16", "a node attests that cannot tell Redis processes apart",
		"coherence/probe.go:probe", `attested && n.monitor.sees()`, `attested`,
		"coherence.TestGatedI16WhoIsBlindDoesNotAttest"},
	{"unseen", "", "",
		"coherence/space.go:Node.Space",
		`if err := n.unseen(); err != nil {
			return nil, err
		}`,
		``, ""},

	{"endlesswait", "", "a strong write waits as long as Redis goes on losing its data",
		"coherence/attest.go:SettleAcked", `n.Now().Add(left) > patience`, `false`,
		"tiered.TestStrongUpdateWhileRedisGoesOnLosingItsData"},
	{"closewaits", "", "Close waits for a write that waits for lost fences",
		"tiered/write.go:Update", `c.until(ctx)`, `context.WithCancel(ctx)`,
		"tiered.TestStrongCloseEndsTheWait"},

	// Fences that nodes remember.
	{"nolocalfence", "I15", "fences that were announced are forgotten",
		"coherence/fence.go:Overlapped", `s.fences.stands(key, own, now)`, `false`,
		"coherence.TestGatedI15FencesAreRemembered"},
	{"liftany", "I15", "the end of a fence ends all fences of its key",
		"coherence/fence.go:fences.lift",
		`if f.keys[key] = f.drop(key, t, now); len(f.keys[key]) == 0 {
			delete(f.keys, key)
		}`,
		`delete(f.keys, key)`,
		"coherence.TestGatedI15FencesAreRemembered"},
	{"beyondmemory", "I15", "fences beyond those that are remembered are forgotten",
		"coherence/fence.go:stands", `int64(now) <= f.all.Load()`, `false`,
		"coherence.TestFencesBeyondMemory"},
	{"shortlife", "I15", "a node reckons with the life of its own fences, though others' are longer",
		"coherence/fence.go:heed", `int64(c.life) > s.life.Load()`, `false`,
		"coherence.TestGatedI15LongerFencesOfOthers"},
	{"latefence", "I15", "the generation moves before the fence is known",
		"coherence/bus.go:apply", `s.heed(c)`, `s.bumpAll(c.keys); s.heed(c)`,
		"coherence.TestGatedI15FenceBeforeGeneration"},
	{"noyoung", "I15", "a node that has missed fences caches at once",
		"coherence/fence.go:Overlapped", `now <= s.deafUntil()`, `false`,
		"coherence.TestGatedI15WhoMissedFencesIsBarred"},
}
