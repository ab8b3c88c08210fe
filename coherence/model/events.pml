// What happens without anybody's doing: time passes, data ends, Redis goes back.

// Time that is needed by nobody but the watched write. Its deadline passes: all leases
// of probes sent before the mark are over by then, and so are weak copies as old.
inline expire(i) {
	nd[i].lease = nd[i].lease & 2;
	if
	:: nd[i].weak && !nd[i].young -> dropCopy(i)
	:: else
	fi
}

inline deadline() {
	late = 1;
	expire(0); expire(1);
	served(0); served(1)
}

// A writer that died after its write, and whose fence is over.
#define DEADWRITER(w) (wr[w].update && wr[w].pc == DEAD && wr[w].my && !wr[w].doubt && !(R.kind == FENCE && R.fence & BIT(w)))

// The process of node i dies and starts again, as a new member that knows nothing.
inline crash(i) {
	nd[i].lease = 0; nd[i].at = 0; nd[i].past = 0; nd[i].epoch = 0; nd[i].joined = 0; nd[i].seen = 0; nd[i].pend = 0;
#ifdef WARM
	nd[i].own = 0; nd[i].amnesia = 1;
#endif
	dropCopy(i); clearProbe(i); land(i);
	if
	:: wr[i].pc == WRITING -> wr[i].doubt = 1; wr[i].pc = DEAD
	:: wr[i].pc >= CONCLUDE && wr[i].pc != RETURNED && wr[i].pc != ENDED -> wr[i].pc = DEAD
	:: wr[i].pc < WRITING -> wr[i].pc = ENDED
	:: else
	fi;
	end(i, wr[i].pc); wr[i].entry = 0; wr[i].again = 0;
	crashes++
}

proctype events() {
	do
	:: d_step { mark && !late -> deadline() }

	// A value or a lease expires or is evicted.
	:: d_step { R.kind == VALUE || R.kind == LEASE -> clearRecord(); moot(0); moot(1) }
	:: d_step { EXPIRES(0) -> dropFence(0) }
	:: d_step { EXPIRES(1) -> dropFence(1) }

	// I9: a writer died after its write, and its fence is over. Where Redis forgot the fence
	// as well, two faults have met, and nothing is promised.
	:: d_step { !mark && proc == 0 && DEADWRITER(WATCHED) -> watch(WATCHED, 1) }

#if CRASHES > 0
	:: d_step { crashes < CRASHES -> crash(0) }
	:: d_step { crashes < CRASHES -> crash(1) }
#endif
#if ROLLBACKS > 0
	:: d_step { !snapped && proc < ROLLBACKS -> copyRedis(S, R); snapped = 1; snapSame = 1 }
	:: d_step { snapped -> copyRedis(R, S); R.reported = 0; proc++; clearSnapshot(); moot(0); moot(1) }
#endif
	od
}
