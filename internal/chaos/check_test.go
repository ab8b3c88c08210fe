package main

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tiercache/tiercache/internal/history"
)

// A story is told in instants that begin at zero.
const (
	key   = "k00"
	other = "k01"
)

func newStory() (*record, *checker) {
	r := &record{rows: make(map[string]*row), phases: []phase{{}}}
	for _, k := range []string{key, other} {
		r.rows[k] = &row{owned: make(map[string][]owning)}
	}
	return r, newChecker(r)
}

func at(d time.Duration) Instant { return Instant(d) }

func (r *record) commits(d time.Duration, deleted bool) {
	r.commit(key, history.Version{Committed: at(d).time(), Deleted: deleted}, "w")
}

func get(version int, begun time.Duration) Reads {
	return Reads{Verb: "Get", Key: key, Version: version, Count: 1, Latest: at(begun)}
}

func absent(begun, ended time.Duration) Reads {
	return Reads{Verb: "Get", Key: key, Absent: true, Count: 1, Latest: at(begun), Ended: at(ended)}
}

func TestChecker(t *testing.T) {
	const s, ns = time.Second, time.Nanosecond
	returns := func(node string, version int, d time.Duration) func(*record) {
		return func(r *record) {
			r.returned(node, Return{Key: key, Version: version, At: at(d), Owned: true, Covered: true})
		}
	}
	fenced := func(began, d time.Duration) func(*record) {
		return func(r *record) {
			v := history.Version{Committed: at(d).time(), Guarded: r.losses.Guarded(at(began).time(), at(d).time(), fence)}
			r.commit(key, v, "w")
		}
	}
	for _, x := range []struct {
		name    string
		happens []func(*record) // after version 1 was stored at 1 s
		read    Reads
		want    string // the rule that is broken; empty: none
	}{
		{"the first version", nil, get(1, 5*s), ""},
		{"exactly at the bound", []func(*record){returns("w", 2, 10*s)}, get(1, 10*s+bound), ""},
		{"just beyond the bound", []func(*record){returns("w", 2, 10*s)}, get(1, 10*s+bound+ns), "I1"},
		{"the new version", []func(*record){returns("w", 2, 10*s)}, get(2, 10*s+bound+ns), ""},
		{"a later return covers what is older", []func(*record){returns("w", 3, 10*s)}, get(2, 12*s), "I1"},
		{"a write that never returned", nil, get(1, 20*s), ""},
		{"a promise is what counts, not a return", []func(*record){func(r *record) {
			r.returned("w", Return{Key: key, Version: 2, At: at(10 * s), Owned: true})
		}}, get(1, 20*s), ""},
		{"the first of two promises counts", []func(*record){returns("w", 2, 15*s), returns("v", 2, 10*s)}, get(1, 12*s), "I1"},

		{"a dead writer, within its fence and the bound", []func(*record){fenced(9*s, 10*s)}, get(3, 10*s+fence+bound), ""},
		{"a dead writer, beyond", []func(*record){fenced(9*s, 10*s)}, get(3, 10*s+fence+bound+ns), "I9"},
		{"a writer beyond its deadline", []func(*record){fenced(8*s, 10*s)}, get(3, 15*s), ""},
		{"a fence that Redis may have lost", []func(*record){func(r *record) {
			end := r.losses.Begin(at(9 * s).time())
			end(at(9*s + ns).time())
		}, fenced(9*s, 10*s)}, get(3, 15*s), ""},
		{"a loss before the fence", []func(*record){func(r *record) {
			end := r.losses.Begin(at(8 * s).time())
			end(at(9*s - ns).time())
		}, fenced(9*s, 10*s)}, get(3, 15*s), "I9"},
		{"a loss that goes on", []func(*record){func(r *record) { r.losses.Begin(at(1 * s).time()) }, fenced(9*s, 10*s)}, get(3, 15*s), ""},

		{"its own write, begun with its return", []func(*record){returns("reader", 2, 10*s)}, get(1, 10*s), "I14"},
		{"its own write, begun before its return", []func(*record){returns("reader", 2, 10*s)}, get(1, 10*s-ns), ""},
		{"the write of another", []func(*record){returns("w", 2, 10*s)}, get(1, 10*s), ""},
		{"its own write, before an older one returned", []func(*record){returns("reader", 3, 10*s), returns("reader", 2, 11*s)}, get(2, 11*s), "I14"},

		{"never told", nil, get(1, 3*time.Minute), "I17"},
		{"a version that is not there", nil, get(9, 5*s), "never stored"},
		{"no record, before there was one", nil, absent(s/2, s/2), ""},
		{"no record, and it was deleted", []func(*record){func(r *record) { r.commits(10*s, true) }, returns("w", 4, 10*s)}, absent(12*s, 12*s), ""},
		{"no record, though it is there", []func(*record){returns("w", 2, 10*s)}, absent(12*s, 12*s), "I1"},
		{"no record, deleted while it was read", []func(*record){returns("w", 2, 10*s), func(r *record) { r.commits(13*s, true) }}, absent(12*s, 13*s), ""},
		{"no record, deleted after it was read", []func(*record){returns("w", 2, 10*s), func(r *record) { r.commits(13*s, true) }}, absent(12*s, 13*s-ns), "I1"},
		{"a record that was a deletion", []func(*record){func(r *record) { r.commits(10*s, true) }}, get(4, 11*s), "never stored"},
	} {
		t.Run(x.name, func(t *testing.T) {
			r, c := newStory()
			for i := range 3 { // stored before anything happens
				r.commits(time.Duration(i+1)*s, false)
			}
			for _, event := range x.happens {
				event(r)
			}
			c.take("reader", now(), []Reads{x.read})
			switch {
			case x.want == "" && len(c.wrong) > 0:
				t.Errorf("violations %q", c.wrong)
			case x.want != "" && (len(c.wrong) != 1 || !strings.Contains(c.wrong[0], x.want)):
				t.Errorf("violations %q, want one of %s", c.wrong, x.want)
			}
			if c.reads != 1 {
				t.Errorf("%d reads were judged", c.reads)
			}
		})
	}
}

