// The scripts that change the record, the bus and the registry.

#define NOBODY 255 // MEET names no process

#define BIT(x)     (1 << (x))
#define ADD(s, x)  s = s | BIT(x)
#define CUT(s, x)  s = s & (31 - BIT(x))

// Names are used again: nothing that is left in Redis is this flight's any more.
inline release(i) {
	if
	:: R.kind == LEASE && R.owner == i -> R.owner = GONE
	:: else
	fi;
	if
	:: S.kind == LEASE && S.owner == i -> S.owner = GONE
	:: else
	fi
}

inline land(i) {
	release(i);
	fl[i].pc = IDLE; fl[i].gen = 0; fl[i].holds = 0; fl[i].vepoch = 0; fl[i].ver = 0; fl[i].floor = 0
}

// A load that lost its lease, in Redis as it is and as it may become, has nothing left to
// do, and nobody joins it. One that has yet to load, and may not, neither.
inline moot(i) {
	if
	:: fl[i].pc == LOADED && !fl[i].gen && !(R.kind == LEASE && R.owner == i) && !(S.kind == LEASE && S.owner == i) -> land(i)
#ifndef TAKE_BLIND
	:: (fl[i].pc == TAKE || fl[i].pc == HELD) && !fl[i].gen -> land(i)
#endif
	:: fl[i].pc == PASSING && !fl[i].gen -> land(i)
	:: else
	fi
}

inline clearRecord() {
	R.kind = NONE; R.ver = 0; R.vepoch = 0; R.owner = 0; R.fence = 0; R.dirty = 0
}

inline setValue(got, epo) {
	clearRecord(); R.kind = VALUE; R.ver = got; R.vepoch = epo
}

// tiered/internal/script/fence.lua
inline fenceScript(w) {
	if
	:: R.kind == FENCE -> R.fence = 3; R.dirty = 3
	:: else -> clearRecord(); R.kind = FENCE; R.fence = BIT(w)
	fi;
	moot(0); moot(1)
}

// The fence of w ends: by UNFENCE or by time.
inline dropFence(w) {
	CUT(R.fence, w); CUT(R.dirty, w);
	if
	:: R.fence == 0 -> clearRecord()
	:: else
	fi
}

// tiered/internal/script/inval.lua
inline inval() {
	if
	:: R.kind == FENCE -> R.dirty = R.fence
	:: else -> clearRecord()
	fi;
	moot(0); moot(1)
}

inline birth() { births++; R.b = births }

inline raiseEpoch() { epochs++; R.e = epochs; birth() }

// coherence/script/append.lua. A missing epoch is made here.
inline append() {
	if
	:: R.e == 0 -> raiseEpoch()
	:: else
	fi;
	last++; num[last] = num[R.c] + 1; prev[last] = R.c; R.c = last
}

// Where the bounds of the search allow no other epoch or registry, nobody makes one.
#define ROOM (epochs < 3 && births < 3)

// coherence/script/meet.lua. Epochs are the server's clock, so that a raised one is new.
inline meet(process, top, force) {
	if
	:: (process == NOBODY || R.known & BIT(process)) && R.e > 0 && R.e >= top && !(force && R.e == top)
	:: else ->
		raiseEpoch();
		if
		:: process != NOBODY -> ADD(R.known, process)
		:: else
		fi
	fi
}

// coherence/script/attest.lua: the caller enters the registry.
inline enlist(i) {
	if
	:: R.g == 0 -> regs++; R.g = regs; birth()
	:: else
	fi;
	if
	:: AWAITED(i) && i == 0 -> ADD(R.listed, i); R.n0 = num[nd[i].at]
	:: AWAITED(i) && i == 1 -> ADD(R.listed, i); R.n1 = num[nd[i].at]
	:: else
	fi;
	if
	:: PEER(0) == i -> CUT(R.same, 0)
	:: else
	fi;
	if
	:: PEER(1) == i -> CUT(R.same, 1)
	:: else
	fi
}

#define APPLIED(i) (i == 0 -> R.n0 : R.n1)

// ok_: whether an entry is part of the history that ends in another.
hidden byte ok_, x_, y_;
inline ancestor(older, newest) {
	x_ = newest;
	do
	:: num[x_] > num[older] -> x_ = prev[x_]
	:: else -> break
	od;
	ok_ = (x_ == older)
}

inline copyRedis(to, from) {
	to.kind = from.kind; to.ver = from.ver; to.vepoch = from.vepoch; to.owner = from.owner;
	to.fence = from.fence; to.dirty = from.dirty;
	to.c = from.c; to.e = from.e; to.known = from.known;
	to.g = from.g; to.listed = from.listed; to.n0 = from.n0; to.n1 = from.n1; to.same = from.same; to.b = from.b
}

inline clearBus() { R.c = 0; R.e = 0; R.known = 0; R.b = 0 }

inline clearRegistry() { R.g = 0; R.listed = 0; R.n0 = 0; R.n1 = 0; R.same = 0 }

inline clearSnapshot() {
	snapped = 0;
	S.kind = NONE; S.ver = 0; S.vepoch = 0; S.owner = 0; S.fence = 0; S.dirty = 0; S.c = 0; S.e = 0; S.known = 0;
	S.g = 0; S.listed = 0; S.n0 = 0; S.n1 = 0; S.same = 0; S.b = 0
}
