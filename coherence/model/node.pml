// A node: its position in the history, generation, lease; the monitor, the prober
// and the receiver.

// coherence/monitor.go meet. Every reply of process p comes over a connection that
// was inspected first; whoever holds a view from before does not believe the reply.
inline connect(i) {
	if
	:: !(nd[i].seen & BIT(proc)) ->
		ADD(nd[i].seen, proc);
		ADD(nd[i].pend, proc);
#ifndef NO_SUSPECT
		if
		:: fl[i].pc == LOOK -> land(i)
		:: else -> fl[i].holds = 0
		fi;
		wr[i].holds = 0; wr[i].vepoch = 0
#endif
	:: else
	fi
}

inline dropCopy(i) { nd[i].copy = 0; nd[i].young = 0; nd[i].weak = 0 }

// coherence/generation.go bump and flush: there is one key. Generations only grow,
// so that one bit a copy and a flight says all: whether it is still what it was.
inline bump(i) {
	fl[i].gen = 0; fl[i].young = 0;
#ifndef NO_GEN
	dropCopy(i);
#endif
	moot(i)
}

// tiered/store.go keep and keepWeak. A copy of an older generation is never served.
inline keep(i, version, after, drifting) {
	if
	:: KEEPS(i) ->
		nd[i].copy = version + 1; nd[i].young = after; nd[i].weak = drifting;
#ifdef WEAK
		nd[i].weak = 0;
#endif
		served(i)
	:: else
	fi
}

inline served(i) {
	if
	:: nd[i].copy && (LEASED(i) && !nd[i].weak || !late || nd[i].young) ->
		fresh(nd[i].copy - 1)
#ifdef OWN
		;
		if
		:: wr[i].pc == RETURNED -> I14 = (nd[i].copy - 1 >= wr[i].my); assert(I14)
		:: else
		fi
#endif
	:: else
	fi;
	if
	:: fl[i].pc == LOADED && !fl[i].refresh && JOINABLE(i) -> fresh(fl[i].ver)
	:: else
	fi
}

// coherence/node.go extend. An old lease that is granted late is over.
inline extend(i, after) {
	if
	:: !KEEPS(i)
	:: else ->
	if
	:: after -> nd[i].lease = 2
	:: !after && !late && nd[i].lease == 0 -> nd[i].lease = 1
	:: else
	fi;
	served(i)
	fi
}

inline clearProbe(i) {
	pr[i].pc = IDLE; pr[i].at = 0; pr[i].epoch = 0; pr[i].young = 0;
	pr[i].rc = 0; pr[i].re = 0; pr[i].ring = 0; pr[i].lo = 0; pr[i].p = 0
}

// coherence/history.go adopt
inline adopt(i, pos, epo) {
	nd[i].joined = 1; nd[i].at = pos; nd[i].past = BIT(pos);
	nd[i].epoch = (epo > nd[i].epoch -> epo : nd[i].epoch)
}

// coherence/history.go stand. What is remembered of the past judges replies that pub/sub
// has overtaken, which needs a probe of several steps.
#define stand(i, x) nd[i].at = x; nd[i].past = (FINELY(i) -> nd[i].past : 0) | BIT(x)

// coherence/history.go advance
hidden byte ok_;
inline advance(i, x) {
	ok_ = 0;
	if
	:: nd[i].past & BIT(x) -> ok_ = 1
	:: else ->
		if
		:: nd[i].joined && num[x] == num[nd[i].at] + 1 && prev[x] == nd[i].at ->
			stand(i, x); ok_ = 1
		:: else
		fi
	fi
}

// coherence/history.go judge
#define INSTEP    1
#define BEHIND    2
#define LOST      3
#define NEWEPOCH  4
#define FORKED    5
#define EPOCHLOST 6
#define UNCLEAR   7
hidden byte verdict;
inline judge(i, sentAt, sentEpoch, pos, epo) {
	if
	:: epo == 0 || epo < sentEpoch -> verdict = EPOCHLOST
	:: else ->
		if
		:: epo < nd[i].epoch -> verdict = UNCLEAR
		:: epo >= nd[i].epoch && (!nd[i].joined || epo > nd[i].epoch) -> verdict = NEWEPOCH
		:: else ->
			if
			:: num[pos] < num[sentAt] -> verdict = FORKED
			:: num[pos] >= num[sentAt] && num[pos] > num[nd[i].at] -> verdict = BEHIND
			:: else ->
				if
#ifndef NO_CHAIN
				:: !(nd[i].past & BIT(pos)) -> verdict = FORKED
#endif
				:: else -> verdict = INSTEP
				fi
			fi
		fi
	fi;
	if
	:: verdict == BEHIND && num[pos] > num[nd[i].at] + RING -> verdict = LOST
	:: else
	fi
}

// coherence/probe.go probe, what follows a verdict.
inline conclude(i) {
	if
	:: verdict == INSTEP -> extend(i, pr[i].young); clearProbe(i)
	:: verdict == LOST || verdict == NEWEPOCH ->
		adopt(i, pr[i].rc, pr[i].re);
		pr[i].pc = VOID
	:: verdict == FORKED -> pr[i].pc = FORK; pr[i].p = 1
	:: verdict == EPOCHLOST -> pr[i].pc = FORK; pr[i].p = 0
	:: verdict == UNCLEAR -> clearProbe(i)
	:: verdict == BEHIND ->
#ifndef GAP_IGNORED
		pr[i].pc = REPAIR; pr[i].lo = num[nd[i].at] + 1
#else
		extend(i, pr[i].young); clearProbe(i)
#endif
	fi
}

#ifndef REPLY_LEASE
#define REPLYTIME(i)
#else
#define REPLYTIME(i) pr[i].young = mark;
#endif

