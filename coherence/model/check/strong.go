package main

// strong is the model of the strong mode.
const strong = "strong"

// Its configurations: one or two writers of node 1, and node 0 that reads, unless said
// otherwise. COARSE takes the two steps of a probe for one.
const (
	one      = "READERS=1"
	coarse   = one + " COARSE"
	two      = coarse + " WRITERS=2"
	flush    = coarse + " FLUSH"
	registry = coarse + " REGISTRY"
	bus      = one + " BUS"
	heed     = one + " FINE FLUSH"
)

// strongConfigurations must hold.
var strongConfigurations = []trial{
	{model: strong, name: "strong", options: "READERS=2"},
	{model: strong, name: "strong-fine", options: one + " FINE"},
	{model: strong, name: "strong-two", options: two},
	{model: strong, name: "strong-own", options: "ON0=0 READERS=2 COARSE"},
	{model: strong, name: "strong-announce", options: one + " UPDATES=0"},
	{model: strong, name: "strong-mixed", options: two + " UPDATES=1"},
	{model: strong, name: "strong-join", options: flush + " JOINS=1"},
	{model: strong, name: "strong-flush", options: one + " FLUSH"},
	{model: strong, name: "strong-readers", options: "READERS=2 COARSE FLUSH"},
	{model: strong, name: "strong-registry", options: one + " REGISTRY"},
	{model: strong, name: "strong-bus", options: bus},
	{model: strong, name: "strong-record", options: coarse + " RECORD PROMPT"},
	{model: strong, name: "strong-rollback", options: coarse + " ROLLBACK"},
}

// strongDeep must hold as well.
var strongDeep = []trial{
	{model: strong, name: "deep-strong-both", options: "ON0=0 ON1=1 WRITERS=2 READERS=1 COARSE"},
	{model: strong, name: "deep-strong-flush", options: two + " FLUSH"},
	{model: strong, name: "deep-strong-rollback", options: "READERS=2 COARSE ROLLBACK"},
}

// strongSwitches must be noticed.
var strongSwitches = []trial{
	// Acknowledged announcements.
	linear("NO_ACK", coarse),
	linear("AFTER_WRITE", coarse),
	linear("NO_OUTWAIT", one),
	linear("ACK_FIRST", one+" FINE"),
	linear("ATTEST_LATE", one+" REGISTRY"),
	linear("EXPEL_BLIND", two),
	linear("NO_GRACE", registry),
	linear("UNLISTED", registry),
	linear("FOREIGN_EPOCH", bus),
	linear("REPLY_LEASE", one),

	// Fences.
	linear("NO_LOCALFENCE", flush),
	linear("LIFT_ANY", two+" FLUSH"),
	linear("LATE_FENCE", heed),
	linear("NO_YOUNG", flush),
	linear("TAKE_BLIND", flush),
	linear("NO_DEADLINE", coarse),
	linear("NO_HALF", flush),

	// Reads.
	linear("LEASE_ENOUGH", one+" REGISTRY"),
	linear("STRONG_WINDOW", one),
	linear("STRONG_WEAK", coarse),
	linear("CACHE_FENCED", coarse),
	linear("JOIN_SEALED", coarse),
	linear("JOIN_LAX", coarse),
}

func linear(guard, options string) trial {
	return trial{model: strong, guard: guard, options: options, expect: "Linear"}
}
