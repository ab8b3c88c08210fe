// A flight: what one read, or several, do when there is no local copy. One at a time
// on a node; two of one node meet only in Redis, as those of two nodes do.

// tiered/get.go fetch: the ticket. The view is taken after it, and before any look at Redis.
inline board(i) {
	fl[i].gen = KEEPS(i); fl[i].holds = 1; fl[i].vepoch = nd[i].epoch; fl[i].pc = LOOK
}

// Redis has answered; the local copy is kept at once, or in a step of its own.
inline settle(i, version) {
	if
	:: FINELY(i) -> release(i); fl[i].ver = version; fl[i].pc = ANSWERED
	:: else -> kept(i, version)
	fi
}

// tiered/get.go filled: Holds, keep
inline kept(i, version) {
	if
	:: fl[i].holds && CURRENT(i) -> keep(i, version, fl[i].young, 0)
	:: else
	fi;
	land(i)
}

// tiered/judge.go serve
inline serve(i) {
	I11 = (R.proc == proc || KEPT); assert(I11);
	fresh(R.ver); // to whoever waits for the flight
	fl[i].young = mark && KEEPS(i);
	settle(i, R.ver)
}

// tiered/get.go fly, look, take; tiered/judge.go judge. GET and the ACQUIRE that follows
// it are one step: what ACQUIRE finds decides.
inline look(i) {
	connect(i);
	if
	:: fl[i].pc == IDLE // an unknown process answers
	:: else ->
		if
		:: R.kind == FENCE ->
#if defined(CACHE_FENCED) || defined(JOIN_SEALED)
			passing(i)
#else
			land(i) // reads the source and stores nothing: always fresh
#endif
		:: R.kind == LEASE -> land(i) // waits and looks again: as a new flight does
#ifdef NO_EPOCH
		:: R.kind == VALUE -> serve(i)
#else
		:: R.kind == VALUE && R.vepoch == fl[i].vepoch -> serve(i)
		:: R.kind == VALUE && R.vepoch > fl[i].vepoch -> land(i)
		:: R.kind == VALUE && R.vepoch < fl[i].vepoch -> take(i)
#endif
		:: R.kind == NONE -> take(i)
		fi
	fi
}

inline take(i) {
	acquire(i, 0);
	CUT(R.touched, i);
	fl[i].again = AGAIN;
	load(i)
}

// tiered/get.go hold: COMMIT; filled
inline commit(i) {
	connect(i);
	if
	:: MINE(i) ->
		I5 = !(R.touched & BIT(i)); assert(I5);
		setValue(fl[i].ver, fl[i].vepoch);
		I6 = (R.fenced == 0); assert(I6);
		settle(i, fl[i].ver)
	:: else -> land(i)
	fi
}

inline replace(i) {
	connect(i);
	if
	:: THESAME(i) ->
		I5 = !(R.touched & BIT(i)); assert(I5);
		setValue(fl[i].ver, fl[i].vepoch);
		I6 = (R.fenced == 0); assert(I6);
		settle(i, fl[i].ver)
	:: else -> land(i)
	fi
}

// tiered/refresh.go refresh: GET
inline seek(i) {
	connect(i);
	if
	:: fl[i].pc != IDLE && R.kind == VALUE && R.vepoch == fl[i].vepoch ->
		ADD(R.same, i); CUT(R.touched, i);
		if
		:: snapSame -> ADD(S.same, i); CUT(S.touched, i)
		:: else
		fi;
		load(i)
	:: else -> land(i)
	fi
}

// The source is read as early as can be: later it may only be younger.
inline load(i) {
	fl[i].ver = src; fl[i].young = mark && KEEPS(i); fl[i].pc = LOADED;
	served(i)
}

// tiered/get.go bypass. Nobody joins it and nothing is kept, but with these guards off.
inline passing(i) {
	fl[i].past = 1;
	load(i);
#ifdef CACHE_FENCED
	if
	:: CURRENT(i) -> keep(i, fl[i].ver, mark, 0)
	:: else
	fi
#endif
}

proctype reader(byte i) {
	do
	// tiered/get.go fetch: the ticket, the view
	:: d_step { fl[i].pc == IDLE && LEASED(i) && VIEWABLE(i) -> board(i) }
	:: d_step { fl[i].pc == LOOK && !fl[i].refresh -> look(i) }
	:: d_step { fl[i].pc == LOADED && !fl[i].refresh && !fl[i].past -> commit(i) }
	:: d_step { fl[i].pc == ANSWERED -> kept(i, fl[i].ver) }
	:: d_step { fl[i].pc != IDLE -> land(i) } // fails, gives up or dies; no answer

	// tiered/get.go weak: without a lease, or where Redis does not answer. Copies whose
	// generation was bumped meanwhile are of no use, so that it is one step.
	:: d_step { KEEPS(i) -> keep(i, src, mark, 1) }

#ifdef REFRESH
	// tiered/refresh.go refresh, reload
	:: d_step { fl[i].pc == IDLE && LEASED(i) && VIEWABLE(i) -> board(i); fl[i].refresh = 1 }
	:: d_step { fl[i].pc == LOOK && fl[i].refresh -> seek(i) }
	:: d_step { fl[i].pc == LOADED && fl[i].refresh -> replace(i) }
#endif
#ifdef LATE
	// A copy of ACQUIRE that a retry left behind, while the load still runs.
	:: d_step { fl[i].again && (R.kind == NONE || R.kind == VALUE && R.vepoch < fl[i].vepoch) ->
		connect(i); acquire(i, 1); fl[i].again = 0 }
#endif
#ifdef LEASE_LATE
	// tiered/get.go hit in the wrong order: the generation, a while, the lease.
	:: d_step { late && nd[i].copy && !nd[i].weak && !nd[i].slow -> nd[i].slow = nd[i].copy }
	:: d_step { nd[i].slow && nd[i].lease -> fresh(nd[i].slow - 1); nd[i].slow = 0 }
#endif
	od
}
