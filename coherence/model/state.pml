// What the parties hold.

// A node: coherence/node.go, history.go, monitor.go, and its copy in tiered/local.go.
typedef Node {
	unsigned lease : 2;  // 0 none, 1 by a probe sent before the mark, 2 after it
	unsigned at : 3;     // the entry reached
	byte past;           // set of the entries remembered
	unsigned epoch : 3;
	unsigned joined : 1;
	unsigned seen : 3;   // set of processes met
	unsigned pend : 3;   // of these, not entered yet
	// The local copy. One whose generation was bumped is gone; ristretto may also
	// lose it, which no state is needed for: a read may always miss.
	unsigned copy : 2;   // 0 none, else version+1
	unsigned young : 1;  // loaded after the mark
	unsigned weak : 1;   // loaded without Redis
#ifdef LEASE_LATE
	unsigned slow : 2;   // a copy that passed the generation check of a slow read
#endif
#ifdef WARM
	byte own;            // warm failover: set of its own announcements that were answered
	unsigned amnesia : 1; // it has crashed and is not the member it was
#endif
}

// A probe under way: coherence/probe.go.
typedef Probe {
	unsigned pc : 4;
	unsigned at : 3, epoch : 3; // held when it was sent
	unsigned young : 1;         // it was sent after the mark
	unsigned rc : 3, re : 3;    // the reply: last entry, epoch
	unsigned ring : 3, lo : 3;  // repair: the ring that was read, the number to mend next
	unsigned p : 2;             // the process that is being entered
}

#define IDLE     0
#define SENT     1 // the probe's three steps
#define REPLIED  2
#define REPAIR   3
#define MEND     4
#define ADVANCE  5
#define VOID     6 // adopted, not flushed yet
#define FORK     7
#define FORKVOID 8
#define RAISE    9 // a process is being entered: MEET has answered
#define FLUSH    10
#define REISSUE  11 // warm failover: INVAL was sent again

// A flight: what reads do when there is no local copy. One at a time on a node; two of
// one node meet only in Redis, as those of two nodes do.
typedef Flight {
	unsigned pc : 2;
	unsigned gen : 1;     // the generation is still what it was when the flight began
	unsigned young : 1;   // it began after the mark: t0 is the copy's loadedAt
	unsigned holds : 1;   // no unknown process was met since its view was taken
	unsigned vepoch : 3;  // the view's epoch
	unsigned ver : 2;     // what the source said
	unsigned refresh : 1;
	unsigned past : 1;    // it loads past a fence
	unsigned again : 1;   // a copy of its ACQUIRE is still on its way
}

#define LOOK    1
#define LOADED  2 // has read the source under its lease
#define ANSWERED 3 // Redis has served or stored the value; the local copy is still to be kept

// A writer: one Update, or one write of the source by somebody else and Invalidate.
// Writer i runs on node i.
typedef Writer {
	unsigned pc : 4;
	unsigned update : 1;  // it calls Update
	unsigned holds : 1;   // no unknown process was met since its view was taken
	unsigned vepoch : 3;
	unsigned my : 2;      // the version it has written
	unsigned doubt : 1;   // its write is under way, and nobody waits for it
	unsigned again : 1;   // a copy of its FENCE is still on its way
	unsigned entry : 3;   // warm failover: APPEND has made it and not answered yet
}

#define FENCING    1
#define APPENDING  2
#define WRITING    3
#define CONCLUDE   4
#define ERASING    5
#define ANNOUNCING 6
#define RETURNED   7
#define ENDED      8  // with an error; died
#define CONCLUDED  10 // for a moment
#define NOTING     11 // warm failover: APPEND has answered
#define DEAD       9  // died or failed when it may have written: the fence stays

#ifndef ANNOUNCE_FIRST
#define ANNOUNCE ERASING
#else
#define ANNOUNCE ANNOUNCING
#endif

// Redis: the record of the one key, and the bus. An entry of the bus is known by its
// nonce, which is a number here: entry x has the number num[x] and stands behind
// prev[x]; entry 0 is the empty bus. A nonce is never used twice, so that a position
// (number, nonce) is one number, and the ring is the chain of prev.
typedef Redis {
	unsigned kind : 2;
	unsigned ver : 2;      // VALUE: the version of the source it holds
	unsigned vepoch : 3;   // VALUE: the epoch in its envelope
	unsigned owner : 2;    // LEASE: node
	unsigned copied : 1;   // LEASE: made by a late copy of ACQUIRE, so that its grant is another one
	unsigned fence : 2;    // FENCE: set of writers
	unsigned dirty : 2;    // FENCE: set of writers whose fence is flagged 'd'
	unsigned dup : 2;      // FENCE: set of writers whose fence a late copy made: its expiry is another one
	unsigned same : 2;     // VALUE: set of nodes whose refresh began with this very value (its stamp)
	unsigned c : 3, e : 3; // bus: last entry, epoch
	unsigned known : 3;    // bus: set of the processes that were entered
	unsigned reported : 2; // bus: set of the members that have reported to this process

	// Ghosts: no code looks at them, the properties do.
	unsigned proc : 2;     // VALUE: the process that stored it
	unsigned touched : 2;  // set of nodes whose load FENCE or INVAL has overtaken
	unsigned fenced : 2;   // set of writers whose fence is alive
}

#define NONE    0 // kind
#define VALUE   1
#define LEASE   2
#define FENCE   3

#define GONE    2 // owner of a lease: a load that has ended

Node   nd[2];
Probe  pr[2];
Flight fl[2];
Writer wr[2];
Redis  R;          // the process that answers now
Redis  S;          // Redis' data at an earlier moment: a snapshot on disk, a replica that lags
bit snapped, snapSame; // snapSame: the record has not changed since

byte crashes;
byte proc;         // the number of R; stands for run_id and master_replid
byte last;         // the latest entry made, in any history
byte num[MAXENTRY + 1], prev[MAXENTRY + 1];

byte src;          // version of the record in the source; every write makes the next
bit  mark;         // the watched write has returned: instants from here on are young
bit  late;         // more than D has passed since
byte watched;      // its version
bit  crashed;      // it did not return: its writer died, and its fence is over (I9)
