// A writer: one Update, or one write of the source by somebody else and Invalidate.

// coherence/attest.go survey: what is known of Redis when something is announced
inline survey(w) { wr[w].holds = 1; wr[w].vepoch = nd[ON(w)].epoch; wr[w].reg = nd[ON(w)].reg }

inline forget(w) { wr[w].holds = 0; wr[w].vepoch = 0; wr[w].reg = 0; wr[w].silent = 0; wr[w].gone = 0 }

// Its own node knows of the fence first.
inline own(w) {
	if
	:: READS(ON(w)) -> ADD(nd[ON(w)].fences, w)
	:: else
	fi
}

// It is over: what lasts as long as its fence may end.
inline end(w, how) {
	wr[w].pc = how; wr[w].my = 0; wr[w].tag = 0;
	forget(w); CUT(nd[PEER(w)].acked, w);
	CUT(R.same, w); CUT(S.same, w);
	CUT(nd[0].missed, w); CUT(nd[1].missed, w)
}

inline write(w) {
	src++; wr[w].my = src;
	CUT(nd[0].missed, w); CUT(nd[1].missed, w)
}

// An Update takes effect when it writes the source: from then on somebody may read it there.
inline effect() { floor = src; demand() }

// coherence/script/append.lua, bus.go appended. ok_: the announcement counts. The registry is
// as the entry found it.
inline announce(w) {
	connect(ON(w));
	if
	:: !LISTING(w) -> ok_ = 0
	:: else ->
		append();
		bump(ON(w));
		ok_ = (wr[w].holds && MYEPOCH(w));
		if
		:: ok_ && wr[w].entry == 0 ->
			wr[w].entry = last;
			if
			:: R.listed & BIT(PEER(w)) -> wr[w].silent = 1; ADD(R.same, w)
			:: else
			fi
		:: else
		fi
	fi;
	if
	:: !ok_ -> unassure(ON(w)) // coherence/attest.go doubt
	:: else
	fi
}

// What comes behind it: the source is written, or Invalidate returns.
inline behind(w) {
	CUT(R.same, w); CUT(S.same, w); CUT(nd[PEER(w)].acked, w); wr[w].gone = 0; wr[w].reg = 0;
	if
	:: !(UPDATES & BIT(w)) -> ok_ = wr[w].my; end(w, RETURNED); floor = (ok_ > floor -> ok_ : floor); demand()
#ifdef AFTER_WRITE
	:: UPDATES & BIT(w) -> wr[w].pc = CONCLUDE
#else
	:: UPDATES & BIT(w) -> wr[w].pc = WRITING
#endif
	fi
}

// coherence/ack.go Heard: all have confirmed.
inline heard(w) {
	wr[w].silent = 0;
	if
	:: wr[w].gone -> wr[w].pc = EXPELLING
	:: else -> behind(w)
	fi
}

// coherence/ack.go consult: the registry and the announcement
inline consult(w) {
	connect(ON(w));
	ancestor(wr[w].entry, R.c);
	if
	:: R.g == wr[w].reg && ok_ &&
	   (!(R.listed & BIT(PEER(w))) || !(R.same & BIT(w)) && APPLIED(PEER(w)) >= num[wr[w].entry]) -> heard(w)
	:: else
	fi
}

// tiered/internal/script/unfence.lua and confirm.lua, in one round trip: when Redis changes
// between the two, the view does not hold. lost_: the fence or the announcement is gone.
hidden byte lost_, through_;
inline unfence(w) {
	connect(ON(w));
	bump(ON(w));
	ancestor(wr[w].entry, R.c);
	lost_ = !ok_; through_ = 0;
	if
	:: !(R.kind == FENCE && R.fence & BIT(w)) -> lost_ = 1
	:: else ->
		through_ = (R.fence == BIT(w) && !(R.dirty & BIT(w)));
		dropFence(w);
		if
		:: through_ -> setValue(wr[w].my, wr[w].vepoch)
		:: else
		fi
	fi
}

