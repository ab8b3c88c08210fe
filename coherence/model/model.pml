// The coherence protocol as coherence and tiered implement it. README.md explains.
//
//	spin -a -DROLLBACKS=1 model.pml

#ifndef MAXENTRY
#define MAXENTRY 4  // entries of the bus in one run, of all histories
#endif
#ifndef ROLLBACKS
#define ROLLBACKS 0
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef RING
#define RING 8      // length of the ring
#endif
#ifndef MAXEPOCH
#define MAXEPOCH 4  // 1 at the beginning
#endif
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef UPDATES
#define UPDATES 2   // of the two writers; the others call Invalidate
#endif
#ifndef OBSERVED
#define OBSERVED 0  // the node whose local copies are kept
#endif
#ifndef WATCHED
#define WATCHED 0   // the writer whose write is watched
#endif
#ifdef LATE
#define AGAIN 1
#else
#define AGAIN 0
#endif
#ifndef WARM
#define KEPT false
#else
#define KEPT true
#endif

#include "state.pml"
#include "guards.pml"
#include "redis.pml"
#include "world.pml"
#include "node.pml"
#include "prober.pml"
#include "reader.pml"
#include "writer.pml"
#include "events.pml"
#ifdef WARM
#include "warm.pml"
#endif

init {
	d_step {
		// A fleet that runs: both nodes are in step, and Redis holds nothing.
		R.e = 1; R.known = 1;
		nd[OBSERVED].lease = 1;
		nd[0].past = 1; nd[0].epoch = 1; nd[0].joined = 1; nd[0].seen = 1;
		nd[1].past = 1; nd[1].epoch = 1; nd[1].joined = 1; nd[1].seen = 1;
		wr[0].update = (UPDATES >= 1); wr[1].update = (UPDATES >= 2)
	};
	atomic {
		run prober(0); run prober(1);
		run receiver(0); run receiver(1);
		run reader(0); run reader(1);
		run writer(WATCHED);
		if
		:: WRITERS > 1 -> run writer(1 - WATCHED)
		:: else
		fi;
#ifdef WARM
		run warmer(0); run warmer(1);
#endif
		run events()
	}
}
