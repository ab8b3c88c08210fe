package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/history"
)

// A telling is histories with what they complain about.
type telling struct {
	*histories
	wrong []string
}

func tell(t *testing.T) *telling {
	x := &telling{}
	r := newRecord()
	x.histories = newHistories(r, func(what string) { x.wrong = append(x.wrong, what) }, t.TempDir())
	return x
}

// reports has a node report reads of one key, and that everything before the floor is known.
func (x *telling) reports(node string, floor Instant, reads ...history.Operation) {
	var b []byte
	for _, op := range reads {
		b = appendOperation(b, keyNumbers[key], op)
	}
	x.take(node, 0, Report{Operations: b, Floor: floor})
}

func seen(version int, call, end Instant) history.Operation {
	return history.Operation{Value: version, Call: int64(call), Return: int64(end)}
}

// writes commits a version now, by an Update that began at the instant.
func (x *telling) writes(version int, began Instant) {
	x.committed(0, CommitCall{Key: key, Began: began}, version)
}

func (x *telling) want(t *testing.T, operations int, complaints ...string) {
	t.Helper()
	if got := x.sum().Operations; got != operations {
		t.Errorf("%d operations were checked, want %d", got, operations)
	}
	if len(x.wrong) != len(complaints) {
		t.Fatalf("complaints %q, want %q", x.wrong, complaints)
	}
	for i, want := range complaints {
		if !strings.Contains(x.wrong[i], want) {
			t.Errorf("complaint %q, want one of %s", x.wrong[i], want)
		}
	}
}

func TestHistoriesAreJudged(t *testing.T) {
	for _, c := range []struct {
		name string
		read func(began, returned Instant) history.Operation
		want []string
	}{
		{"the new value", func(_, returned Instant) history.Operation { return seen(2, returned+2, returned+3) }, nil},
		{"the old one while it was written", func(began, _ Instant) history.Operation { return seen(1, began, began+1) }, nil},
		{"the old one after it was written", func(_, returned Instant) history.Operation { return seen(1, returned+2, returned+3) }, []string{"not linearizable: no order"}},
		{"one that was never written", func(began, _ Instant) history.Operation { return seen(9, began, began+1) }, []string{"not linearizable: no order"}},
		{"no record", func(_, returned Instant) history.Operation { return seen(0, returned+2, returned+3) }, []string{"not linearizable: no order"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := tell(t)
			began := now()
			x.writes(2, began)
			returned := now()
			x.returned(Return{Key: key, Version: 2, Began: began, At: returned, Owned: true, Covered: true})
			x.reports("n0", returned+10, c.read(began, returned))
			x.leave("n0")
			x.check()
			x.want(t, 2, c.want...)
		})
	}
}

// A search without a verdict is as bad as a violation.
func TestUndecidedHistoryIsTold(t *testing.T) {
	x := tell(t)
	x.linear.Timeout = 20 * time.Millisecond
	at := now()
	reads := []history.Operation{seen(9, at, at+1)}
	for range 60 {
		reads = append(reads, seen(1, at, at+2))
	}
	x.reports("n0", at+10, reads...)
	x.leave("n0")
	x.check()
	x.want(t, len(reads), "not linearizable: none was found in time")
}

// Nothing is judged that may have begun while something unknown was under way.
func TestHistoriesWaitForTheSlowest(t *testing.T) {
	x := tell(t)
	x.join("n1")
	x.join("n0")
	at := now()
	x.reports("n0", at+1000, seen(2, at+1, at+2))
	x.check()
	x.want(t, 0)
	x.writes(2, at)
	x.reports("n0", now())
	x.reports("n1", now())
	x.check()
	x.want(t, 2)
}

// A write whose outcome nobody knows has happened when the source says so.
func TestWriteInDoubtEndsWithItsCommit(t *testing.T) {
	for _, covered := range []bool{false, true} {
		x := tell(t)
		began := now()
		x.writes(2, began)
		stale := now()
		x.returned(Return{Key: key, Version: 2, Began: began, At: stale + 20, Owned: true, Covered: covered})
		x.reports("n0", stale+30, seen(1, stale+2, stale+3))
		x.leave("n0")
		for now() <= stale+30 {
		}
		x.check()
		if covered {
			x.want(t, 2)
			continue
		}
		x.want(t, 2, "not linearizable")
		if n := x.sum().InDoubt; n != 1 {
			t.Errorf("%d writes in doubt", n)
		}
	}
}

// What has been checked is not kept, and while too much is not, nodes are told to read less.
func TestBufferIsBounded(t *testing.T) {
	x := tell(t)
	x.limit = 2
	at := now()
	x.reports("n0", at, seen(1, at, at+1), seen(1, at, at+1), seen(1, at, at+1))
	if !x.take("n0", 0, Report{Floor: at}) {
		t.Error("the checks are not behind")
	}
	x.leave("n0")
	x.check()
	if x.take("n0", 0, Report{Floor: now()}) || x.buffered != 0 {
		t.Errorf("%d operations are left", x.buffered)
	}
	x.want(t, 3)
}
