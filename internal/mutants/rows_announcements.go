package main

// announcements are the guards of announcements, from the caller to the bus.
var announcements = []row{
	{"noerase", "I7", "Redis is not erased before the announcement",
		"coherence/announce.go:announceBy", `s.erase != nil`, `false`,
		"tiered.TestGatedStaleEndsWithInvalidation"},
	{"noerase", "", "",
		"coherence/announce.go:erasures", `s.erasing == nil`, `true`, ""},
	{"announcefirst", "I7", "the announcement goes ahead of the erasure",
		"coherence/announcing.go:announce", `defer cancel()`, `defer cancel(); _, _ = run.Run(ctx, call.Script, call.Keys, call.Args...)`,
		"tiered.TestGatedI7ErasedBeforeAnnounced"},
	{"appendfirst", "I7", "the announcement goes ahead of the fence",
		"coherence/announcing.go:announce", `defer cancel()`, `defer cancel(); _, _ = run.Run(ctx, call.Script, call.Keys, call.Args...)`,
		"tiered.TestGatedI7FencedBeforeAnnounced"},
	{"stalenonce", "I7", "an announcement that went ahead of a forgotten fence counts as made",
		"coherence/announcing.go:announce",
		`call.Again = func() []any {
			n.prepare(a)
			return a.call.Args
		}`,
		``,
		"tiered.TestGatedI7ForgottenFence"},
	{"fenceunheeded", "I8", "an announcement counts although the fence before it failed",
		"coherence/errand.go:settle", `result.Err != nil`, `false`,
		"coherence.TestGatedI8OneFenceOfABatchFails"},
	{"sharedstamp", "", "writes that share an announcement have one stamp",
		"coherence/errand.go:post",
		`if e.fence {
			stamp++
			own.stamp = stamp
		}`,
		``,
		"coherence.TestGatedWritesShareAnEntry"},
	{"stayqueued", "", "what nobody waits for any more is sent",
		"internal/gather/gather.go:leave", `r.left, g.left = true, true`, `g.left = true`,
		"coherence.TestGatedAbandonedFenceIsNotRaised"},
	{"patient", "", "a write waits for a Redis that is known to be away",
		"coherence/state.go:settle", `n.away()`, `false`,
		"coherence.TestSettleDoesNotWaitForRedisThatIsAway"},
	{"hasty", "", "a write does not wait for a node that is joining",
		"coherence/state.go:away", `joined && failure != nil`, `failure != nil`,
		"coherence.TestSettleWaitsWhileJoining"},
	{"nosettle", "", "writes and announcements do not wait for the lease",
		"coherence/state.go:settle", `settled()`, `true`,
		"tiered.TestGatedBreakerCostsNothing"},
	{"announceacross", "I7", "an announcement counts that two Redis processes answered in part",
		"coherence/announce.go:announceAlone", `!s.node.Holds(view)`, `false`,
		"coherence.TestGatedI7AnnouncementAcrossProcesses"},
	{"announceacross", "", "",
		"coherence/errand.go:dispatch", `s.node.Holds(view)`, `true`, ""},
	{"olderepoch", "I7", "an announcement counts that a server made in an epoch that the fleet has left",
		"coherence/announcing.go:appended", `epoch < known`, `false`,
		"coherence.TestGatedI7AnswerOfAnOlderEpoch"},

	// Announcements that failed.
	{"bumpfirst", "I14", "copies are dropped before the journal knows the key",
		"coherence/announce.go:owe", `kept := s.node.journal.add(s, keys, cause)`, `s.bumpAll(keys); kept := s.node.journal.add(s, keys, cause)`,
		"coherence.TestGatedI14JournalBeforeBump"},
	{"panicforgets", "", "an announcement whose hook panics is forgotten",
		"coherence/announce.go:announceInStep", `s.owe(rest, errUnwound)`, ``,
		"coherence.TestGatedPanicIsOwed"},
	{"panicends", "", "a hook that panics in a goroutine of ours ends the process",
		"coherence/journal.go:repay", `err = fmt.Errorf("coherence: a hook of the client panicked: %v", p)`, `panic(p)`,
		"coherence.TestGatedPanicIsOwed"},
	{"nooverflow", "", "a journal that overflowed forgets",
		"coherence/journal.go:retryAll",
		`if !full {
			return nil
		}`,
		`j.full.Store(false)
		return nil`,
		"coherence.TestGatedOverflowVoidsEverything"},
	{"fulltrusts", "I14", "a journal that overflowed holds only the keys that fitted",
		"coherence/journal.go:holds",
		`if j.full.Load() {
				return true
			}`,
		``,
		"coherence.TestFullJournalHoldsEverything"},
	{"fulltrusts", "", "",
		"coherence/journal.go:holds", `return held || j.full.Load()`, `return held`, ""},
	{"endedjournal", "", "a journal that was closed takes keys that nobody will repeat",
		"coherence/journal.go:add", `j.ended`, `false`,
		"coherence.TestAnnounceDuringClose"},
	{"flushtwice", "I14", "keys that fail while the journal voids everything are forgotten",
		"coherence/journal.go:retryAll", `j.fails == upTo`, `true`,
		"coherence.TestOverflowDuringTheFlush"},
	{"anewforgotten", "I14", "a key that fails again while it is repeated is forgotten",
		"coherence/journal.go:confirm", `j.keys[s][k] == at`, `true`,
		"coherence.TestJournalKeepsWhatFailsAnew"},

	// APPEND.
	{"appendtwice", "I13", "a second run of APPEND announces again",
		"coherence/script/append.lua", `if last ~= ARGV[2] then`, `if true then`,
		"tiered.TestGatedI13EveryCommandTwice"},
	{"oweall", "", "all keys of an announcement are owed that has failed in part",
		"coherence/announce.go:AnnounceAll", `s.owe(rest, err)`, `s.owe(keys, err)`,
		"coherence.TestGatedProgressIsKept"},
}
