package coherence

import (
	"fmt"
	"testing"
)

func at(n uint64) position        { return position{n, fmt.Sprint("nonce", n)} }
func told(n, epoch uint64) report { return report{at: at(n), epoch: epoch} }
func link(n uint64) entry         { return entry{at: at(n), prev: at(n - 1).nonce} }
func (h *history) follow(to uint64) { // every entry up to to
	for p, _ := h.position(); p.n < to; p, _ = h.position() {
		if !h.advance(link(p.n + 1)) {
			panic("a gap in the test")
		}
	}
}

// standing returns a history that adopted from and followed the bus to to.
func standing(from, to, epoch uint64) *history {
	h := &history{}
	h.adopt(told(from, epoch))
	h.follow(to)
	return h
}

func TestJudge(t *testing.T) {
	other := func(n, epoch uint64) report { return report{at: position{n, "other"}, epoch: epoch} }
	for name, tt := range map[string]struct {
		history *history
		sent    uint64 // position when the probe was sent
		reply   report
		want    verdict
		epoch   uint64 // when the probe was sent; 0: the present one
	}{
		"never joined":                       {&history{}, 0, told(5, 7), newEpoch, 0},
		"never joined, no bus":               {&history{}, 0, report{}, epochLost, 0},
		"same":                               {standing(10, 20, 7), 20, told(20, 7), inStep, 0},
		"an empty bus":                       {adopted(report{epoch: 7}), 0, report{epoch: 7}, inStep, 0},
		"late: the position when sent":       {standing(10, 20, 7), 15, told(15, 7), inStep, 0},
		"late: in between":                   {standing(10, 20, 7), 15, told(18, 7), inStep, 0},
		"late: from where it was adopted":    {standing(10, 20, 7), 10, told(10, 7), inStep, 0},
		"late, with another nonce":           {standing(10, 20, 7), 15, other(18, 7), forked, 0},
		"one missing":                        {standing(10, 20, 7), 20, told(21, 7), behind, 0},
		"a gap of the ring":                  {standing(10, 20, 7), 20, told(20+ring, 7), behind, 0},
		"a gap of the ring and one":          {standing(10, 20, 7), 20, told(21+ring, 7), lost, 0},
		"a gap counted from now":             {standing(10, 30, 7), 20, told(30+ring, 7), behind, 0},
		"equal number, other nonce":          {standing(10, 20, 7), 20, other(20, 7), forked, 0},
		"number without nonce":               {standing(10, 20, 7), 20, report{at: position{n: 20}, epoch: 7}, forked, 0},
		"back":                               {standing(10, 20, 7), 20, told(19, 7), forked, 0},
		"back to nothing":                    {standing(10, 20, 7), 20, report{epoch: 7}, forked, 0},
		"epoch missing":                      {standing(10, 20, 7), 20, told(20, 0), epochLost, 0},
		"epoch below":                        {standing(10, 20, 7), 20, told(20, 6), epochLost, 0},
		"epoch below and a gap":              {standing(10, 20, 7), 20, told(25, 6), epochLost, 0},
		"epoch above":                        {standing(10, 20, 7), 20, told(20, 8), newEpoch, 0},
		"epoch above and back":               {standing(10, 20, 7), 20, told(3, 8), newEpoch, 0},
		"as old as can be told":              {standing(10, 10+remembered, 7), 11, told(11, 7), inStep, 0},
		"older than can be told":             {standing(10, 10+remembered, 7), 10, told(10, 7), unclear, 0},
		"an old slot with another's nonce":   {standing(10, 10+remembered, 7), 10, other(11, 7), forked, 0},
		"a raised epoch":                     {raised(standing(10, 20, 7), 8), 20, told(20, 8), newEpoch, 0},
		"a raised epoch, reply from before":  {raised(standing(10, 20, 7), 8), 20, told(20, 7), unclear, 7},
		"adopted back, nothing left of then": {readopted(standing(10, 20, 7), told(5, 8)), 5, told(5, 8), inStep, 0},
		"an epoch below, then raised":        {raised(standing(10, 20, 7), 9), 20, told(20, 6), epochLost, 7},
	} {
		epoch := tt.epoch
		if epoch == 0 {
			epoch = tt.history.epoch.Load()
		}
		if got := tt.history.judge(report{at: at(tt.sent), epoch: epoch}, tt.reply); got != tt.want {
			t.Errorf("%s: judge = %d, want %d", name, got, tt.want)
		}
	}
}

func adopted(r report) *history {
	h := &history{}
	h.adopt(r)
	return h
}

func readopted(h *history, r report) *history {
	h.adopt(r)
	return h
}

func raised(h *history, epoch uint64) *history {
	h.raise(epoch)
	return h
}

func TestAdvance(t *testing.T) {
	for name, tt := range map[string]struct {
		history *history
		next    entry
		want    bool
		stands  position
	}{
		"the next":             {standing(10, 20, 7), link(21), true, at(21)},
		"the first of a bus":   {adopted(report{epoch: 7}), entry{at: at(1)}, true, at(1)},
		"again":                {standing(10, 20, 7), link(20), true, at(20)},
		"an older one again":   {standing(10, 20, 7), link(12), true, at(20)},
		"older than the start": {standing(10, 20, 7), link(9), false, at(20)},
		"a gap":                {standing(10, 20, 7), link(22), false, at(20)},
		"a broken chain":       {standing(10, 20, 7), entry{at: at(21), prev: "other"}, false, at(20)},
		"no previous nonce":    {standing(10, 20, 7), entry{at: at(21)}, false, at(20)},
		"another at its place": {standing(10, 20, 7), entry{at: position{20, "other"}, prev: at(19).nonce}, false, at(20)},
		"never joined":         {&history{}, link(1), false, position{}},
		"after a raise":        {raised(standing(10, 20, 7), 8), link(21), false, at(20)},
	} {
		if got := tt.history.advance(tt.next); got != tt.want {
			t.Errorf("%s: advance = %t, want %t", name, got, tt.want)
		}
		if p, _ := tt.history.position(); p != tt.stands {
			t.Errorf("%s: stands at %v, want %v", name, p, tt.stands)
		}
	}
}

func TestEpochNeverFalls(t *testing.T) {
	h := standing(10, 20, 7)
	h.adopt(told(30, 5))
	if got := h.epoch.Load(); got != 7 {
		t.Errorf("epoch = %d after adopting 5, want 7", got)
	}
	for epoch, want := range map[uint64]bool{6: false, 7: false} {
		if got := h.raise(epoch); got != want {
			t.Errorf("raise(%d) = %t, want %t", epoch, got, want)
		}
	}
	if _, joined := h.position(); !joined {
		t.Error("a raise that raised nothing took the position")
	}
	if !h.raise(8) || h.epoch.Load() != 8 {
		t.Errorf("raise(8) left the epoch at %d", h.epoch.Load())
	}
	if _, joined := h.position(); joined {
		t.Error("the position is trusted after a raise")
	}
}

// A position that was adopted replaces all that was remembered.
func TestAdoptForgets(t *testing.T) {
	h := standing(10, 20, 7)
	h.adopt(report{at: position{15, "other"}, epoch: 8})
	if h.advance(link(12)) {
		t.Error("an entry of the former history counts as followed")
	}
	if got := h.judge(h.held(), told(15, 8)); got != forked {
		t.Errorf("judge = %d, want %d", got, forked)
	}
}
