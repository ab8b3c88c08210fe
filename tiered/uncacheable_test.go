package tiered_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered"
)

// large is a value over the MaxValueBytes of roomFor.
var large = strings.Repeat("x", 101)

func roomFor(cfg tiered.Config[string]) tiered.Config[string] {
	cfg.Codec, cfg.MaxValueBytes = codec.Raw(), 100
	return cfg
}

// What a refresh finds gone, or too large to be stored, is not served on, by nobody.
func TestRefreshFindsNothingToStore(t *testing.T) {
	for name, test := range map[string]struct {
		cfg     tiered.Config[string]
		becomes string
		want    error
	}{
		"gone, not remembered": {tiered.Config[string]{NotFoundTTL: -1}, "", tiered.ErrNotFound},
		"gone, remembered":     {tiered.Config[string]{}, "", tiered.ErrNotFound},
		"too large":            {tiered.Config[string]{}, large, nil},
		"too large, strong":    {tiered.Config[string]{Consistency: tiered.Strong}, large, nil},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := roomFor(test.cfg)
			cfg.TTL, cfg.StaleTTL = 10*time.Second, time.Hour
			bubble(t, 2, cfg, func(t *testing.T, f *fleet) {
				a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
				time.Sleep(5 * time.Second) // a strong cache keeps nothing before
				wantGet(t, a, "k", db, "old")
				wantGet(t, b, "k", db, "old")
				db.set("k", test.becomes)
				time.Sleep(10 * time.Second)
				wantGet(t, a, "k", db, "old") // starts a refresh
				time.Sleep(10 * ms)           // the announcement
				f.wantKind(t, "k", 0)
				for _, s := range []*site{b, a, b} {
					if test.want != nil {
						wantGetError(t, s, "k", db, test.want)
					} else {
						wantGet(t, s, "k", db, test.becomes)
					}
				}
				wantStat(t, "Invalidated", a.Stats().Invalidated, 1)
				wantStat(t, "Invalidated", b.Stats().Invalidated, 0)
			})
		})
	}
}

// A value that is too large is returned, and from then on nobody waits for the lease of
// somebody who will store nothing.
func TestTooLargeIsReturnedAndNobodyWaits(t *testing.T) {
	for _, consistency := range []tiered.Consistency{tiered.Bounded, tiered.Strong} {
		t.Run(consistency.String(), func(t *testing.T) {
			bubble(t, 3, roomFor(tiered.Config[string]{Consistency: consistency}), func(t *testing.T, f *fleet) {
				db := newDatabase("k", large)
				db.delays(time.Second)
				time.Sleep(5 * time.Second) // a strong cache takes no lease before
				wantGet(t, f.sites[0], "k", db, large)
				f.wantKind(t, "k", 'V')
				if record, _ := f.Embedded.Get(prefix + "k"); len(record) > 60 {
					t.Errorf("the marker has %d bytes", len(record))
				}
				var reads []*pending
				for _, s := range f.sites {
					reads = append(reads, start(func() (string, error) { return s.Get(t.Context(), "k", db.load) }))
					reads = append(reads, start(func() (string, error) {
						m, err := s.GetMany(t.Context(), []string{"k"}, db.loadAll)
						return m["k"], err
					}))
				}
				for _, r := range reads {
					r.want(t, large, nil)
					if r.took > 2*time.Second { // the load that it found, and in a strong cache its own
						t.Errorf("a read took %v", r.took)
					}
				}
				for _, s := range f.sites {
					wantStat(t, "Waits", s.Stats().Waits, 0)
					if s.Stats().TooLarge > 1 {
						t.Errorf("TooLarge = %d", s.Stats().TooLarge)
					}
				}

				// A value that fits ends that, and so does time.
				if v, err := f.sites[1].Update(t.Context(), "k", db.writes("fits")); v != "fits" || err != nil {
					t.Errorf("Update = %q, %v", v, err)
				}
				settle()
				loads := f.sites[0].Stats().Loads
				wantGet(t, f.sites[0], "k", db, "fits")
				wantStat(t, "Loads", f.sites[0].Stats().Loads, loads)
			})
		})
	}
}

// The marker is of its key alone, and expires: the value may fit again.
func TestMarkerExpires(t *testing.T) {
	bubble(t, 2, roomFor(tiered.Config[string]{}), func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", large)
		wantGet(t, a, "k", db, large)
		db.set("k", "fits")
		time.Sleep(10 * time.Second)
		wantGet(t, b, "k", db, "fits")
		wantGet(t, a, "k", db, "fits")
		wantGet(t, a, "k", db, "fits")
		db.wantLoads(t, 2)
		f.wantKeysExpire(t)
	})
}
