//go:build mutants

package mutant

import (
	"os"
	"slices"
)

// The switches. At most one is on.
var (
	// The hit.
	NoLease   = is("nolease")
	NoGen     = is("nogen")
	LeaseLate = is("leaselate")
	KeyBlind  = is("keyblind")

	// What is kept.
	LateGen       = is("lategen")
	Weak          = is("weak")
	CacheFenced   = is("cachefenced")
	Outlive       = is("outlive")
	NegativeStale = is("negativestale")

	// Reading Redis.
	NoBreaker    = is("nobreaker")
	NoPending    = is("nopending")
	EpochIgnored = is("epochignored")
	EpochAhead   = is("epochahead")
	HardIgnored  = is("hardignored")
	FirstByte    = is("firstbyte")
	StampAny     = is("stampany")
	QueueBlind   = is("queueblind")
	LateCall     = is("latecall")
	TakeAnyway   = is("takeanyway")
	LoneLate     = is("lonelate")

	// Loading.
	NoRenew     = is("norenew")
	NoWaitMax   = is("nowaitmax")
	RefreshHerd = is("refreshherd")
	AloneFirst  = is("alonefirst")

	// Flights.
	JoinGen       = is("joingen")
	JoinSealed    = is("joinsealed")
	JoinWeak      = is("joinweak")
	JoinOld       = is("joinold")
	LeaderCancels = is("leadercancels")
	NoAbandon     = is("noabandon")
	WaitDeaf      = is("waitdeaf")

	// Writing.
	WriteUnfenced = is("writeunfenced")
	NoDeadline    = is("nodeadline")
	WithdrawDoubt = is("withdrawdoubt")
	NoBump        = is("nobump")
	NoReannounce  = is("noreannounce")
	NoReceipt     = is("noreceipt")

	// Announcing.
	NoErase        = is("noerase")
	AnnounceFirst  = is("announcefirst")
	AppendFirst    = is("appendfirst")
	StaleNonce     = is("stalenonce")
	FenceUnheeded  = is("fenceunheeded")
	SharedStamp    = is("sharedstamp")
	PanicForgets   = is("panicforgets")
	PanicEnds      = is("panicends")
	StayQueued     = is("stayqueued")
	NoSettle       = is("nosettle")
	BumpFirst      = is("bumpfirst")
	AnnounceAcross = is("announceacross")
	NoOverflow     = is("nooverflow")

	// Following the bus.
	ReplyLease = is("replylease")
	GapIgnored = is("gapignored")
	NoLost     = is("nolost")
	NoRollback = is("norollback")
	NoChain    = is("nochain")
	NoLink     = is("nolink")
	ApplyLate  = is("applylate")
	NoVoid     = is("novoid")
	FlushFirst = is("flushfirst")
	EpochBack  = is("epochback")
	NoSuspect  = is("nosuspect")
	NoUnknown  = is("nounknown")
	NoRole     = is("norole")
	BusyPass   = is("busypass")
	Deaf       = is("deaf")
	Suspended  = is("suspended")
	StampBlind = is("stampblind")
	Restless   = is("restless")
	ClockLate  = is("clocklate")

	// Acknowledged announcements.
	NoAck        = is("noack")
	NoOutwait    = is("nooutwait")
	AttestLate   = is("attestlate")
	NoGrace      = is("nograce")
	NoYoung      = is("noyoung")
	NoLocalFence = is("nolocalfence")
	LateFence    = is("latefence")
	LiftAny      = is("liftany")
	AckFirst     = is("ackfirst")
	AfterWrite   = is("afterwrite")
	NoHalf       = is("nohalf")
	LeaseEnough  = is("leaseenough")
	StrongWindow = is("strongwindow")
	StrongWeak   = is("strongweak")
	BesideBlind  = is("besideblind")
	TakeBlind    = is("takeblind")
	JoinLax      = is("joinlax")
	AtLeastBlind = is("atleastblind")
	AtLeastWeak  = is("atleastweak")
	Unseen       = is("unseen")
	ForeignEpoch = is("foreignepoch")

	// Keeping values over a failover.
	NoAdmission   = is("noadmission")
	LateVouch     = is("latevouch")
	Forgetful     = is("forgetful")
	NoFloor       = is("nofloor")
	GoneForgotten = is("goneforgotten")
	NoRepeat      = is("norepeat")
	NoReports     = is("noreports")
	NoHeal        = is("noheal")
	ExpelAgain    = is("expelagain")

	// Auditing.
	AuditEarly  = is("auditearly")
	AuditBefore = is("auditbefore")
	AuditOnce   = is("auditonce")
)

func is(name string) bool { return os.Getenv("TIERCACHE_MUTANT") == name }

// Script returns the source of the named script, without its guard if that is the
// mutant asked for.
func Script(name, source string) string {
	at := slices.IndexFunc(cuts, func(c cut) bool { return c.script == name && is(c.mutant) })
	if at < 0 {
		return source
	}
	return cuts[at].apply(source)
}
