// Package mutant holds switches that take one guard of the protocol out, so that
// the test-suite can prove that a test notices.
//
// In a normal build every switch is the constant false and the guarded code
// compiles to what it would be without this package. Built with the tag mutants,
// the switch named by the environment variable TIERCACHE_MUTANT (its identifier
// in lower case) is on. Guards in Lua are cut out of the source by [Script].
//
// go run ./internal/mutants runs the gated tests against every mutant.
package mutant

import "strings"

// A cut is a guard inside a Lua script: guard, which occurs exactly once in the
// script's source, is replaced by instead.
type cut struct {
	mutant, script string
	guard, instead string
}

var cuts = []cut{
	// COMMIT stores whoever holds the lease, and whatever stands there.
	{"nolease2", "commit", `if string.sub(v, 1, 1 + #id) ~= 'L' .. id then return 0 end`, ``},
	// COMMIT takes a lease for its own that a late copy of ACQUIRE brought back.
	{"nogrant", "commit", `if string.sub(v, 1, 1 + #id) ~= 'L' .. id then return 0 end`,
		`if string.sub(v, 1, 17) ~= 'L' .. string.sub(id, 1, 16) then return 0 end`},
	// REPLACE stores over any value.
	{"replaceblind", "replace", `if string.sub(v, 1, 17) ~= 'V' .. ARGV[1] then return 0 end`, ``},
	// UNFENCE writes through although another write overlapped.
	{"unfencedirty", "unfence", `if through and flag == 'c' then`, `if through then`},
	// FENCE forgets that it overlaps.
	{"fenceclean", "fence", `if n > 0 then flag = 'd' end`, ``},
	// FENCE leaves the fences of others clean.
	{"othersclean", "fence", `others[n] = 'd' .. string.sub(v, i + 1, i + 29)`, `others[n] = string.sub(v, i, i + 29)`},
	// INVAL lets fences write through that it has overtaken.
	{"invalclean", "inval", `live[#live + 1] = 'd' .. string.sub(v, i + 1, i + 29)`, `live[#live + 1] = string.sub(v, i, i + 29)`},
	// INVAL removes the fences of writers.
	{"invalfences", "inval", `if far > 0 then`, `if false then`},
	// A second run of each script takes itself for somebody else.
	{"acquiretwice", "acquire", `if string.sub(v, 2, 17) ~= ARGV[1] then return v end`, `if true then return v end`},
	{"committwice", "commit", `if string.sub(v, 1, 17) == 'V' .. string.sub(id, 1, 16) then return 1 end`, ``},
	{"replacetwice", "replace", `if string.sub(v, 1, 17) == string.sub(ARGV[2], 1, 17) then return 1 end`, ``},
	{"fencetwice", "fence", `if string.sub(v, i + 1, i + 16) == ARGV[1] then`, `if false then`},
	{"unfencetwice", "unfence", `if through and string.sub(v, 1, 17) == 'V' .. string.sub(id, 1, 16) then return 1 end`, ``},
	// APPEND takes anybody's announcement.
	{"stranger", "append", `  if not live(redis.call('HGET', KEYS[2], 'm:' .. (ARGV[5] or ''))) then`, `  if false then`},
	// APPEND goes ahead on a registry that has lost nodes.
	{"unlisted", "append", `if not known then`, `if false then`},
	// EXPEL removes who has attested anew.
	{"expelblind", "expel", `if ARGV[i + 1] == '' or redis.call('HGET', KEYS[1], at) == ARGV[i + 1] then`, `if true then`},
	{"appendtwice", "append", `if last ~= ARGV[2] then`, `if true then`},
}

func (c cut) apply(source string) string {
	if strings.Count(source, c.guard) != 1 {
		panic("mutant: the guard of " + c.mutant + " does not stand once in " + c.script + ".lua")
	}
	return strings.Replace(source, c.guard, c.instead, 1)
}
