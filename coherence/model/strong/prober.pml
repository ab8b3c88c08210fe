// The prober. What node 0 does takes two steps: ATTEST executes, and its reply is judged.
// What the other one does is one.

inline clearProbe(i) {
	pr[i].pc = IDLE; pr[i].rc = 0; pr[i].re = 0; pr[i].reg = 0; pr[i].b = 0; pr[i].stage = 0; pr[i].tag = 0
}

// coherence/probe.go probe: the lease counts from here.
inline send(i) { pr[i].stage = STAGES; pr[i].tag = births }

// coherence/script/attest.lua: the bus, read in the same step. What is compared with what
// was held when the probe was sent is compared at once: coherence/history.go judge.
inline read(i) {
	pr[i].rc = R.c; pr[i].re = R.e;
	if
	:: R.e == 0 || R.e < nd[i].epoch -> pr[i].pc = LOST
	:: else ->
		if
		:: !nd[i].joined || R.e > nd[i].epoch -> pr[i].pc = NEW
		:: nd[i].joined && R.e == nd[i].epoch && num[R.c] < num[nd[i].at] -> pr[i].pc = FORK
		:: else -> pr[i].pc = FIT
		fi
	fi
}

// coherence/attest.go enlist: the reply
inline named(i) { pr[i].reg = R.g; pr[i].b = R.b }

inline attest(i) {
	connect(i);
	send(i);
	enlist(i);
	named(i);
	read(i)
}

inline grant(i) {
#ifdef REPLY_LEASE
	send(i);
#endif
	assure(i, pr[i].stage, pr[i].tag)
}

// coherence/probe.go void: births, deafness, position, generations, in this order.
inline void(i) {
	rebirth(i, births); estrange(i);
	adopt(i, pr[i].rc, pr[i].re);
	bump(i)
}

// coherence/probe.go fork: MEET, then void; no lease.
inline fork(i, force) {
	connect(i);
	if
	:: ROOM -> meet(NOBODY, nd[i].epoch, force); pr[i].re = R.e; void(i)
	:: else
	fi
}

// coherence/probe.go repair, mend: all entries that are missing, from the ring as it is now.
inline repair(i) {
	connect(i);
	ancestor(nd[i].at, pr[i].rc); y_ = ok_;
	ancestor(pr[i].rc, R.c);
	if
	:: !ok_ || !y_ -> fork(i, 1)
	:: else ->
		y_ = pr[i].rc;
		do
		:: y_ != nd[i].at -> apply(i, y_); y_ = prev[y_]
		:: else -> break
		od;
		nd[i].at = pr[i].rc;
		grant(i)
	fi
}

// coherence/attest.go enlist, the reply; probe.go probe, behind it
inline conclude(i) {
	if
	:: WRITES(i) && pr[i].b != nd[i].born -> rebirth(i, pr[i].b)
	:: else
	fi;
	nd[i].reg = (WRITES(i) -> pr[i].reg : 0);
	if
	:: nd[i].pend // an unknown process may have answered
	:: !nd[i].pend && pr[i].pc == LOST -> fork(i, 0)
	:: !nd[i].pend && pr[i].pc == FORK -> fork(i, 1)
	:: !nd[i].pend && pr[i].pc == NEW -> void(i); grant(i)
	:: !nd[i].pend && pr[i].pc == FIT ->
		ancestor(pr[i].rc, nd[i].at);
		if
		:: ok_ -> grant(i)
		:: !ok_ && num[pr[i].rc] > num[nd[i].at] -> repair(i)
		:: else -> fork(i, 1)
		fi
	fi;
	clearProbe(i)
}

// coherence/process.go enterProcesses: the lowest process that was met and not entered.
inline enter(i) {
	y_ = (nd[i].pend & 1 -> 0 : 1);
	connect(i);
	meet(y_, nd[i].epoch, 0);
	if
	:: R.e > nd[i].epoch -> nd[i].joined = 0; nd[i].at = 0; nd[i].epoch = R.e; bump(i)
	:: else
	fi;
	rebirth(i, births); estrange(i);
	CUT(nd[i].pend, y_)
}

proctype prober(byte i) {
	do
	:: d_step { !FINELY(i) && nd[i].pend == 0 && ROOM -> attest(i); conclude(i) }
#ifndef ATTEST_LATE
	:: d_step { FINELY(i) && nd[i].pend == 0 && ROOM && pr[i].pc == IDLE -> attest(i) }
#else
	:: d_step { FINELY(i) && nd[i].pend == 0 && ROOM && pr[i].pc == IDLE -> connect(i); send(i); read(i); ok_ = 1;
	            if
	            :: pr[i].pc == FIT -> pr[i].pc = READ
	            :: else -> clearProbe(i)
	            fi }
	:: d_step { pr[i].pc == READ -> connect(i); enlist(i); named(i); pr[i].pc = FIT; conclude(i) }
#endif
	:: d_step { pr[i].pc != IDLE && pr[i].pc != READ -> conclude(i) }
	:: d_step { pr[i].pc != IDLE -> clearProbe(i) } // there is no answer
	:: d_step { nd[i].pend != 0 && ROOM -> enter(i) }
#ifdef LEASE_ENOUGH
	// ATTEST is refused: the probe proves the node in step, and nobody waits for it.
	:: d_step { FINELY(i) && nd[i].pend == 0 && pr[i].pc == IDLE -> connect(i); send(i); read(i); pr[i].reg = nd[i].reg; pr[i].b = nd[i].born; conclude(i) }
#endif
	od
}
