package main

import (
	"fmt"
	"slices"
	"strings"
)

// A trial is one search: of the model as it is, or with a guard switched off.
type trial struct {
	model   string // its directory
	name    string
	options string // definitions, separated by spaces
	guard   string // the switch that takes it out; "" for none
	expect  string // the property that must fail then
}

func (t trial) defines() []string {
	var args []string
	for _, o := range strings.Fields(t.options) {
		args = append(args, "-D"+o)
	}
	if t.guard != "" {
		args = append(args, "-D"+t.guard)
	}
	return args
}

// verdict is the line to print, and whether the trial came out as expected.
func (t trial) verdict(r result, err error) (line string, ok bool) {
	if err != nil {
		return fmt.Sprintf("BROKEN      %-16s %v", t.name, err), false
	}
	say := ""
	switch {
	case t.guard == "" && r.whole:
		say, ok = "holds       %-16s "+t.claims(), true
	case t.guard == "" && r.errors > 0:
		say = "VIOLATED    %-16s " + r.violated
	case t.guard == "":
		say = "CUT SHORT   %-16s not every state was visited"
	case r.errors > 0 && r.violated == t.expect:
		say, ok = "noticed     %-16s "+r.violated+" fails in "+t.options, true
	case r.errors > 0:
		say = "NOT AS SAID %-16s " + r.violated + " fails, not " + t.expect
	default:
		say = "UNNOTICED   %-16s " + t.expect + " still holds in " + t.options
	}
	return fmt.Sprintf(say+": %d states, depth %d, %.0f MB, %.1f s", t.name, r.states, r.depth, r.memory, r.seconds), ok
}

// claims names the properties that the options can put to the test.
func (t trial) claims() string {
	if t.model == strong {
		return "Linear"
	}
	has := func(option string) bool { return strings.Contains(" "+t.options+" ", " "+option) }
	claims := "I1 I5 I6"
	if !has("UPDATES=0 ") {
		claims += " I9"
	}
	if has("ROLLBACKS=1 ") && !has("WARM ") {
		claims += " I11"
	}
	if has("OWN ") {
		claims += " I14"
	}
	return claims
}

// Configurations. WATCHED is the writer whose write the bound is checked of, OBSERVED
// (node 0) the node whose local copies are; writer i runs on node i.
const (
	updates  = "UPDATES=2 WATCHED=1"
	other    = "UPDATES=2 WATCHED=0"
	mixed    = "UPDATES=1 MAXENTRY=3 WATCHED=1"
	announce = "UPDATES=0 MAXENTRY=3 WATCHED=1"
	fine     = "UPDATES=0 MAXENTRY=2 WATCHED=1 FINE"
	late     = "UPDATES=2 WATCHED=1 LATE"
	refresh  = "UPDATES=2 WATCHED=1 REFRESH"
	rollback = "UPDATES=0 MAXENTRY=2 WATCHED=1 WRITERS=1 ROLLBACKS=1"
	fenced   = "UPDATES=1 MAXENTRY=3 WATCHED=0 ROLLBACKS=1"
	full     = "UPDATES=0 MAXENTRY=3 WATCHED=1 ROLLBACKS=1"
	warm     = "UPDATES=0 MAXENTRY=3 WATCHED=1 WRITERS=1 ROLLBACKS=1 WARM"
)

// configurations must hold.
var configurations = []trial{
	{name: "full", options: full},
	{name: "full-own", options: "UPDATES=0 MAXENTRY=3 WATCHED=0 ROLLBACKS=1"},
	{name: "warm", options: warm},
	{name: "full-update", options: "UPDATES=2 MAXENTRY=3 WATCHED=1 WRITERS=1 ROLLBACKS=1"},
	{name: "crash", options: "UPDATES=0 MAXENTRY=2 WATCHED=1 WRITERS=1 ROLLBACKS=1 CRASHES=1"},
	{name: "refresh", options: refresh},
	{name: "updates", options: updates},
	{name: "updates-own", options: other + " OWN"},
	{name: "mixed", options: mixed},
	{name: "mixed-own", options: "UPDATES=1 MAXENTRY=3 WATCHED=0"},
	{name: "announce", options: announce},
	{name: "fine", options: fine},
}

