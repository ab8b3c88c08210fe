package history

import (
	"fmt"
	"math"
	"testing"
)

// span is a read without a meaning.
func span(call, end int64) Operation { return Operation{Call: call, Return: end} }

func lengths(parts []Operations) (out []int) {
	for _, p := range parts {
		out = append(out, len(p))
	}
	return out
}

func TestHistoryIsCutWhereNothingIsUnderWay(t *testing.T) {
	var h Operations
	for i := range int64(enough) {
		h = append(h, span(10*i+1, 10*i+10)) // the next begins after it
	}
	begin := int64(10 * enough)
	h = append(h, span(begin+5, begin+14), span(begin+12, begin+13), span(begin+14, begin+16)) // at one instant: perhaps together
	for i := range int64(enough) {
		h = append(h, span(begin+10*i+20, begin+10*i+35)) // all overlap
	}
	h[0], h[enough+1] = h[enough+1], h[0] // the order of the list is nothing
	if got := fmt.Sprint(lengths(h.Parts(math.MaxInt64))); got != fmt.Sprint([]int{enough, enough + 3}) || len(h) > 0 {
		t.Errorf("parts of %s operations, %d left", got, len(h))
	}
}

func TestHistoryIsLeftWhereMoreMayCome(t *testing.T) {
	for _, x := range []struct {
		known int64
		parts string
		left  int
	}{
		{1, "[]", 5},
		{4, "[]", 5}, // one is under way
		{5, "[2]", 3},
		{6, "[]", 5}, // another is
		{9, "[4]", 1},
		{20, "[]", 5}, // the last one is under way
		{21, "[5]", 0},
	} {
		h := Operations{span(1, 4), span(2, 3), span(5, 7), span(6, 8), span(10, 20)}
		if got := fmt.Sprint(lengths(h.Parts(x.known))); got != x.parts || len(h) != x.left {
			t.Errorf("known until %d: parts of %s operations and %d left, want %s and %d", x.known, got, len(h), x.parts, x.left)
		}
	}
}
