package tiered

import (
	"testing"
	"time"
	"unsafe"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/token"
)

// Expiries are kept in milliseconds, and never later than they are.
func TestEntryExpiresNoLater(t *testing.T) {
	const loaded = coherence.Instant(123_456_789)
	for _, tc := range []struct{ soft, hard, delta, wantSoft, wantHard, wantEarly time.Duration }{
		{time.Second, time.Minute, 0, time.Second, time.Minute, time.Second},
		{time.Second, time.Minute, 20*time.Millisecond + 1, time.Second, time.Minute, 800 * time.Millisecond},
		{2*time.Millisecond - 1, 3*time.Millisecond - 1, 0, time.Millisecond, 2 * time.Millisecond, time.Millisecond},
		{-time.Hour, -1, time.Second, 0, 0, -10 * time.Second},
		{maxLife, maxLife, maxLife, (1<<32 - 1) * time.Millisecond, (1<<32 - 1) * time.Millisecond,
			(1<<32-1)*time.Millisecond - 10*(1<<32-1)*time.Microsecond},
	} {
		e := entry[string]{loaded: loaded}
		e.expire(loaded.Add(tc.soft), loaded.Add(tc.hard), tc.delta)
		if soft, hard, early := e.soft().Sub(loaded), e.hard().Sub(loaded), e.early().Sub(loaded); soft != tc.wantSoft || hard != tc.wantHard || early != tc.wantEarly {
			t.Errorf("soft %v, hard %v, delta %v: are %v, %v, early %v", tc.soft, tc.hard, tc.delta, soft, hard, early)
		}
	}
}

func TestMarksTellStampsApart(t *testing.T) {
	seen := map[mark]bool{}
	for range 1000 {
		seen[markOf(token.New())] = true
	}
	seen[markOf(token.Token{})] = true
	other := token.New()
	other[0]++ // of another process
	seen[markOf(other)] = true
	if len(seen) != 1002 {
		t.Errorf("%d marks of 1002 stamps", len(seen))
	}
}

// An entry is no larger than what entryOverhead and docs/performance.md reckon with.
func TestEntryIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(entry[string]{}); size > 80 {
		t.Errorf("an entry of a string has %d bytes", size)
	}
}
