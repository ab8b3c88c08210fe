// What happens without anybody's doing: time passes, Redis loses data, nodes come and go.

// The life of fence w has passed. A lease is a third of it, and nobody waits for more than
// half of it: leases from before the end of the wait are over.
inline lifeOver(w) {
	if
	:: wr[w].pc == RETURNED // lifted
	:: else ->
#ifndef NO_HALF
		overAt(0, w, 2); overAt(1, w, 2)
#endif
		skip
	fi
}

// The fence of w is forgotten on node i.
inline unfences(i, w) {
#ifndef LIFT_ANY
	CUT(nd[i].fences, w)
#else
	nd[i].fences = 0
#endif
}

// Writes that were fenced before birth b are over.
#define DONE(w, b) (!(ACTIVE(w) && wr[w].tag < b))

inline unwait(w, i) {
	if
	:: wr[w].pc == HEARING && PEER(w) == i -> heard(w)
	:: else
	fi
}

// The process of node i dies and starts again, as a new member that knows nothing. Nobody
// waits for the old name: its leases have died with it.
inline join(i) {
	unassure(i); nd[i].at = 0; nd[i].epoch = 0; nd[i].joined = 0; nd[i].seen = 0; nd[i].pend = 0;
	nd[i].reg = 0; rebirth(i, 0); nd[i].fences = 0; nd[i].acked = 0;
	dropCopy(i); clearProbe(i); land(i);
	CUT(R.listed, i); CUT(S.listed, i);
	unwait(0, i); unwait(1, i);
	estrange(i); // coherence/fence.go deafUntil: the space was opened now
	joins++
}

proctype events() {
	do
	// An assurance runs out.
	:: d_step { nd[0].assured -> unassure(0) }
	:: d_step { nd[1].assured && EXPIRES(1) -> unassure(1) }
#ifdef STRONG_WINDOW
	:: d_step { nd[0].young -> nd[0].young = 0 }
#endif

	// A value or a lease expires or is evicted; a fence expires.
	:: d_step { R.kind == VALUE || R.kind == LEASE -> clearRecord(); moot(0); moot(1) }
	:: d_step { R.kind == FENCE && R.fence & 1 && !LASTS(0) -> lifeOver(0); dropFence(0) }
	:: d_step { R.kind == FENCE && R.fence & 2 && !LASTS(1) -> lifeOver(1); dropFence(1) }

	// The fence memory: coherence/fence.go lift, stands
	:: d_step { nd[0].fences & 1 && !LASTS(0) -> lifeOver(0); unfences(0, 0) }
	:: d_step { nd[0].fences & 2 && !LASTS(1) -> lifeOver(1); unfences(0, 1) }
	:: d_step { nd[1].fences & 1 && !LASTS(0) -> lifeOver(0); unfences(1, 0) }
	:: d_step { nd[1].fences & 2 && !LASTS(1) -> lifeOver(1); unfences(1, 1) }

	// coherence/fence.go deafUntil
	:: d_step { nd[0].deaf && !(nd[0].missed & WORKING) -> nd[0].deaf = 0; nd[0].missed = 0 }
	:: d_step { nd[1].deaf && !(nd[1].missed & WORKING) -> nd[1].deaf = 0; nd[1].missed = 0 }

	// coherence/attest.go graceLeft: what was before a birth is over.
	:: d_step { !nd[0].graced && DONE(0, nd[0].born) && DONE(1, nd[0].born) ->
		overSince(0, nd[0].born); overSince(1, nd[0].born); nd[0].graced = 1 }
	:: d_step { !nd[1].graced && DONE(0, nd[1].born) && DONE(1, nd[1].born) ->
		overSince(0, nd[1].born); overSince(1, nd[1].born); nd[1].graced = 1 }

#if JOINS > 0
	:: d_step { joins < JOINS -> join(0) }
#endif
#ifdef ROLLBACK
	:: d_step { !snapped && proc == 0 -> copyRedis(S, R); snapped = 1 }
	:: d_step { snapped -> copyRedis(R, S); proc++; clearSnapshot(); moot(0); moot(1) }
#endif
#ifdef FLUSH
	:: d_step { losses == 0 -> clearRecord(); clearBus(); clearRegistry(); losses++; moot(0); moot(1) }
#endif
#ifdef REGISTRY
	:: d_step { losses == 0 -> clearRegistry(); losses++ }
#endif
#ifdef BUS
	:: d_step { losses == 0 -> clearBus(); losses++ }
#endif
#ifdef RECORD
	:: d_step { losses == 0 -> clearRecord(); losses++; moot(0); moot(1) }
#endif
	od
}
