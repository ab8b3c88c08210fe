//go:build !mutants

package mutant

// The switches, all off.
const (
	// The hit.
	NoLease   = false // a hit asks for no lease (I3)
	NoGen     = false // a hit compares no generations (I2)
	LeaseLate = false // a hit reads the lease after the generation (I3)
	KeyBlind  = false // a hit takes what hangs in the slot of its hash

	// What is kept.
	LateGen       = false // the generation is read after the load (I2)
	Weak          = false // what was loaded without Redis is kept like any other copy (I3)
	CacheFenced   = false // what was loaded under a fence is kept (I6)
	Outlive       = false // local copies outlive their record in Redis (I17)
	NegativeStale = false // what does not exist is served stale

	// Reading Redis.
	NoBreaker    = false // Redis is asked although the lease has run out
	NoPending    = false // a key whose invalidation failed is still read from Redis (I14)
	EpochIgnored = false // values of an older epoch are served (I11)
	EpochAhead   = false // values of a newer epoch are served by a node that does not know it (I11)
	HardIgnored  = false // values past their hard expiry are served (I17)
	FirstByte    = false // a malformed fence counts as a fence
	StampAny     = false // a local copy stands for a record with another stamp (I1)
	QueueBlind   = false // what has queued is sent although the lease has run out meanwhile
	LateCall     = false // calls of scripts are sent that have queued for longer than a Timeout
	TakeAnyway   = false // the lease is asked for where Redis is not to be asked (I14)
	LoneLate     = false // a read whose deadline is near sends for itself, and waits for the answer

	// Loading.
	NoRenew     = false // leases are not renewed while a load runs (I12)
	NoWaitMax   = false // a reader waits for another process's load for ever (I12)
	RefreshHerd = false // every node refreshes (I12)
	AloneFirst  = false // a batch waits for others before it fills its own leases

	// Flights.
	JoinGen       = false // a read joins a load of an older generation
	JoinSealed    = false // a read joins a load under a fence
	JoinWeak      = false // a read in step joins a load without Redis of any age
	JoinOld       = false // a read adrift joins a load of any age
	LeaderCancels = false // the context of the read that began a flight ends it
	NoAbandon     = false // a flight goes on when nobody waits
	WaitDeaf      = false // a read that waits does not heed its context

	// Writing.
	WriteUnfenced = false // Update writes although fencing failed (I8)
	NoDeadline    = false // the writer may outlive its fence (I8)
	WithdrawDoubt = false // the fence is withdrawn after an error in doubt (I9)
	NoBump        = false // no bump after the writer (I14)
	NoReannounce  = false // a fence that was lost is not made up for (I7)
	NoReceipt     = false // an announcement that was lost is not made up for (I7)

	// Announcing.
	NoErase        = false // L2 is not erased before the announcement (I7)
	AnnounceFirst  = false // the announcement goes ahead of the erasure (I7)
	AppendFirst    = false // the announcement goes ahead of the fence (I7)
	StaleNonce     = false // an announcement that went ahead of a forgotten fence counts as made (I7)
	FenceUnheeded  = false // an announcement counts although the fence before it failed (I8)
	SharedStamp    = false // writes that share an announcement have one stamp
	PanicForgets   = false // an announcement whose hook panics is forgotten
	PanicEnds      = false // a hook that panics in a goroutine of ours ends the process
	StayQueued     = false // what nobody waits for any more is sent
	NoSettle       = false // writes and announcements do not wait for the lease
	BumpFirst      = false // local copies are dropped before the journal knows the key (I14)
	AnnounceAcross = false // an announcement counts that two Redis processes answered in part (I7)
	NoOverflow     = false // a journal that overflowed forgets

	// Following the bus.
	ReplyLease = false // the lease counts from the probe's reply (I4)
	GapIgnored = false // a probe ignores missing entries (I10)
	NoLost     = false // more missing entries than the ring holds are not noticed (I10)
	NoRollback = false // a report behind the position held is in step (I10)
	NoChain    = false // numbers are compared without nonces (I10)
	NoLink     = false // a message is followed whatever it links to (I10)
	ApplyLate  = false // the position advances before the entry is applied (I10)
	NoVoid     = false // a new epoch voids no local copies (I11)
	FlushFirst = false // local copies are voided before the epoch is adopted (I11)
	EpochBack  = false // an epoch that went back is believed (I11)
	NoSuspect  = false // an answer stands though an unknown Redis process was met meanwhile (I11)
	NoUnknown  = false // an unknown Redis process is believed (I11)
	NoRole     = false // replicas are accepted
	BusyPass   = false // a connection whose identity could not be read for now is accepted (I11)
	Deaf       = false // a subscription that delivers nothing is kept
	Suspended  = false // a suspension of the machine is not noticed
	StampBlind = false // a stamp taken adrift is valid (I3)
	Restless   = false // probes that fail follow each other as fast as Redis answers
	ClockLate  = false // the Redis clock is taken for what it was when the reply arrived (I17)

	// Acknowledged announcements.
	NoAck        = false // nobody's confirmation is waited for (I16)
	NoOutwait    = false // a node that does not confirm is not waited for (I16)
	AttestLate   = false // a probe enters the registry after it has read the bus (I16)
	NoGrace      = false // writers do not wait after a loss of history (I16)
	NoYoung      = false // a node that has missed fences caches at once (I15)
	NoLocalFence = false // fences that were announced are forgotten (I15)
	LateFence    = false // the generation moves before the fence is known (I15)
	LiftAny      = false // the end of a fence ends all fences of its key (I15)
	AckFirst     = false // a node confirms before it has applied (I16)
	AfterWrite   = false // the source is written before the nodes have confirmed (I15)
	NoHalf       = false // the source is written however long fencing took (I15)
	LeaseEnough  = false // strong reads need no assurance (I15)
	StrongWindow = false // strong reads serve what was loaded within MaxStale (I15)
	StrongWeak   = false // strong caches share loads without Redis (I15)
	BesideBlind  = false // who has written keeps it beside a write whose fence Redis has lost (I15)
	JoinLax      = false // strong reads join loads by their age (I15)
	TakeBlind    = false // a lease is taken for proof that nobody writes (I15)
	AtLeastBlind = false // a token asks for nothing
	AtLeastWeak  = false // a token takes copies loaded without Redis
	Unseen       = false // a node attests that cannot tell Redis processes apart (I16)
	ForeignEpoch = false // an announcement to a bus that has lost its history counts (I16)

	// Keeping values over a failover.
	NoAdmission   = false // a node announces before the others know of it (I11)
	LateVouch     = false // a node vouches whose life as a member had ended (I11)
	Forgetful     = false // a node makes only those announcements again that it remembers (I11)
	NoFloor       = false // a node vouches for the time before it came (I11)
	GoneForgotten = false // what a node announced that has left is taken for kept (I11)
	NoRepeat      = false // announcements that were lost are not made again (I11)
	NoReports     = false // a node does not wait for the others to report (I11)
	NoHeal        = false // announcements made to a demoted master are not made again (I1)
	ExpelAgain    = false // a node that is no member probes at once whenever it is told so

	// Auditing.
	AuditEarly  = false // a copy is judged before MaxStale has passed
	AuditBefore = false // announcements from before the copy was read count against it
	AuditOnce   = false // what differed once is taken to differ still
)

// Script returns the source of the named script.
func Script(_, source string) string { return source }
