// The prober and the receiver of a node. In the coarse configurations a step does at
// once what the code does between two looks at Redis and more: README.md says why
// no behaviour is lost. With FINE a probe is sent, answered and judged in three steps,
// and an entry is applied in one and followed in another.

inline send(i) { // coherence/probe.go probe: held, s
	pr[i].at = nd[i].at; pr[i].epoch = nd[i].epoch; pr[i].young = mark
}

inline answer(i) { // readBus
	connect(i);
	pr[i].rc = R.c; pr[i].re = R.e
}

inline digest(i) { // probe, behind readBus
#ifdef REPLY_LEASE
	pr[i].young = mark;
#endif
	if
	:: nd[i].pend -> clearProbe(i) // an unknown process may have answered
	:: else ->
		judge(i, pr[i].at, pr[i].epoch, pr[i].rc, pr[i].re);
		conclude(i)
	fi
}

// coherence/probe.go mend: the entry of the ring with the number lo.
hidden byte e_;
inline slot(i) {
	e_ = pr[i].ring;
	do
	:: num[e_] > pr[i].lo -> e_ = prev[e_]
	:: else -> break
	od
}

inline broken(i) { // a link does not fit, or the slot holds another number
	if
	:: nd[i].joined -> verdict = FORKED
	:: else -> verdict = UNCLEAR
	fi;
	conclude(i)
}

inline mended(i) { // repair: what the report means now
	judge(i, pr[i].rc, pr[i].re, pr[i].rc, pr[i].re);
	if
	:: verdict == BEHIND -> verdict = UNCLEAR
	:: else
	fi;
	conclude(i)
}

inline repair(i) { // all entries that are missing
	pr[i].ring = R.c;
	do
	:: pr[i].pc == REPAIR && pr[i].lo <= num[pr[i].rc] ->
		slot(i);
		if
		:: num[e_] != pr[i].lo -> broken(i)
		:: else ->
			bump(i);
			advance(i, e_);
			if
			:: ok_ -> pr[i].lo++
			:: else -> broken(i)
			fi
		fi
	:: pr[i].pc == REPAIR && pr[i].lo > num[pr[i].rc] -> mended(i)
	:: else -> break
	od
}

inline fork(i) { // fork: MEET, then void
	connect(i);
	meet(NOBODY, nd[i].epoch, pr[i].p, pr[i].re);
	if
	:: pr[i].re == 0 -> clearProbe(i)
	:: else -> adopt(i, pr[i].rc, pr[i].re); pr[i].pc = FORKVOID
	fi
}

// The lowest process that was met and not entered.
inline pending(i) {
	pr[i].p = 0;
	do
	:: !(nd[i].pend & BIT(pr[i].p)) -> pr[i].p++
	:: else -> break
	od
}

inline raise(i) { // coherence/history.go raise
	if
	:: pr[i].re > nd[i].epoch ->
		pr[i].pc = (nd[i].epoch -> FLUSH : 0);
		nd[i].epoch = pr[i].re; nd[i].joined = 0; nd[i].at = 0; nd[i].past = 0
	:: else -> pr[i].pc = 0
	fi
}

inline entered(i) { // coherence/monitor.go enter
	CUT(nd[i].pend, pr[i].p);
	clearProbe(i)
}

inline voided(i) { // void, then extend
#ifndef NO_VOID
	bump(i);
#endif
	extend(i, pr[i].young);
	clearProbe(i)
}

inline enter(i) { // enterProcesses
	pending(i);
	connect(i);
	meet(pr[i].p, nd[i].epoch, 0, pr[i].re);
	if
	:: pr[i].re == 0 -> clearProbe(i)
	:: else -> pr[i].pc = RAISE
	fi
}

inline raised(i) {
	raise(i);
	if
	:: pr[i].pc == 0 -> entered(i)
	:: else
	fi
}

inline flushed(i) { bump(i); entered(i) }

inline forkVoided(i) { bump(i); clearProbe(i) }

#define WHEN(i, state, step) \
	if \
	:: pr[i].pc == state -> step(i) \
	:: else \
	fi

proctype prober(byte i) {
	do
	:: d_step { FINELY(i) && pr[i].pc == IDLE && nd[i].pend == 0 -> send(i); pr[i].pc = SENT }
	:: d_step { pr[i].pc == SENT -> answer(i); pr[i].pc = REPLIED }
	:: d_step { pr[i].pc == REPLIED -> digest(i) }
	:: d_step { pr[i].pc == REPAIR -> connect(i); pr[i].ring = R.c; pr[i].pc = MEND }
	:: d_step { pr[i].pc == MEND ->
		slot(i);
		if
		:: num[e_] != pr[i].lo -> broken(i)
#ifdef APPLY_LATE
		:: else -> pr[i].pc = ADVANCE
#else
		:: else -> bump(i); pr[i].pc = ADVANCE
#endif
		fi }
	:: d_step { pr[i].pc == ADVANCE ->
		slot(i);
		advance(i, e_);
		if
		:: !ok_ -> broken(i)
		:: ok_ && pr[i].lo == num[pr[i].rc] -> mended(i)
		:: else -> pr[i].lo++; pr[i].pc = MEND
		fi }
	:: d_step { pr[i].pc == VOID -> voided(i) }
	:: d_step { pr[i].pc == FORK -> fork(i) }
	:: d_step { pr[i].pc == FORKVOID -> forkVoided(i) }
#ifndef WARM
	:: d_step { FINELY(i) && pr[i].pc == IDLE && nd[i].pend != 0 -> enter(i) }
#endif
	:: d_step { pr[i].pc == RAISE -> raised(i) }
	:: d_step { pr[i].pc == FLUSH -> flushed(i) }

	// The same at once.
	:: d_step { !FINELY(i) && nd[i].pend == 0 && pr[i].pc == IDLE ->
		send(i); answer(i); digest(i);
		WHEN(i, REPAIR, repair);
		WHEN(i, VOID, voided);
		WHEN(i, FORK, fork);
		WHEN(i, FORKVOID, forkVoided) }
#ifndef WARM
	:: d_step { !FINELY(i) && nd[i].pend != 0 && pr[i].pc == IDLE ->
		enter(i);
		WHEN(i, RAISE, raised);
		WHEN(i, FLUSH, flushed) }
#endif
	od
}

// coherence/bus.go deliver. A message may be lost, doubled, late, and of a history that
// Redis has forgotten: any entry ever made may come at any time, or never.
proctype receiver(byte i) {
	byte x;
	do
	:: atomic { FINELY(i) && x == 0 && last > 0 ->
		select(x : 1 .. last);
#ifndef APPLY_LATE
		bump(i) }
	:: d_step { x != 0 -> advance(i, x); x = 0 }
#else
		advance(i, x) }
	:: d_step { x != 0 -> bump(i); x = 0 }
#endif
	:: d_step { !FINELY(i) && last >= 1 -> bump(i); advance(i, 1) }
	:: d_step { !FINELY(i) && last >= 2 -> bump(i); advance(i, 2) }
	:: d_step { !FINELY(i) && last >= 3 -> bump(i); advance(i, 3) }
	:: d_step { !FINELY(i) && last >= 4 -> bump(i); advance(i, 4) }
	:: d_step { !FINELY(i) && last >= 5 -> bump(i); advance(i, 5) }
	:: d_step { !FINELY(i) && last >= 6 -> bump(i); advance(i, 6) }
	od
}
