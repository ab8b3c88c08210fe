package history

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

const (
	s  = time.Second
	ns = time.Nanosecond
)

var limits = Limits{Bound: s, Found: 100 * s, NotFound: 10 * s}

func at(d time.Duration) time.Time { return time.Unix(1000, 0).Add(d) }

func TestNeed(t *testing.T) {
	for _, x := range []struct {
		name  string
		h     Versions
		begun time.Duration
		found bool
		want  int
		rule  string
	}{
		{"nothing was ever stored", nil, 0, true, 0, ""},
		{"at the bound", Versions{{Committed: at(0), Covered: at(0)}}, s, true, 0, ""},
		{"beyond", Versions{{Committed: at(0), Covered: at(0)}}, s + ns, true, 1, "I1"},
		{"the newest one due", Versions{{Covered: at(0)}, {Covered: at(s)}, {Covered: at(9 * s)}}, 5 * s, true, 2, "I1"},
		{"a later one returned first", Versions{{Covered: at(9 * s)}, {Covered: at(s)}}, 5 * s, true, 2, "I1"},
		{"the end of a fence", Versions{{Committed: at(0), Guarded: at(3 * s)}}, 4*s + ns, true, 1, "I9"},
		{"within it", Versions{{Committed: at(0), Guarded: at(3 * s)}}, 4 * s, true, 0, ""},
		{"the longest life of a record", Versions{{Committed: at(0)}}, 101*s + ns, true, 1, "I17"},
		{"within it", Versions{{Committed: at(0)}}, 101 * s, true, 0, ""},
		{"the longest life of none", Versions{{Committed: at(0)}}, 11*s + ns, false, 1, "I17"},
	} {
		for i := range x.h { // promised before it was stored: not what is asked here
			if x.h[i].Committed.IsZero() {
				x.h[i].Committed = at(0)
			}
		}
		if got, rule := x.h.Need(at(x.begun), limits, x.found); got != x.want || rule != x.rule {
			t.Errorf("%s: Need = %d, %q, want %d, %q", x.name, got, rule, x.want, x.rule)
		}
	}
}

// What the merging of reads rests on.
func TestNeedAndAgeNeverFall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		instant := func(what string) time.Time {
			d := rapid.IntRange(-1, 40).Draw(t, what)
			if d < 0 {
				return time.Time{}
			}
			return at(time.Duration(d) * 100 * time.Millisecond)
		}
		var h Versions
		for range rapid.IntRange(1, 6).Draw(t, "versions") {
			h = append(h, Version{Committed: at(0), Covered: instant("covered"), Guarded: instant("guarded")})
		}
		a := at(time.Duration(rapid.IntRange(0, 60).Draw(t, "a")) * 100 * time.Millisecond)
		b := a.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "later")) * 100 * time.Millisecond)
		early, _ := h.Need(a, limits, true)
		late, _ := h.Need(b, limits, true)
		if late < early {
			t.Errorf("Need fell from %d to %d", early, late)
		}
		got := rapid.IntRange(0, len(h)).Draw(t, "got")
		if h.Age(got, b) < h.Age(got, a) {
			t.Errorf("Age fell from %v to %v", h.Age(got, a), h.Age(got, b))
		}
	})
}

func TestAge(t *testing.T) {
	h := Versions{{Covered: at(0)}, {Covered: at(3 * s)}, {}, {Covered: at(2 * s)}}
	for _, x := range []struct {
		got         int
		begun, want time.Duration
	}{
		{1, 10 * s, 8 * s}, // since a later one than the next returned
		{4, 10 * s, 0},
		{1, s, 0},
		{0, s, s},
	} {
		if age := h.Age(x.got, at(x.begun)); age != x.want {
			t.Errorf("Age(%d, %v) = %v, want %v", x.got, x.begun, age, x.want)
		}
	}
}

func TestLastDeleted(t *testing.T) {
	h := Versions{{Committed: at(s)}, {Committed: at(2 * s), Deleted: true}, {Committed: at(3 * s)}, {Committed: at(4 * s), Deleted: true}}
	for _, x := range []struct {
		until time.Time
		want  int
	}{{time.Time{}, 4}, {at(4 * s), 4}, {at(4*s - ns), 2}, {at(2*s - ns), 0}} {
		if got := h.LastDeleted(x.until); got != x.want {
			t.Errorf("LastDeleted(%v) = %d, want %d", x.until, got, x.want)
		}
	}
	if !h.Deleted(0) || h.Deleted(1) || !h.Deleted(2) {
		t.Error("version 0 and those that were deleted are no record")
	}
}

func TestGuarded(t *testing.T) {
	var l Losses
	began, fence := at(10*s), 10*s
	if got := l.Guarded(began, at(18*s), fence); !got.Equal(at(28 * s)) {
		t.Errorf("Guarded = %v, want the end of the fence", got)
	}
	if got := l.Guarded(began, at(18*s+ns), fence); !got.IsZero() {
		t.Errorf("Guarded = %v beyond the writer's deadline", got)
	}
	end := l.Begin(at(5 * s))
	if got := l.Guarded(began, at(11*s), fence); !got.IsZero() {
		t.Errorf("Guarded = %v during a loss", got)
	}
	end(at(10*s - ns))
	if l.Guarded(began, at(11*s), fence).IsZero() {
		t.Error("not guarded though the loss was over before")
	}
	end(at(10 * s))
	if got := l.Guarded(began, at(11*s), fence); !got.IsZero() {
		t.Errorf("Guarded = %v, though a loss ended after the Update began", got)
	}
}
