package tiered

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/coherence"
)

// Each way in which a check can end without a verdict. A holds a copy and does not
// hear of announcements.
func TestAuditWithoutVerdict(t *testing.T) {
	gated(t, func(s *stage) {
		record := func() { _ = s.redis.Set("f:p:"+key, record7(1<<62, time.Now().Add(time.Hour))) }
		s.checkEnds(AuditFenced, func(_, b *actor, hit func()) { b.updateBy(hit) })
		s.checkEnds(AuditLeased, func(_, b *actor, hit func()) {
			s.redis.Del("f:p:" + key)
			gate := make(chan struct{})
			load := b.start(func() { <-gate })
			hit()
			close(gate)
			load.want(1, "loads")
		})
		s.checkEnds(AuditAbsent, func(_, _ *actor, hit func()) { s.redis.Del("f:p:" + key); hit() })
		s.checkEnds(AuditForeign, func(_, _ *actor, hit func()) { record(); hit() })
		s.checkEnds(AuditUnreachable, func(a, _ *actor, hit func()) {
			a.before("GET", func() error { return errCut })
			hit()
		})
		s.checkEnds(AuditUncomparable, func(a, b *actor, hit func()) {
			a.cache.auditor.cfg.Equal = func(int, int) bool { panic("no such value") }
			s.changeBehind(b, 2)
			hit()
		})
		s.checkEnds(AuditClosed, func(a, b *actor, hit func()) {
			s.changeBehind(b, 2)
			hit()
			a.wantPending(1)
			began := time.Now()
			_ = a.cache.Close()
			if took := time.Since(began); took != 0 {
				s.Errorf("Close waited %v for a check", took)
			}
		})
	})
}

// checkEnds lets A load the key, and then a hit of it happen in the middle of what
// goes on. The check has to end as told.
func (s *stage) checkEnds(want AuditOutcome, middle func(a, b *actor, hit func())) {
	s.Helper()
	s.Log(want)
	s.redis.FlushAll()
	s.source.set(1)
	var f findings
	a, b := s.join(f.audited), s.join()
	a.want(1, "first load")
	s.mute()
	middle(a, b, func() { a.want(1, "the copy") })
	s.outlast()
	s.outlast()
	s.redis.Intercept(nil)
	a.wantOutcomes(map[AuditOutcome]uint64{want: 1})
	_, _ = a.cache.Close(), b.cache.Close()
	_, _ = a.node.Close(), b.node.Close()
}

func (a *actor) wantPending(want int) {
	a.Helper()
	if got := a.cache.Stats().Audit.Redis.Pending; got != want {
		a.Errorf("%d checks are pending, want %d", got, want)
	}
}

// A copy that was loaded without Redis stands for no record.
func TestAuditOfWeakCopy(t *testing.T) {
	gated(t, func(s *stage) {
		var f findings
		a := s.join(f.audited)
		a.before("GET", func() error { return errCut })
		a.want(1, "loaded without Redis")
		a.want(1, "a weak copy")
		s.outlast()
		a.wantOutcomes(map[AuditOutcome]uint64{AuditWeak: 1})
	})
}

// A hit does not wait for the audit, whatever Redis does.
func TestAuditBlocksNobody(t *testing.T) {
	gated(t, func(s *stage) {
		var f findings
		a := s.join(f.audited, func(c *Config[int]) { c.Audit.Pending = 3 })
		a.want(1, "first load")
		a.link.Hole()
		began := time.Now()
		for range 10 {
			a.want(1, "a hit")
		}
		if took := time.Since(began); took != 0 {
			s.Errorf("hits took %v", took)
		}
		a.wantPending(3)
		s.outlast()
		a.wantOutcomes(map[AuditOutcome]uint64{AuditSkipped: 7, AuditUnreachable: 3})
		if n := a.cache.Stats().Audit.Sampled; n != 10 {
			s.Errorf("%d hits sampled, want 10", n)
		}
	})
}

