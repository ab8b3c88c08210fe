// The guards that are conditions. Each can be switched off; others stand as #ifdef
// where the step is. The table of all is in README.md.

// The copies of a node are served by that node alone, so that a configuration keeps those
// of one. The other one may always use Redis, whether it has a lease or not.
#define KEEPS(i) (i == OBSERVED)

#ifdef FINE
#define FINELY(i) KEEPS(i)
#else
#define FINELY(i) (false)
#endif

// tiered/get.go hit: the lease
#ifndef NO_LEASE
#define LEASED(i) (nd[i].lease || !KEEPS(i))
#else
#define LEASED(i) (true)
#endif

// coherence/view.go View: no unknown process has been met and not been entered
#ifndef NO_UNKNOWN
#define VIEWABLE(i) (nd[i].pend == 0 && nd[i].epoch != 0)
#else
#define VIEWABLE(i) (nd[i].epoch != 0)
#endif

// tiered/store.go keep: the generation is that of before the load
#ifndef LATE_GEN
#define CURRENT(i) (fl[i].gen)
#else
#define CURRENT(i) (true)
#endif

// tiered/internal/flight/flight.go joinable
#ifndef JOIN_GEN
#define SAMEGEN(i) (fl[i].gen)
#else
#define SAMEGEN(i) (true)
#endif
#ifndef JOIN_SEALED
#define OPEN(i) (!fl[i].past)
#else
#define OPEN(i) (true)
#endif
#ifndef JOIN_OLD
#define JOINABLE(i) (SAMEGEN(i) && OPEN(i) && (nd[i].lease || !late || fl[i].young))
#else
#define JOINABLE(i) (SAMEGEN(i) && OPEN(i))
#endif

// tiered/internal/script/commit.lua: the lease's token, and its grant
#ifndef NO_GRANT
#define GRANTED (!R.copied)
#else
#define GRANTED (true)
#endif
#ifndef NO_TOKEN
#define MINE(i) (R.kind == LEASE && R.owner == i && GRANTED)
#else
#define MINE(i) (true)
#endif

// tiered/internal/script/replace.lua: the stamp
#ifndef REPLACE_BLIND
#define THESAME(i) (R.kind == VALUE && R.same & BIT(i))
#else
#define THESAME(i) (true)
#endif

// tiered/internal/script/unfence.lua: the fence's expiry, and its flag
#ifndef NO_EXPIRY
#define FENCEDBY(i) (R.kind == FENCE && R.fence & BIT(i) && !(R.dup & BIT(i)))
#else
#define FENCEDBY(i) (R.kind == FENCE && R.fence & BIT(i))
#endif
#ifndef UNFENCE_DIRTY
#define THROUGH(i) (!(R.dirty & BIT(i)))
#else
#define THROUGH(i) (true)
#endif

// tiered/write.go call: the writer's deadline. A fence outlives the write that it
// protects; a commit in doubt is over when its fence is.
#ifndef NO_DEADLINE
#define EXPIRES(w) (R.kind == FENCE && R.fence & BIT(w) && wr[w].pc != APPENDING && wr[w].pc != WRITING && !wr[w].doubt)
#else
#define EXPIRES(w) (R.kind == FENCE && R.fence & BIT(w))
#endif

// Warm failover: an announcement made across a change of Redis is made again.
#ifndef NO_ANNOUNCEHOLDS
#define HOLDING(i) (wr[i].holds)
#else
#define HOLDING(i) (true)
#endif
