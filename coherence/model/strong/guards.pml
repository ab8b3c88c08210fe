// The guards that are conditions. Each can be switched off; others stand as #ifdef
// where the step is. The table of all is in ../README.md.

#define ON(w) (w == 0 -> ON0 : ON1)   // the node of writer w
#define PEER(w) (1 - ON(w))           // the node whose confirmation it waits for

// The copies of a node are served by that node alone, so that those of one are kept.
#define KEEPS(i) (i == 0)

// What a node is used for. What is of use to nobody is not noted.
#define READS(i) (i < READERS)
#define WRITES(i) (ON0 == i || WRITERS > 1 && ON1 == i)
#define AWAITED(i) (PEER(0) == i || WRITERS > 1 && PEER(1) == i)

#ifdef COARSE
#define FINELY(i) (false)
#else
#define FINELY(i) KEEPS(i)
#endif

// The source may still be written under the fence of w. Whatever lasts as long as a fence
// and began when it did, or later, lasts until then.
#ifndef NO_DEADLINE
#define ACTIVE(w) (wr[w].pc >= FENCING && wr[w].pc <= DOUBT && UPDATES & BIT(w))
#else
#define ACTIVE(w) (false)
#endif
#define WORKING ((ACTIVE(0) -> 1 : 0) | (ACTIVE(1) -> 2 : 0))

// With PROMPT a writer does not die once it may have written, and concludes in the life of
// its fence.
#ifndef PROMPT
#define DIES true
#define LASTS(w) ACTIVE(w)
#else
#define DIES false
#define LASTS(w) (ACTIVE(w) || UPDATES & BIT(w) && wr[w].pc >= CONCLUDE && wr[w].pc <= ANNOUNCING)
#endif

// How far write w is: 0 not announced, 1 waits for confirmations, 2 beyond.
#define STAGE(w) (wr[w].pc == HEARING -> 1 : (wr[w].pc < HEARING || !(UPDATES & BIT(w)) && (wr[w].pc == ERASING || wr[w].pc == ANNOUNCING) -> 0 : 2))
#define STAGES (STAGE(0) | STAGE(1) << 2)
#define STAGEOF(s, w) ((s >> (w + w)) & 3)

// coherence/view.go View
#define VIEWABLE(i) (nd[i].pend == 0 && nd[i].epoch != 0)

// coherence/fence.go Barred
#ifndef NO_LOCALFENCE
#define FENCED(i) (nd[i].fences)
#else
#define FENCED(i) (false)
#endif
#ifndef NO_YOUNG
#define DEAF(i) (nd[i].deaf)
#else
#define DEAF(i) (false)
#endif
#define BARRED(i) (FENCED(i) || DEAF(i))

// tiered/consistency.go asks
#define ASKS(i) (nd[i].assured && !BARRED(i))

// tiered/get.go hold
#ifndef TAKE_BLIND
#define STANDS(i) (fl[i].gen && ASKS(i))
#else
#define STANDS(i) (true)
#endif

// tiered/internal/flight/flight.go joinable
#ifndef JOIN_LAX
#define MAYJOIN(i) (nd[i].assured)
#else
#define MAYJOIN(i) (true)
#endif
#ifndef JOIN_SEALED
#define OPEN(i) (fl[i].pc != PASSING)
#else
#define OPEN(i) (true)
#endif
#define JOINABLE(i) (fl[i].pc != IDLE && fl[i].gen && MAYJOIN(i) && OPEN(i))

// coherence/attest.go graceLeft
#ifndef NO_GRACE
#define GRACED(i) (nd[i].graced)
#else
#define GRACED(i) (true)
#endif

// coherence/attest.go SettleAcked, survey
#define SETTLED(i) (nd[i].assured && GRACED(i) && VIEWABLE(i) && nd[i].reg)

// coherence/script/append.lua UNLISTED
#ifndef UNLISTED
#define LISTING(w) (R.g == wr[w].reg)
#else
#define LISTING(w) (true)
#endif

// coherence/bus.go appended
#ifndef FOREIGN_EPOCH
#define MYEPOCH(w) (R.e == wr[w].vepoch)
#else
#define MYEPOCH(w) (true)
#endif

// coherence/script/expel.lua
#ifndef EXPEL_BLIND
#define UNCHANGED(w) (R.same & BIT(w))
#else
#define UNCHANGED(w) (true)
#endif
