package history

import (
	"cmp"
	"slices"

	"github.com/anishathalye/porcupine"
)

// Operation is a read or a write of one key that is over.
type Operation struct {
	Client       int   // who called; a row of a drawing
	Call, Return int64 // on one clock, or numbers that grow
	Commit       int   // the version that was stored; 0 for a read
	Value        int   // what the source holds then, or the read returned: a version, 0 for no record
}

// Operations are what was done to one key.
type Operations []Operation

// enough is the length from which on a history is cut: cuts cost nothing then, and the search is short still.
const enough = 1000

// Parts takes off the history what can be checked: parts between instants at which nothing was under way. All
// that was called before the given instant must be known; what was called later is left.
func (h *Operations) Parts(known int64) (parts []Operations) {
	ops := *h
	slices.SortFunc(ops, func(a, b Operation) int { return cmp.Compare(a.Call, b.Call) })
	n, _ := slices.BinarySearchFunc(ops, known, func(op Operation, at int64) int { return cmp.Compare(op.Call, at) })
	begin, end := 0, int64(0)
	for i, op := range ops[:n] {
		if i-begin >= enough && end < op.Call {
			parts = append(parts, ops[begin:i:i])
			begin = i
		}
		end = max(end, op.Return)
	}
	if n > begin && end < known {
		parts = append(parts, ops[begin:n:n])
		begin = n
	}
	*h = slices.Clone(ops[begin:])
	return parts
}

func (h Operations) porcupine() []porcupine.Operation {
	out := make([]porcupine.Operation, len(h))
	for i, op := range h {
		out[i] = porcupine.Operation{ClientId: op.Client, Input: op.Commit, Output: op.Value, Call: op.Call, Return: op.Return}
	}
	return out
}