// A record that was deleted is served as if it were there: as bad as any other.
func TestAuditOfDeletion(t *testing.T) {
	gated(t, func(s *stage) {
		var f findings
		a, b := s.join(f.audited), s.join()
		a.want(1, "first load")
		s.known()
		s.freeze()
		b.tryWrite(2, 0, 0)
		s.outlast()
		a.want(1, "the promise is broken")
		s.outlast()
		a.wantOutcomes(map[AuditOutcome]uint64{AuditStale: 1})
	})
}

// bySource makes a cache compare every hit with the source.
func (f *findings) bySource(c *Config[int]) {
	f.audited(c)
	c.Audit.Source, c.Audit.SourceLag = 1, 3*time.Second
}

// The source changes and nobody invalidates: found after SourceLag and MaxStale,
// and no sooner. A loader that fails, or an old replica that answers once, is no
// finding.
func TestAuditAgainstSource(t *testing.T) {
	gated(t, func(s *stage) {
		var f findings
		a := s.join(f.bySource)
		a.want(1, "first load")
		a.want(1, "a hit")
		s.source.set(2)
		a.want(1, "nobody told")
		time.Sleep(3*time.Second + bound - time.Millisecond)
		if len(f.told()) != 0 {
			s.Errorf("found within SourceLag and MaxStale: %v", f.told())
		}
		time.Sleep(2 * time.Second)
		a.wantSource(map[AuditOutcome]uint64{AuditFresh: 1, AuditUnannounced: 1})
		a.wantOutcomes(map[AuditOutcome]uint64{AuditFresh: 2})
		if got := f.told()[0]; got.Against != "source" || got.Outcome != AuditUnannounced {
			s.Errorf("finding %+v", got)
		}
		a.readBy(func() (int, error) { return 0, errors.New("down") })
		answers := []int{3, 1} // a replica, and one that is not as old
		a.readBy(func() (int, error) { v := answers[0]; answers = answers[1:]; return v, nil })
		time.Sleep(10 * time.Second)
		a.wantSource(map[AuditOutcome]uint64{AuditFresh: 1, AuditUnannounced: 1, AuditUnreachable: 1, AuditReverted: 1})
	})
}

// readBy is a hit whose loader is called by the auditor only.
func (a *actor) readBy(load func() (int, error)) {
	a.Helper()
	v, err := a.cache.Get(context.Background(), key, func(context.Context, string) (int, error) { return load() })
	if v != 1 || err != nil {
		a.Errorf("Get = %d, %v", v, err)
	}
	a.settle()
}

func (a *actor) wantSource(want map[AuditOutcome]uint64) {
	a.Helper()
	wantChecks(a.T, a.cache.Stats().Audit.Source, want)
}

// A full source goes first: the audit does without.
func TestAuditGivesWay(t *testing.T) {
	gated(t, func(s *stage) {
		var f findings
		a := s.join(f.bySource, func(c *Config[int]) { c.SourceLimit = 1 })
		a.want(1, "first load")
		if !a.cache.source.tryEnter() {
			s.Fatal("the source is busy")
		}
		a.want(1, "a hit")
		a.cache.source.leave()
		a.wantSource(map[AuditOutcome]uint64{AuditUnreachable: 1})
	})
}

// GetMany is audited like Get; Peek, and a read past the tiers, are not.
func TestAuditSamples(t *testing.T) {
	gated(t, func(s *stage) {
		var f findings
		a := s.join(f.bySource)
		a.want(1, "first load")
		many := func(context.Context, []string) (map[string]int, error) { return map[string]int{key: 1}, nil }
		_, _ = a.cache.GetMany(s.Context(), []string{key}, many)
		_, _ = a.cache.GetMany(s.Context(), []string{key}, many, Bypass())
		_, _ = a.cache.Get(s.Context(), key, s.source.load, Bypass())
		_, _ = a.cache.Peek(s.Context(), key)
		s.settle()
		a.wantOutcomes(map[AuditOutcome]uint64{AuditFresh: 1})
		a.wantSource(map[AuditOutcome]uint64{AuditFresh: 1})
	})
}

