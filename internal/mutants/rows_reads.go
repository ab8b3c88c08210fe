package main

// reads are the guards of hits, of what is kept in memory, and of what Redis answers.
var reads = []row{
	// Hits.
	{"nolease", "I3", "a hit asks for no lease",
		"tiered/get.go:hit", `c.leased(now)`, `true`,
		"tiered.TestGatedI3LeaseRunsOut"},
	{"leaseenough", "I3", "strong reads need no assurance, the lease will do",
		"tiered/consistency.go:leased", `c.strong`, `false`,
		"tiered.TestGatedI3NothingWithoutAssurance/refused"},
	{"leaselate", "I3", "a hit reads the lease after the generation",
		"tiered/get.go:good", `inStep`,
		`func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), c.bound)
			defer cancel()
			<-ctx.Done()
			return c.leased(now)
		}()`,
		"tiered.TestGatedI3LeaseBeforeGeneration"},
	{"nogen", "I2", "a hit compares no generations",
		"tiered/get.go:good", `e.gen != c.space.Generation(hash)`, `false`,
		"tiered.TestGatedI2GenerationMoves"},
	{"strongwindow", "I3", "strong reads serve for MaxStale what was loaded, whatever the assurance",
		"tiered/cache.go:New", `c.window = math.MinInt64 / 2`, ``,
		"tiered.TestGatedI3NothingWithoutAssurance/cut off"},
	{"keyblind", "", "a hit takes what hangs in the slot of its hash, of whatever key",
		"tiered/index.go:find", `e.key != key`, `false`,
		"tiered.TestGatedHashCollision"},
	{"atleastblind", "", "a token asks for nothing",
		"tiered/token.go:includes", `t.epoch == 0`, `true`,
		"tiered.TestGatedTokenIsSeen"},
	{"atleastweak", "", "a token is content with copies that were loaded without Redis",
		"tiered/get.go:find", `e.weak || !c.leased(now)`, `false`,
		"tiered.TestGatedTokenTakesNoWeakLoad/copy"},

	// What is kept in memory.
	{"lategen", "I2", "the generation of a copy is read after the load, not before",
		"tiered/store.go:keepAt", `r.gen`, `c.space.Generation(r.hash)`,
		"tiered.TestGatedI2GenerationBeforeRead"},
	{"weak", "I3", "what was loaded without Redis is kept like any other copy",
		"tiered/store.go:keepWeak", `c.local.set(r.hash, e, rec.size)`, `c.keep(r, v, rec)`,
		"tiered.TestGatedI3WeakCopyDies"},
	{"cachefenced", "I6", "what was loaded under a fence is kept",
		"tiered/fly.go:bypass", `return v, err`,
		`if rec, _ := c.encode(token.Token{}, r, v, err, 0); rec != nil {
			c.keep(r, v, rec)
		}
		return v, err`,
		"tiered.TestGatedI6FencedIsNotKept"},
	{"outlive", "I17", "copies in memory outlive their record in Redis",
		"tiered/store.go:keepAt", `min(now.Add(c.untilRedis(now, h.Hard)), r.began.Add(c.cfg.LocalTTL))`, `r.began.Add(c.cfg.LocalTTL)`,
		"tiered.TestGatedI17CopyEndsWithRecord"},
	{"negativestale", "", "what does not exist is served stale",
		"tiered/store.go:expiries", `negative`, `false`,
		"tiered.TestGatedNegativeIsNeverStale"},

	// Whether Redis is asked.
	{"nobreaker", "", "Redis is asked although the lease has run out",
		"tiered/consistency.go:asks", `c.leased(now)`, `true`,
		"tiered.TestGatedBreakerCostsNothing"},
	{"nobreaker", "", "",
		"tiered/look.go:timely", `!c.leased(now)`, `false`, ""},
	{"queueblind", "", "what has queued is sent although the lease has run out meanwhile",
		"tiered/look.go:timely", `!c.leased(now)`, `false`,
		"tiered.TestGatedQueueEndsWithTheLease"},
	{"latecall", "", "calls of scripts are sent that have queued for longer than a Timeout",
		"tiered/remote_calls.go:late", `time.Since(q.Value.asked) > r.timeout`, `false`,
		"tiered.TestGatedAbandonedCallIsNotSent"},
	{"lonelate", "", "a read whose deadline is near sends for itself, and waits for the answer",
		"internal/gather/gather.go:lasts", `!ok || time.Until(deadline) >= g.limits.Time`, `true`,
		"tiered.TestGatedDeadlineOfALoneRead"},
	{"nopending", "I14", "a key whose invalidation has failed is still read from Redis",
		"coherence/space.go:Pending", `return s.node.journal.holds(s, key)`, `return false`,
		"tiered.TestGatedI14UnconfirmedIsBypassed"},
	{"takeanyway", "I14", "the load lock is asked for where Redis is not to be asked",
		"tiered/fly.go:take", `!c.asks(r.key, c.node.Now())`, `false`,
		"tiered.TestGatedI14UnconfirmedIsNotAskedFor"},

	// What Redis answers.
	{"epochignored", "I11", "values of an older epoch are served",
		"tiered/judge.go:judge", `env.Epoch < r.view.Epoch`, `false`,
		"tiered.TestGatedI11OldEpochIsVoid"},
	{"epochahead", "I11", "values of a newer epoch are served by a node that does not know it",
		"tiered/judge.go:judge", `env.Epoch > r.view.Epoch`, `false`,
		"tiered.TestGatedI11NewerEpochIsLeftAlone"},
	{"hardignored", "I17", "values past their hard expiry are served",
		"tiered/judge.go:judge", `env.Hard <= c.node.RedisLatest(c.node.Now())`, `false`,
		"tiered.TestGatedI17HardExpiryOfRecord"},
	{"firstbyte", "", "a malformed fence counts as a fence",
		"tiered/remote.go:classify", `raw[0] == 'F' && n > 1 && (n-1)%fenceLength == 0`, `raw[0] == 'F'`,
		"tiered.TestGatedHostileRecords"},
	{"stampany", "I1", "a copy in memory stands for a record with another stamp",
		"tiered/judge.go:decoded", `e.mark != markOf(env.Stamp)`, `false`,
		"tiered.TestGatedI1DecodedOnlyByItsStamp"},
}
