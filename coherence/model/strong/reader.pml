// A flight: what one read, or several, do when there is no local copy. One at a time on a
// node. Who may not ask Redis reads the source, shares that with nobody who comes later,
// and keeps nothing (tiered/get.go bypass): such a read is always right, and no step.

// tiered/judge.go serve. Who waits for the flight began when it looked, or joined it later.
inline serve(i) {
	Linear = (R.ver >= fl[i].floor); assert(Linear);
	if
	:: fl[i].holds && fl[i].gen -> keep(i, R.ver)
	:: else
	fi;
	land(i)
}

// tiered/get.go fly: the generation, asks, the view, GET. A generation that was taken
// earlier is older, and so is what the flight's readers must be given.
inline look(i) {
	fl[i].gen = 1; fl[i].holds = 1; fl[i].floor = floor; fl[i].vepoch = nd[i].epoch; fl[i].pc = TAKE;
	connect(i);
	if
	:: !fl[i].holds -> land(i)
	:: else ->
		if
		:: R.kind == FENCE ->
			land(i)
		:: R.kind == LEASE -> land(i) // waits and looks again: as a new flight does
		:: R.kind == VALUE && R.vepoch == fl[i].vepoch -> serve(i)
		:: R.kind == VALUE && R.vepoch > fl[i].vepoch -> land(i)
		:: R.kind == VALUE && R.vepoch < fl[i].vepoch
		:: R.kind == NONE
		fi
	fi
}

// tiered/get.go take: a view of its own, ACQUIRE
inline take(i) {
	fl[i].holds = 1; fl[i].vepoch = nd[i].epoch;
	connect(i);
	if
	:: !fl[i].holds -> land(i)
	:: else ->
		if
		:: R.kind == VALUE && R.vepoch == fl[i].vepoch -> serve(i)
		:: R.kind == NONE || R.kind == VALUE && R.vepoch < fl[i].vepoch ->
			clearRecord(); R.kind = LEASE; R.owner = i; fl[i].pc = HELD
		:: else -> land(i)
		fi
	fi
}

// tiered/get.go hold
inline load(i) {
	if
	:: STANDS(i) -> fl[i].ver = src; fl[i].floor = 0; fl[i].pc = LOADED; moot(i)
	:: else -> land(i)
	fi
}

// tiered/get.go hold: COMMIT; filled
inline commit(i) {
	connect(i);
	if
	:: R.kind == LEASE && R.owner == i ->
		setValue(fl[i].ver, fl[i].vepoch);
		if
		:: fl[i].holds && fl[i].gen -> keep(i, fl[i].ver)
		:: else
		fi
	:: else
	fi;
	land(i)
}

proctype reader(byte i) {
	do
	:: d_step { fl[i].pc == IDLE && ASKS(i) && VIEWABLE(i) -> look(i) }
	:: d_step { fl[i].pc == TAKE && VIEWABLE(i) -> take(i) }
	:: d_step { fl[i].pc == HELD -> load(i) }
	:: d_step { fl[i].pc == LOADED -> commit(i) }
	:: d_step { fl[i].pc != IDLE -> land(i) } // fails, gives up or dies; no answer
	// tiered/get.go weak, bypass: reads that may not ask Redis, with these guards off.
#ifdef STRONG_WEAK
	:: d_step { KEEPS(i) && !nd[i].assured -> keep(i, src) }
#endif
#ifdef CACHE_FENCED
	:: d_step { KEEPS(i) && BARRED(i) -> keep(i, src) }
#endif
#ifdef JOIN_SEALED
	:: d_step { fl[i].pc == IDLE && BARRED(i) -> fl[i].gen = 1; fl[i].ver = src; fl[i].pc = PASSING }
#endif
	od
}
