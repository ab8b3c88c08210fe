package tiered_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tiercache/tiercache/tiered"
)

// chill lets a site miss until it expects to.
func chill(t *testing.T, s *site) {
	t.Helper()
	db := newDatabase()
	for i := range 40 {
		wantGetError(t, s, fmt.Sprint("cold", i), db, tiered.ErrNotFound)
	}
	s.sent.reset()
}

// asked returns how many GETs and scripts a site has sent since the last call.
func asked(s *site) (gets, scripts int) {
	sent, pipes := s.sent.reset()
	for _, name := range slices.Concat(append(pipes, sent)...) {
		switch name {
		case "get":
			gets++
		case "evalsha":
			scripts++
		}
	}
	return gets, scripts
}

func wantAsked(t *testing.T, s *site, what string, gets, scripts int) {
	t.Helper()
	if g, e := asked(s); g != gets || e != scripts {
		t.Errorf("%s: %d GETs and %d scripts, want %d and %d", what, g, e, gets, scripts)
	}
}

// Where most reads miss, a miss takes two round trips instead of three. A record that
// is there is returned all the same, and a few of them end that.
func TestMissThatIsExpected(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		s, other := f.sites[0], f.sites[1]
		db := newDatabase("a", "1", "b", "2")
		for i := range 20 {
			key := fmt.Sprint("warm", i)
			db.set(key, key)
			wantGet(t, other, key, db, key)
		}
		db.wantLoads(t, 20)
		wantGet(t, s, "a", db, "1")
		wantAsked(t, s, "a miss", 1, 2)
		chill(t, s)
		wantGet(t, s, "b", db, "2")
		wantAsked(t, s, "a miss that was expected", 0, 2)
		db.wantLoads(t, 2)
		for i := range 20 {
			key := fmt.Sprint("warm", i)
			wantGet(t, s, key, db, key)
		}
		db.wantLoads(t, 0)
		if gets, scripts := asked(s); scripts < 1 || scripts > 8 || gets != 20-scripts {
			t.Errorf("20 hits that were not expected at first: %d GETs and %d scripts, want a few of these", gets, scripts)
		}
	})
}

// Who has no place at the source asks for no lease.
func TestMissThatIsExpectedByABusyNode(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{SourceLimit: 1}, func(t *testing.T, f *fleet) {
		busy, other := f.sites[0], f.sites[1]
		db := newDatabase("k", "v")
		wantGet(t, other, "k", db, "v")
		chill(t, busy)
		defer occupy(t, busy)()
		busy.sent.reset()
		wantGet(t, busy, "k", db, "v")
		wantAsked(t, busy, "a hit", 1, 0)
		db.wantLoads(t, 1)
	})
}