// The share is a share, and the rate a rate.
func TestAuditLimits(t *testing.T) {
	gated(t, func(s *stage) {
		var f findings
		a := s.join(f.audited, func(c *Config[int]) { c.Audit.Sample, c.Audit.Rate = 0.5, 20 })
		a.want(1, "first load")
		for range 10 {
			for range 100 {
				a.want(1, "a hit")
			}
			time.Sleep(time.Second)
		}
		st := a.cache.Stats().Audit
		if st.Sampled < 400 || st.Sampled > 600 { // 6 sigma
			s.Errorf("%d of 1000 hits were sampled", st.Sampled)
		}
		fresh, skipped := st.Redis.Outcomes[AuditFresh], st.Redis.Outcomes[AuditSkipped]
		if fresh != 30 || fresh+skipped != st.Sampled { // at once: one and a tenth of a second's
			s.Errorf("%d checked and %d skipped of %d", fresh, skipped, st.Sampled)
		}
	})
}

// The node's log gets one line a minute, without the key.
func TestAuditEvent(t *testing.T) {
	gated(t, func(s *stage) {
		var f findings
		events := make(chan string, 99)
		s.onEvent = func(e coherence.Event) {
			if e.Kind == coherence.EventStale {
				events <- e.String()
			}
		}
		a := s.join(f.audited)
		s.onEvent = nil
		b := s.join()
		a.want(1, "first load")
		s.changeBehind(b, 2)
		for range 90 {
			a.want(1, "nobody told")
			time.Sleep(time.Second)
		}
		s.outlast()
		if len(f.told()) != 90 {
			s.Errorf("%d findings, want 90", len(f.told()))
		}
		want := "tiercache: stale p: unannounced against redis: a copy 1s old was served 1s after another value was seen"
		if len(events) != 2 || <-events != want {
			s.Errorf("%d events, or the first is not %q", len(events), want)
		}
	})
}

// Values that a codec does not tell apart are equal, and no others.
func TestAuditEquality(t *testing.T) {
	type product struct {
		Name   string
		Prices map[string]float64
		Tags   []string
		Seen   time.Time
		Self   any
	}
	gated(t, func(s *stage) {
		a := s.join()
		cache, err := New(a.node, Config[product]{Name: "q", Audit: Audit[product]{Sample: 1}})
		if err != nil {
			t.Fatal(err)
		}
		defer cache.Close()
		now := time.Now()
		prices := func() map[string]float64 { return map[string]float64{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5} }
		for _, test := range []struct {
			what string
			x, y product
			want bool
		}{
			{"maps", product{Prices: prices()}, product{Prices: prices()}, true},
			{"a monotonic clock", product{Seen: now}, product{Seen: now.Round(0)}, true},
			{"a location", product{Seen: now}, product{Seen: now.UTC()}, true},
			{"not a number", product{Prices: map[string]float64{"a": math.NaN()}}, product{Prices: map[string]float64{"a": math.NaN()}}, true},
			{"a name", product{Name: "a"}, product{Name: "b"}, false},
			{"a price", product{Prices: prices()}, product{Prices: map[string]float64{"a": 1}}, false},
			{"an instant", product{Seen: now}, product{Seen: now.Add(1)}, false},
		} {
			if got, err := cache.auditor.equal(test.x, test.y); got != test.want || err != nil {
				t.Errorf("%s: equal = %v, %v, want %v", test.what, got, err, test.want)
			}
		}
		if _, err := cache.auditor.equal(product{Self: func() {}}, product{}); err == nil {
			t.Error("values that cannot be encoded are compared")
		}
	})
}

func TestAuditConfig(t *testing.T) {
	_, err := Config[int]{Name: "c", Audit: Audit[int]{Sample: 1.5, Source: math.NaN(), SourceLag: -1, Rate: -1, Pending: -1}}.resolve()
	for _, field := range []string{"Sample: 1.5", "Source: NaN", "SourceLag: -1ns", "Rate: -1", "Pending: -1"} {
		if err == nil || !strings.Contains(err.Error(), "tiered.Config.Audit."+field) {
			t.Errorf("error %v does not name Audit.%s", err, field)
		}
	}
}
