// The scripts that change the record and the bus.

#define NOBODY 255 // MEET names no process

#define BIT(x)     (1 << (x))
#define ADD(s, x)  s = s | BIT(x)
#define CUT(s, x)  s = s & (7 - BIT(x))

// Names are used again: nothing that is left in Redis is this flight's any more.
inline release(i) {
	if
	:: R.kind == LEASE && R.owner == i -> R.owner = GONE; R.copied = 0
	:: else
	fi;
	if
	:: S.kind == LEASE && S.owner == i -> S.owner = GONE; S.copied = 0
	:: else
	fi
}

// A flight has ended.
inline land(i) {
	release(i);
	CUT(R.touched, i); CUT(S.touched, i); CUT(R.same, i); CUT(S.same, i);
	fl[i].pc = IDLE; fl[i].gen = 0; fl[i].young = 0; fl[i].holds = 0; fl[i].vepoch = 0;
	fl[i].ver = 0; fl[i].refresh = 0; fl[i].past = 0; fl[i].again = 0
}

// A load that lost its lease, in Redis as it is and as it may become, has nothing left to do.
inline moot(i) {
#if defined(NO_TOKEN) || defined(JOIN_GEN)
	skip // with these guards off it can do harm
#else
	if
	:: fl[i].pc == LOADED && !fl[i].refresh && !fl[i].past && !fl[i].gen && !fl[i].again &&
	   !(R.kind == LEASE && R.owner == i) && !(S.kind == LEASE && S.owner == i) -> land(i)
	:: else
	fi
#endif
}

inline clearRecord() {
	R.kind = NONE; R.ver = 0; R.vepoch = 0; R.owner = 0; R.copied = 0; R.same = 0; R.proc = 0;
	R.fence = 0; R.dirty = 0; R.dup = 0;
	snapSame = 0
}

inline setValue(got, epo) {
	clearRecord(); R.kind = VALUE; R.ver = got; R.vepoch = epo; R.proc = proc
}

// tiered/internal/script/acquire.lua, where the record may be replaced
inline acquire(i, byCopy) {
	clearRecord(); R.kind = LEASE; R.owner = i; R.copied = byCopy
}

inline touch(i) {
	if
	:: fl[i].pc == LOADED -> ADD(R.touched, i)
	:: else
	fi
}

// tiered/internal/script/fence.lua. A second run changes nothing.
inline fenceScript(w) {
	if
	:: R.kind == FENCE && R.fence & BIT(w)
	:: R.kind == FENCE && !(R.fence & BIT(w)) ->
		R.fence = 3;
#ifndef FENCE_CLEAN
		ADD(R.dirty, w);
#endif
#ifndef OTHERS_CLEAN
		ADD(R.dirty, 1 - w);
#endif
		snapSame = 0
	:: R.kind != FENCE -> clearRecord(); R.kind = FENCE; R.fence = BIT(w)
	fi;
	ADD(R.fenced, w);
	touch(0); touch(1);
	moot(0); moot(1)
}

// The fence of w ends: by UNFENCE or by time.
inline dropFence(w) {
	CUT(R.fence, w); CUT(R.dirty, w); CUT(R.dup, w); CUT(R.fenced, w); snapSame = 0;
	if
	:: R.fence == 0 -> clearRecord()
	:: else
	fi
}

// tiered/internal/script/inval.lua
inline inval() {
	if
#ifndef INVAL_FENCES
	:: R.kind == FENCE ->
#ifndef INVAL_CLEAN
		R.dirty = R.fence;
#endif
		snapSame = 0
	:: R.kind != FENCE -> clearRecord()
#else
	:: true -> clearRecord()
#endif
	fi;
	touch(0); touch(1);
	moot(0); moot(1)
}

// coherence/script/append.lua
inline append() {
	last++; num[last] = num[R.c] + 1; prev[last] = R.c; R.c = last
}

// coherence/script/meet.lua. A raised epoch is not new by the clock here, which is the
// worst case: Redis TIME may go back. A run raises it to MAXEPOCH at most; the MEET that
// would raise it further fails, with reply 0.
inline meet(process, top, force, reply) {
	if
	:: (process == NOBODY || R.known & BIT(process)) && R.e > 0 && R.e >= top && !(force && R.e == top) -> reply = R.e
	:: else ->
		if
		:: R.e < MAXEPOCH && top < MAXEPOCH ->
			R.e = (R.e > top -> R.e : top) + 1;
			if
			:: process != NOBODY -> ADD(R.known, process)
			:: else
			fi;
			reply = R.e
		:: else -> reply = 0
		fi
	fi
}