// deep configurations must hold as well; they take minutes and 3 GB each.
var deep = []trial{
	{name: "deep-mixed", options: "UPDATES=1 MAXENTRY=3 WATCHED=1 ROLLBACKS=1"},
	{name: "deep-late", options: late},
	{name: "deep-warm-update", options: "UPDATES=2 MAXENTRY=3 WATCHED=1 WRITERS=1 ROLLBACKS=1 WARM"},
	{name: "deep-warm-crash", options: warm + " CRASHES=1"},
}

// switches must be noticed, each by the failure of a property.
var switches = []trial{
	// The hit.
	{guard: "NO_LEASE", options: announce, expect: "I1"},
	{guard: "NO_GEN", options: announce, expect: "I1"},
	{guard: "LEASE_LATE", options: announce, expect: "I1"},

	// What is kept.
	{guard: "LATE_GEN", options: fine, expect: "I1"},
	{guard: "WEAK", options: updates, expect: "I9"},
	{guard: "CACHE_FENCED", options: updates, expect: "I9"},

	// Flights.
	{guard: "JOIN_GEN", options: announce, expect: "I1"},
	{guard: "JOIN_SEALED", options: updates, expect: "I9"},
	{guard: "JOIN_OLD", options: announce, expect: "I1"},

	// Scripts.
	{guard: "NO_TOKEN", options: updates, expect: "I5"},
	{guard: "NO_GRANT", options: late, expect: "I5"},
	{guard: "NO_EXPIRY", options: late, expect: "I9"},
	{guard: "REPLACE_BLIND", options: refresh, expect: "I5"},
	{guard: "UNFENCE_DIRTY", options: other, expect: "I9"},
	{guard: "FENCE_CLEAN", options: other, expect: "I9"},
	{guard: "OTHERS_CLEAN", options: other, expect: "I9"},
	{guard: "INVAL_CLEAN", options: mixed, expect: "I1"},
	{guard: "INVAL_FENCES", options: mixed, expect: "I6"},

	// Writing.
	{guard: "APPEND_FIRST", options: updates, expect: "I9"},
	{guard: "ANNOUNCE_FIRST", options: announce, expect: "I1"},
	{guard: "NO_DEADLINE", options: updates, expect: "I9"},
	{guard: "WITHDRAW_DOUBT", options: updates, expect: "I9"},
	{guard: "NO_BUMP", options: other + " OWN", expect: "I14"},
	{guard: "NO_REANNOUNCE", options: fenced, expect: "I1"},

	// Following the bus.
	{guard: "GAP_IGNORED", options: announce, expect: "I1"},
	{guard: "REPLY_LEASE", options: fine, expect: "I1"},
	{guard: "APPLY_LATE", options: fine, expect: "I1"},
	{guard: "NO_CHAIN", options: full, expect: "I1"},

	// Loss of history.
	{guard: "NO_VOID", options: rollback, expect: "I1"},
	{guard: "NO_SUSPECT", options: rollback, expect: "I11"},
	{guard: "NO_UNKNOWN", options: rollback, expect: "I11"},
	{guard: "NO_EPOCH", options: rollback, expect: "I11"},

	// Warm failover.
	{guard: "NO_REISSUE", options: warm, expect: "I1"},
	{guard: "NO_REPORT", options: warm, expect: "I1"},
	{guard: "NO_ANNOUNCEHOLDS", options: warm, expect: "I1"},
	{guard: "NO_REWIND", options: warm, expect: "I1"},
}

// trials lists the searches: configurations first, those of the bounded mode first.
func trials(withDeep bool) []trial {
	all := slices.Concat(configurations, strongConfigurations)
	if withDeep {
		all = slices.Concat(all, deep, strongDeep)
	}
	for _, t := range slices.Concat(switches, strongSwitches) {
		t.name = strings.TrimPrefix(t.model+"-"+t.guard, "-")
		all = append(all, t)
	}
	return all
}