// A read is judged when every node has reported past it: what had returned before is known then.
func TestCheckerWaitsForTheSlowest(t *testing.T) {
	r, c := newStory()
	r.commits(time.Second, false)
	r.commits(2*time.Second, false)
	c.join("reader")
	c.join("writer")
	c.take("writer", at(10*time.Second), nil) // and is frozen
	c.take("reader", at(20*time.Second), []Reads{get(1, 15*time.Second)})
	if c.reads != 0 {
		t.Fatal("judged although the writer may have something to tell")
	}
	r.returned("writer", Return{Key: key, Version: 2, At: at(12 * time.Second), Covered: true})
	c.take("writer", at(21*time.Second), nil)
	if c.reads != 1 || len(c.wrong) != 1 {
		t.Errorf("%d reads, violations %q, want the one", c.reads, c.wrong)
	}
}

// Who has died has nothing to tell.
func TestCheckerDoesNotWaitForTheDead(t *testing.T) {
	r, c := newStory()
	r.commits(time.Second, false)
	c.join("reader")
	c.join("writer")
	c.leave("writer")
	c.take("reader", at(20*time.Second), []Reads{get(1, 15*time.Second)})
	if c.reads != 1 {
		t.Error("the read was not judged")
	}
	c.take("reader", at(20*time.Second), []Reads{get(1, 25*time.Second)})
	if c.reads != 1 {
		t.Error("a read was judged that began after the report")
	}
	c.finish()
	if c.reads != 2 {
		t.Error("the last read was not judged")
	}
}

func TestOldestByFault(t *testing.T) {
	r, c := newStory()
	r.commits(time.Second, false)
	r.commits(2*time.Second, false)
	r.returned("w", Return{Key: key, Version: 2, At: at(10 * time.Second), Covered: true})
	r.phases = []phase{{}, {at(10*time.Second + 200*time.Millisecond), []string{"x", "y"}}, {from: at(10*time.Second + 600*time.Millisecond)}}
	for _, ms := range []time.Duration{100, 300, 500, 900} {
		c.take("reader", now(), []Reads{get(1, 10*time.Second+ms*time.Millisecond)})
	}
	for kind, want := range map[string]time.Duration{"x": 500, "y": 500, calm: 900} {
		if got := c.oldest[kind]; got != want*time.Millisecond {
			t.Errorf("the oldest value served during %s: %v, want %v ms", kind, got, want)
		}
	}
}

// Merged reads are judged as each of them would be: the claim of type Reads.
func TestMergingLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, merged := newStory()
		instant := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(0, 60).Draw(t, "tenths")) * 100 * time.Millisecond
		})
		n := rapid.IntRange(1, 6).Draw(t, "versions")
		for i := range n {
			r.commits(time.Duration(i)*100*time.Millisecond, false)
			if rapid.Bool().Draw(t, "returned") {
				node := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "on")
				r.returned(node, Return{Key: key, Version: i + 1, At: at(instant.Draw(t, "at")), Owned: true, Covered: rapid.Bool().Draw(t, "covered")})
			}
		}
		var each int
		var batch tally
		streak := newStreak(&batch)
		for range rapid.IntRange(1, 20).Draw(t, "reads") {
			read := get(rapid.IntRange(1, n).Draw(t, "version"), instant.Draw(t, "begun"))
			alone := newChecker(r)
			alone.take("a", now(), []Reads{read})
			each += min(1, len(alone.wrong))
			streak.add(read)
		}
		streak.flush()
		merged.take("a", now(), batch.take())
		if (each > 0) != (len(merged.wrong) > 0) {
			t.Errorf("%d of the reads are wrong alone, %d merged", each, len(merged.wrong))
		}
	})
}