proctype writer(byte w) {
	do
	// tiered/write.go fence; coherence/announce.go AnnounceBehind: this node knows first.
	:: d_step { wr[w].pc == IDLE && UPDATES & BIT(w) && SETTLED(ON(w)) ->
		survey(w); wr[w].tag = births; own(w); wr[w].pc = FENCING }
	:: d_step { wr[w].pc == FENCING -> connect(ON(w)); fenceScript(w); wr[w].pc = APPENDING }
	:: d_step { wr[w].pc == APPENDING && last < MAXENTRY && ROOM ->
		announce(w);
		if
		:: !ok_ -> end(w, RETURNED)
#if defined(NO_ACK) || defined(AFTER_WRITE)
		:: ok_ -> wr[w].pc = WRITING
#else
		:: ok_ && wr[w].silent -> wr[w].pc = HEARING
		:: ok_ && !wr[w].silent -> behind(w)
#endif
		fi }

	// coherence/ack.go Heard
	:: d_step { wr[w].pc == HEARING && nd[PEER(w)].acked & BIT(w) -> heard(w) }
	:: d_step { wr[w].pc == HEARING -> consult(w) }
	:: d_step { wr[w].pc == HEARING ->
#ifndef NO_OUTWAIT
		overAt(PEER(w), w, 1);
#endif
		wr[w].gone = 1; heard(w) }
	// coherence/attest.go expelGone
	:: d_step { wr[w].pc == EXPELLING ->
		connect(ON(w));
		if
		:: UNCHANGED(w) -> CUT(R.listed, PEER(w))
		:: else
		fi;
		behind(w) }
	:: d_step { wr[w].pc == EXPELLING -> behind(w) } // which fails

	// ErrNotWritten; RolledBack: the fence is withdrawn and lifted, or ends by itself.
	:: d_step { wr[w].pc >= FENCING && wr[w].pc <= WRITING && UPDATES & BIT(w) -> end(w, RETURNED) }

	// tiered/write.go call
	:: d_step { wr[w].pc == WRITING -> write(w);
#ifdef AFTER_WRITE
		wr[w].pc = HEARING;
#else
		wr[w].pc = CONCLUDE;
#endif
		effect() }
	:: d_step { DIES && wr[w].pc == WRITING -> wr[w].pc = DOUBT; forget(w) } // fails in doubt, or dies
	:: d_step { wr[w].pc == DOUBT -> write(w); end(w, ENDED); effect() }
	:: d_step { wr[w].pc == DOUBT -> end(w, ENDED) }

	// tiered/write.go conclude
	:: d_step { wr[w].pc == CONCLUDE ->
		unfence(w);
		if
		:: lost_ || !wr[w].holds -> wr[w].pc = ERASING
		:: else ->
			if
			:: through_ -> keep(ON(w), wr[w].my)
			:: else
			fi;
			end(w, RETURNED)
		fi }
	:: d_step { wr[w].pc == CONCLUDE -> unfence(w); wr[w].pc = ERASING } // there is no answer
	:: d_step { DIES && wr[w].pc >= CONCLUDE && wr[w].pc <= ANNOUNCING && UPDATES & BIT(w) -> end(w, ENDED) }

	// coherence/announce.go announce: data first, then the bus. Of an Update, whose nodes know
	// already, nobody's confirmation is waited for here.
	:: d_step { wr[w].pc == ERASING && SETTLED(ON(w)) -> survey(w); connect(ON(w)); inval(); wr[w].pc = ANNOUNCING }
	:: d_step { wr[w].pc == ANNOUNCING && last < MAXENTRY && ROOM ->
		announce(w);
		if
		:: !ok_ -> wr[w].pc = ERASING
		:: ok_ && UPDATES & BIT(w) -> end(w, RETURNED)
		:: ok_ && !(UPDATES & BIT(w)) && wr[w].silent -> wr[w].pc = HEARING
		:: else -> behind(w)
		fi }

	// Somebody writes the source and calls Invalidate.
	:: d_step { wr[w].pc == IDLE && !(UPDATES & BIT(w)) -> write(w); wr[w].pc = ERASING }
	od
}
