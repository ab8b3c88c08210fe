// Warm failover: a new process that holds a prefix of the old history keeps the epoch,
// once every member has announced again what that history lost of its announcements.
// Until then nobody has a view of Redis, and no lease is granted.

#define MEMBERS 3 // the set of both

hidden byte lost, x_, y_;

// ok_: whether entry a is part of the history that ends in entry b.
inline ancestor(a, b) {
	x_ = b;
	do
	:: num[x_] > num[a] -> x_ = prev[x_]
	:: else -> break
	od;
	ok_ = (x_ == a)
}

// Own announcements that the history at hand does not hold.
inline forgotten(i) {
	lost = 0; y_ = 1;
	do
	:: y_ <= last ->
		if
		:: nd[i].own & BIT(y_) -> ancestor(y_, R.c); lost = lost | (ok_ -> 0 : BIT(y_))
		:: else
		fi;
		y_++
	:: else -> break
	od
}

// INVAL, then APPEND, for all keys that were lost: there is one. They are two steps, and
// Redis may change between them.
inline reissueData(i) {
	pr[i].p = proc;
	inval();
	pr[i].pc = REISSUE
}

inline reissueBus(i) {
	connect(i);
	forgotten(i);
	append();
	if
	:: pr[i].p == proc -> nd[i].own = (nd[i].own & (255 - lost)) | BIT(last)
	:: else // to be done again on this process
	fi;
	clearProbe(i)
}

inline report(i) {
	ADD(R.reported, i);
#ifdef NO_REPORT
	R.reported = MEMBERS;
#endif
	if
	:: R.reported == MEMBERS -> ADD(R.known, proc)
	:: else
	fi
}

// All have reported: back to where the histories part, and on from there.
inline settled(i) {
#ifndef NO_REWIND
	x_ = nd[i].at; y_ = R.c;
	do
	:: x_ != y_ ->
		if
		:: num[x_] >= num[y_] -> x_ = prev[x_]
		:: else -> y_ = prev[y_]
		fi
	:: else -> break
	od;
#else
	x_ = R.c;
#endif
	nd[i].at = x_; nd[i].past = BIT(x_); nd[i].pend = 0
}

#ifndef NO_REISSUE
#define OWES(i) (lost != 0)
#else
#define OWES(i) (false)
#endif

#define UNSETTLED(i) (nd[i].pend && pr[i].pc == IDLE && !(R.known & BIT(proc)))

proctype warmer(byte i) {
	do
	:: d_step { UNSETTLED(i) ->
		connect(i); forgotten(i);
		if
		:: OWES(i) && !nd[i].amnesia && last < MAXENTRY -> reissueData(i)
		:: !OWES(i) && !nd[i].amnesia -> report(i)
		:: else
		fi }
	:: d_step { pr[i].pc == REISSUE && last < MAXENTRY -> reissueBus(i) }
	// A member does not report: the epoch is raised, as without warm failover. The same
	// step takes over an epoch that somebody else has raised.
	:: d_step { nd[i].pend && pr[i].pc == IDLE && !(R.known & BIT(proc) && R.e == nd[i].epoch && nd[i].joined) ->
		enter(i);
		WHEN(i, RAISE, raised);
		WHEN(i, FLUSH, flushed) }
	:: d_step { nd[i].pend && pr[i].pc == IDLE && R.known & BIT(proc) && R.e == nd[i].epoch && nd[i].joined ->
		connect(i); settled(i) }
	od
}
