// The strong mode as coherence and tiered implement it. ../README.md explains.
//
//	spin -a -DFLUSH model.pml

#ifndef MAXENTRY
#define MAXENTRY 3  // entries of the bus in one run, of all histories; one is old
#endif
#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef UPDATES
#define UPDATES 3   // set of writers that call Update; the others call Invalidate
#endif
#ifndef ON0
#define ON0 1       // the node of writer 0
#endif
#ifndef ON1
#define ON1 1       // the node of writer 1
#endif
#ifndef READERS
#define READERS 2   // nodes that read: 0, or both
#endif
#ifndef JOINS
#define JOINS 0
#endif

#include "state.pml"
#include "guards.pml"
#include "redis.pml"
#include "node.pml"
#include "prober.pml"
#include "reader.pml"
#include "writer.pml"
#include "events.pml"

init {
	d_step {
		// A fleet that runs: both nodes are in step and listed, and the record holds nothing.
		last = 1; num[1] = 1;
		R.c = 1; R.e = 1; R.known = 1; R.g = 1; R.listed = (AWAITED(0) -> 1 : 0) | (AWAITED(1) -> 2 : 0);
		R.n0 = (AWAITED(0) -> 1 : 0); R.n1 = (AWAITED(1) -> 1 : 0);
		epochs = 1; regs = 1;
		nd[0].at = 1; nd[0].epoch = 1; nd[0].joined = 1; nd[0].seen = 1; nd[0].reg = WRITES(0); nd[0].graced = 1; nd[0].assured = 1;
		nd[1].at = 1; nd[1].epoch = 1; nd[1].joined = 1; nd[1].seen = 1; nd[1].reg = WRITES(1); nd[1].graced = 1; nd[1].assured = 1
	};
	atomic {
		run prober(0); run prober(1);
		run receiver(0); run receiver(1);
		run reader(0);
		if
		:: READERS > 1 -> run reader(1)
		:: else
		fi;
		run writer(0);
		if
		:: WRITERS > 1 -> run writer(1)
		:: else
		fi;
		run events()
	}
}
