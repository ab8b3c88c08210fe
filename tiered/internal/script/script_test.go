package script_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

// scenarios run on every server, and once more with every call doubled.
var scenarios = []struct {
	name string
	run  func(r *rig)
}{
	{"lease: one holder, waiters woken once by the value", leaseCommitWakes},
	{"lease: giving up wakes and leaves nothing", leaseGivenUp},
	{"lease: given up by the bare token", leaseGivenUpByToken},
	{"lease: commit without the grant stores nothing", commitWantsGrant},
	{"lease: nobody waits, nobody is woken", leaseUnheard},
	{"lease: renewed by its holder alone", leaseRenewed},
	{"lease: the lock of a refresh is renewed", refreshLockRenewed},
	{"lease: a value is replaced by its stamp", leaseOnStaleValue},
	{"lease: taken over by a fence", leaseFenced},
	{"lease: taken over by an invalidation", leaseInvalidated},
	{"lease: taken over by the next holder", leaseLost},
	{"lease: a late copy of ACQUIRE revives no lease", lateAcquire},
	{"lease: nothing to wait for", waitElsewhere},

	{"value: replaced by stamp, once", replaceByStamp},
	{"value: a refresh does not cross a write", replaceAfterWrite},
	{"value: one megabyte", largeValue},

	{"fence: written through", fenceWritesThrough},
	{"fence: no record, no value", fenceCleared},
	{"fence: two writers, first in first out", twoFencesInOrder},
	{"fence: two writers, last in first out", twoFencesNested},
	{"fence: overlap is not forgotten", overlapSticks},
	{"fence: 64 writers, the 65th refused", fenceLimit},
	{"fence: not renewed by a second run", fenceNotRenewed},
	{"fence: expired ones do not count", fencesExpired},
	{"fence: the record lasts as long as the last", lastsAsTheLastFence},
	{"fence: my own has expired", fenceOwnExpired},
	{"fence: cleared by the bare token", fenceClearedByToken},
	{"fence: a late copy of FENCE writes nothing through", lateFence},
	{"fence: invalidation forbids write-through", fenceInvalidated},
	{"fence: invalidation drops expired ones", expiredFencesInvalidated},
	{"fence: nobody caches under it", fenceKeepsLeasesOut},

	{"record: malformed", malformedRecords},
	{"record: of any first byte", anyFirstByte},
	{"record: of a foreign type", foreignTypes},
	{"record: strings without TTL", foreignStringsForGood},
	{"record: tokens and payloads of any bytes", binaryRecords},
}

func TestScripts(t *testing.T) {
	servers(t, func(t *testing.T, rdb *redis.Client) {
		for _, s := range scenarios {
			t.Run(s.name, func(t *testing.T) { s.run(newRig(t, rdb, t.Name(), false)) })
			t.Run("twice "+s.name, func(t *testing.T) { s.run(newRig(t, rdb, t.Name(), true)) })
		}
	})
}
