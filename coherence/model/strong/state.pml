// What the parties hold.

// A node: coherence/node.go, attest.go, fence.go, history.go, monitor.go, and its copy
// in tiered/local.go.
typedef Node {
	unsigned assured : 1; // by a probe that entered it in the registry
	unsigned stage : 4;   // how far each write was when that probe was sent, 2 bits a write
	unsigned tag : 2;     // births before that
	unsigned at : 3;      // the entry reached
	unsigned epoch : 2;
	unsigned joined : 1;
	unsigned seen : 2;    // set of processes met
	unsigned pend : 2;    // of these, not entered yet
	unsigned reg : 2;     // the registry that named it last
	unsigned born : 2;    // how many births it knows to be past ...
	unsigned graced : 1;  // ... for the life of a fence at least
	unsigned deaf : 1;    // it has not followed the announcements for the life of a fence
	unsigned missed : 2;  // set of writes under way that were fenced before that
	unsigned fences : 2;  // local fence memory: set of writes
	unsigned acked : 2;   // set of writes that it has confirmed
	unsigned copy : 2;    // the local copy: version+1, 0 none
#ifdef STRONG_WINDOW
	unsigned young : 1;   // it was loaded less than MaxStale ago
#endif
}

// A probe under way: coherence/probe.go.
typedef Probe {
	unsigned pc : 3;
	unsigned rc : 3, re : 2;   // the reply: last entry, epoch
	unsigned reg : 2, b : 2;   // registry, birth
	unsigned stage : 4, tag : 2;
}

#define IDLE  0
#define FIT   1 // ATTEST has answered: what it says goes with what was held when it was sent
#define NEW   2 // ... a newer epoch
#define FORK  3 // ... an older history
#define LOST  4 // ... no epoch, or an older one
#define READ  5 // ATTEST_LATE: has read the bus

// A flight: what reads do when there is no local copy. One at a time on a node; two of one
// node meet only in Redis, as those of two nodes do.
typedef Flight {
	unsigned pc : 3;
	unsigned gen : 1;     // the generation is what it was when the flight looked
	unsigned holds : 1;   // no unknown process was met since its view was taken
	unsigned vepoch : 2;  // the view's epoch
	unsigned ver : 2;     // LOADED: what the source said
	unsigned floor : 2;   // before that: what its youngest reader must be given
}

#define TAKE    1 // Redis holds nothing: it will ask for the lease
#define HELD    2 // has the lease
#define LOADED  3 // has read the source under it
#define PASSING 4 // has read the source past a fence: with JOIN_SEALED

// A writer: one Update, or one write of the source by somebody else and Invalidate.
typedef Writer {
	unsigned pc : 4;
	unsigned holds : 1;   // no unknown process was met since its view was taken
	unsigned vepoch : 2;
	unsigned reg : 2;     // the registry of its vantage
	unsigned tag : 2;     // births before it fenced
	unsigned my : 2;      // the version it has written
	unsigned entry : 3;   // its announcement
	unsigned silent : 1;  // its peer has not confirmed
	unsigned gone : 1;    // its peer had to be outwaited
}

#define FENCING    1
#define APPENDING  2
#define HEARING    3
#define EXPELLING  4
#define WRITING    5
#define DOUBT      6  // its write is under way, and nobody waits for it
#define CONCLUDE   7
#define ERASING    8
#define ANNOUNCING 9
#define RETURNED   10 // done, or not written; its fence may be lifted
#define ENDED      11 // with another error; died

// Redis: the record of the one key, the bus, the registry. An entry of the bus is known by
// its nonce, which is a number here: entry x has the number num[x] and stands behind
// prev[x]; entry 0 is the empty bus.
typedef Redis {
	unsigned kind : 2;
	unsigned ver : 2;      // VALUE: the version of the source it holds
	unsigned vepoch : 2;   // VALUE: the epoch in its envelope
	unsigned owner : 2;    // LEASE: node
	unsigned fence : 2;    // FENCE: set of writes
	unsigned dirty : 2;    // FENCE: set of writes whose fence is flagged 'd'
	unsigned c : 3, e : 2; // bus: last entry, epoch
	unsigned known : 2;    // bus: set of the processes that were entered
	unsigned g : 2;        // registry: when it began; 0 there is none
	unsigned listed : 2;   // registry: set of nodes
	unsigned n0 : 2, n1 : 2; // registry: the number that each had applied when it attested
	unsigned same : 2;     // set of writes whose peer has not attested since they read the registry
	unsigned b : 2;        // the birth that ATTEST tells
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
bit snapped;

byte losses, joins;
byte proc;         // the number of R; stands for run_id and master_replid
byte births;       // of registries, epochs and processes, so far
byte regs, epochs; // the latest ones
byte last;         // the latest entry made, in any history
byte num[MAXENTRY + 1], prev[MAXENTRY + 1];

byte src;          // version of the record in the source; every write makes the next
byte floor;        // what a read that begins now must be given, or something later
