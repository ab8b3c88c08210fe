// A node: the generation, the fence memory, the assurance.

// A hidden variable a property, so that spin's message says which one failed.
hidden byte Linear;

// What a read that begins now is given is what the source holds now, or was later.
inline fresh(got) { Linear = (got >= floor); assert(Linear) }

inline unview(w, i) {
	if
	:: ON(w) == i -> wr[w].holds = 0
	:: else
	fi
}

// coherence/monitor.go meet. Every reply of process p comes over a connection that
// was inspected first; whoever holds a view from before does not believe the reply.
inline connect(i) {
	if
	:: !(nd[i].seen & BIT(proc)) ->
		ADD(nd[i].seen, proc); ADD(nd[i].pend, proc);
		fl[i].holds = 0;
		unview(0, i); unview(1, i)
	:: else
	fi
}

inline dropCopy(i) {
	nd[i].copy = 0;
#ifdef STRONG_WINDOW
	nd[i].young = 0
#endif
}

// coherence/generation.go bump and flush: there is one key. Generations only grow,
// so that one bit a copy and a flight says all: whether it is still what it was.
inline bump(i) { fl[i].gen = 0; dropCopy(i); moot(i) }

// tiered/store.go keep. A copy of an older generation is never served.
inline keep(i, version) {
	if
	:: KEEPS(i) ->
		nd[i].copy = version + 1;
#ifdef STRONG_WINDOW
		nd[i].young = 1;
#endif
		served(i)
	:: else
	fi
}

#ifdef STRONG_WINDOW
#define HITS(i) (nd[i].copy && (nd[i].assured || nd[i].young))
#else
#define HITS(i) (nd[i].copy && nd[i].assured)
#endif

// A read that begins now: tiered/get.go hit, and who joins a flight that has read the source
// or Redis, or is yet to.
inline served(i) {
	if
	:: HITS(i) -> fresh(nd[i].copy - 1)
	:: else
	fi;
	if
	:: !JOINABLE(i)
	:: JOINABLE(i) && fl[i].pc >= LOADED -> fresh(fl[i].ver)
	:: JOINABLE(i) && fl[i].pc < LOADED -> fl[i].floor = floor
	fi
}

// The source was written, or a write has returned.
inline demand() { served(0); served(1) }

#define EXPIRES(i) (READS(i) || AWAITED(i)) // else it may be assured for ever

// coherence/node.go extend, attest.go assure. A lease from before an instant that is known
// to be long past is over: see events.pml.
inline assure(i, how, since) {
	nd[i].assured = 1;
	if
	:: EXPIRES(i) -> nd[i].stage = how; nd[i].tag = since
	:: else
	fi;
	served(i)
}

inline unassure(i) { nd[i].assured = 0; nd[i].stage = 0; nd[i].tag = 0 }

// The leases of probes that node i sent before write w had reached a stage are over.
inline overAt(i, w, reached) {
	if
	:: nd[i].assured && EXPIRES(i) && STAGEOF(nd[i].stage, w) < reached -> unassure(i)
	:: else
	fi;
	if
	:: pr[i].pc != IDLE && STAGEOF(pr[i].stage, w) < reached -> clearProbe(i)
	:: else
	fi
}

// The leases of probes that were sent before birth b are over.
inline overSince(i, when) {
	if
	:: nd[i].assured && EXPIRES(i) && nd[i].tag < when -> unassure(i)
	:: else
	fi;
	if
	:: pr[i].pc != IDLE && pr[i].tag < when -> clearProbe(i)
	:: else
	fi
}

// coherence/attest.go rebirth. Nobody waits for what nobody can have lost.
inline rebirth(i, when) {
	if
	:: WRITES(i) -> nd[i].born = when; nd[i].graced = (when == 0)
	:: else
	fi
}

// coherence/attest.go estrange
inline estrange(i) {
	if
	:: READS(i) -> nd[i].deaf = 1; nd[i].missed = WORKING
	:: else
	fi
}

#define OF(w, x) (wr[w].entry == x -> BIT(w) : 0) // w, if the entry is its own

// coherence/fence.go heed
inline heed(i, x) {
	if
	:: READS(i) -> nd[i].fences = nd[i].fences | (OF(0, x) & UPDATES) | (OF(1, x) & UPDATES)
	:: else
	fi
}

// coherence/bus.go apply; ack.go confirm: a confirmation may arrive at any time, or never.
inline confirm(i, x) {
	nd[i].acked = nd[i].acked | (PEER(0) == i && wr[0].pc == HEARING -> OF(0, x) : 0) | (PEER(1) == i && wr[1].pc == HEARING -> OF(1, x) : 0)
}

inline apply(i, x) { heed(i, x); bump(i); confirm(i, x) }

// coherence/history.go advance
inline advance(i, x) {
	ancestor(x, nd[i].at);
	if
	:: !ok_ && nd[i].joined && num[x] == num[nd[i].at] + 1 && prev[x] == nd[i].at -> nd[i].at = x
	:: else
	fi
}

// coherence/history.go adopt
inline adopt(i, pos, epo) {
	nd[i].joined = 1; nd[i].at = pos;
	nd[i].epoch = (epo > nd[i].epoch -> epo : nd[i].epoch)
}

// coherence/bus.go deliver. A message may be lost, doubled, late, and of a history that
// Redis has forgotten: any entry ever made may come at any time, or never.
proctype receiver(byte i) {
#if defined(FINE)
	byte x;
	do
	:: d_step { x == 0 && last >= 2 ->  x = 2;
#ifdef ACK_FIRST
		confirm(i, x);
#endif
#ifndef LATE_FENCE
		heed(i, x) }
	:: d_step { x != 0 -> bump(i);
#else
		bump(i) }
	:: d_step { x != 0 -> heed(i, x);
#endif
		confirm(i, x);
		advance(i, x); x = 0 }
	od
#else
	do
	:: d_step { last >= 2 -> apply(i, 2); advance(i, 2) }
	:: d_step { last >= 3 -> apply(i, 3); advance(i, 3) }
	:: d_step { last >= 4 -> apply(i, 4); advance(i, 4) }
	:: d_step { last >= 5 -> apply(i, 5); advance(i, 5) }
	od
#endif
}
