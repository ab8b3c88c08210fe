// The properties, and loss of history.

// A hidden variable a property, so that spin's message says which one failed.
hidden byte I1, I5, I6, I9, I11, I14;

// What a read that starts after the bound is given is the watched version or a later one.
inline fresh(got) {
	if
	:: late && !crashed -> I1 = (got >= watched); assert(I1)
	:: late && crashed -> I9 = (got >= watched); assert(I9)
	:: else
	fi
}

// A write has ended. One write of the run is watched: WATCHED says whose.
inline watch(w, byCrash) {
	if
	:: w == WATCHED && !mark -> mark = 1; watched = wr[w].my; crashed = byCrash
	:: else
	fi
}

inline copyRedis(to, from) {
	to.kind = from.kind; to.ver = from.ver; to.vepoch = from.vepoch; to.owner = from.owner;
	to.copied = from.copied; to.fence = from.fence; to.dirty = from.dirty; to.dup = from.dup; to.same = from.same;
	to.c = from.c; to.e = from.e; to.known = from.known; to.reported = from.reported;
	to.proc = from.proc; to.touched = from.touched; to.fenced = from.fenced
}

inline clearSnapshot() {
	snapped = 0; snapSame = 0;
	S.kind = NONE; S.ver = 0; S.vepoch = 0; S.owner = 0; S.copied = 0; S.fence = 0; S.dirty = 0; S.dup = 0;
	S.same = 0; S.c = 0; S.e = 0; S.known = 0; S.reported = 0; S.proc = 0; S.touched = 0; S.fenced = 0
}
