// A writer: one Update, or one write of the source by somebody else and Invalidate.
// Writer i runs on node i.

#ifndef ANNOUNCE_FIRST
#define ANNOUNCE ERASING
#else
#define ANNOUNCE ANNOUNCING
#endif

inline write(i) { src++; wr[i].my = src }

// What a writer knew is of no more use.
inline end(i, state) {
	wr[i].pc = state; wr[i].holds = 0; wr[i].vepoch = 0;
	if
	:: i != WATCHED && i != OBSERVED -> wr[i].my = 0
	:: else
	fi
}

// coherence/space.go announce, AnnounceBehind: APPEND, then bump
inline announced(i) {
	append();
#ifdef WARM
	nd[i].own = nd[i].own | BIT(last);
#endif
	bump(i)
}

// tiered/internal/script/unfence.lua and confirm.lua, in one round trip: when Redis
// changes between the two, the view does not hold. Its entry is gone only then.
inline unfence(i) {
	connect(i);
#ifndef NO_BUMP
	bump(i);
#endif
	if
	:: !FENCEDBY(i) -> lost_ = 1; through_ = 0
	:: else ->
		lost_ = 0;
		through_ = (THROUGH(i) && R.fence == BIT(i));
		dropFence(i);
		if
		:: through_ -> setValue(wr[i].my, wr[i].vepoch)
		:: else
		fi
	fi
}

hidden byte lost_, through_;
// UNFENCE with a bare token
inline withdraw(i) {
	connect(i);
	if
	:: R.kind == FENCE && R.fence & BIT(i) -> dropFence(i)
	:: else
	fi
}

// A write has returned nil.
inline returns(i) {
	end(i, RETURNED);
	served(i);
	watch(i, 0)
}

proctype writer(byte i) {
	do
	// Somebody writes the source and calls Invalidate.
	:: d_step { wr[i].pc == IDLE && !wr[i].update -> write(i); wr[i].pc = ANNOUNCE }

	// tiered/write.go fence: Settle, View
	:: d_step { wr[i].pc == IDLE && wr[i].update && LEASED(i) && nd[i].epoch ->
		wr[i].holds = 1; wr[i].vepoch = nd[i].epoch; wr[i].pc = FENCING }
	// coherence/space.go AnnounceBehind: FENCE, then APPEND
#ifndef APPEND_FIRST
	:: d_step { wr[i].pc == FENCING -> connect(i); fenceScript(i); wr[i].pc = APPENDING; wr[i].again = AGAIN }
	:: d_step { wr[i].pc == APPENDING && last < MAXENTRY -> connect(i); announced(i); wr[i].pc = WRITING }
#else
	:: d_step { wr[i].pc == FENCING && last < MAXENTRY -> connect(i); announced(i); wr[i].pc = APPENDING }
	:: d_step { wr[i].pc == APPENDING -> connect(i); fenceScript(i); wr[i].pc = WRITING }
#endif
	// An error, or RolledBack; the fence is removed, if Redis can be reached.
	:: d_step { wr[i].pc == APPENDING || wr[i].pc == WRITING -> withdraw(i); end(i, ENDED) }
	:: d_step { wr[i].pc == APPENDING -> end(i, ENDED) }

	// tiered/write.go call
	:: d_step { wr[i].pc == WRITING -> write(i); wr[i].pc = CONCLUDE }
	:: d_step { wr[i].pc == WRITING -> wr[i].doubt = 1; end(i, DEAD) // fails in doubt, or dies
#ifdef WITHDRAW_DOUBT
		withdraw(i)
#endif
	   }
	:: d_step { wr[i].doubt -> write(i); wr[i].doubt = 0 }
	:: d_step { wr[i].doubt -> wr[i].doubt = 0 }

	// tiered/write.go Update, conclude: bump, UNFENCE and CONFIRM
	:: atomic { wr[i].pc == CONCLUDE ->
		d_step {
			unfence(i);
			if
			:: !lost_ && wr[i].holds -> wr[i].pc = CONCLUDED
			:: else -> wr[i].pc = ANNOUNCE
			fi;
#ifdef NO_REANNOUNCE
			wr[i].pc = CONCLUDED;
#endif
			if
			:: through_ && wr[i].pc == CONCLUDED -> keep(i, wr[i].my, mark, 0)
			:: else
			fi
		};
		if
		:: wr[i].pc == CONCLUDED -> returns(i)
		:: else
		fi }
	:: d_step { wr[i].pc == CONCLUDE -> unfence(i); wr[i].pc = ANNOUNCE } // there is no answer
	:: d_step { wr[i].pc >= CONCLUDE && wr[i].pc <= ANNOUNCING && wr[i].update -> end(i, DEAD) }

	// coherence/space.go announce: data first, then the bus
	:: d_step { wr[i].pc == ERASING -> connect(i); wr[i].holds = 1; inval(); wr[i].vepoch = 0;
#ifndef ANNOUNCE_FIRST
		wr[i].pc = ANNOUNCING }
#ifndef WARM
	:: atomic { wr[i].pc == ANNOUNCING && last < MAXENTRY -> connect(i); announced(i); returns(i) }
#else
	// Redis executes APPEND; the node hears of it, and remembers; the view must hold then.
	:: d_step { wr[i].pc == ANNOUNCING && last < MAXENTRY -> connect(i); append(); wr[i].entry = last; wr[i].pc = NOTING }
	:: atomic { wr[i].pc == NOTING ->
		nd[i].own = nd[i].own | BIT(wr[i].entry); wr[i].entry = 0;
		bump(i);
		if
		:: HOLDING(i) -> returns(i)
		:: else -> wr[i].pc = ERASING
		fi }
#endif
#else
		returns(i) }
	:: d_step { wr[i].pc == ANNOUNCING && last < MAXENTRY -> connect(i); announced(i); wr[i].pc = ERASING }
#endif
#ifdef LATE
	// A copy of FENCE that a retry left behind.
	:: d_step { wr[i].again ->
		connect(i);
		if
		:: R.kind == FENCE && R.fence & BIT(i)
		:: else -> fenceScript(i); ADD(R.dup, i)
		fi;
		wr[i].again = 0 }
#endif
	od
}
