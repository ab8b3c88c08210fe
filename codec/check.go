package codec

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

const (
	// maxDepth bounds the stack of a decoder: about 1 KiB a level.
	maxDepth = 256
	// maxElements bounds its memory. Array elements, map keys and map values
	// count one each; strings and numbers inside them are no further elements.
	maxElements = 1 << 20
)

var (
	errTruncated = errors.New("less data than declared")
	errTrailing  = errors.New("data after the value")
	errDepth     = fmt.Errorf("nested deeper than %d levels", maxDepth)
	errElements  = fmt.Errorf("more than %d elements", maxElements)
	errCode      = errors.New("not a msgpack code")
	errExt       = errors.New("extension type that the Go type cannot hold")
)

// A checker walks msgpack without decoding it. It is reused, so that a walk
// allocates nothing.
type checker struct {
	open       [maxDepth]uint32 // elements that each container around the current one is still owed
	timestamps []int            // where the body of each timestamp starts
}

// check says whether data is one whole msgpack value within the limits, with no
// extension types but the timestamps that a type of this shape can hold.
//
// Its invariant: every element takes a byte at least, so owed, the elements that
// were declared and not yet seen at all levels, never exceeds the bytes that are
// left. A count that lies is found at its header.
func (c *checker) check(data []byte, shape *shape) error {
	c.timestamps = c.timestamps[:0]
	pos, depth, elements := 0, 0, 0
	here := uint32(1) // owed at the current depth: the value itself
	for owed := 1; owed > 0; {
		if owed > len(data)-pos {
			return at(pos, errTruncated)
		}
		for here == 0 {
			depth--
			here = c.open[depth]
		}
		here--
		owed--

		h := heads[data[pos]]
		switch {
		case h.kind == fixed:
			pos += 1 + int(h.n)
			continue // beyond the end? the next element finds out, or the last lines do
		case h.kind == blob && h.prefix == 1 && pos+1 < len(data): // most strings that are not fixed
			pos += 2 + int(data[pos+1])
			continue
		}
		start := pos
		n, ok := h.length(data[pos:])
		if !ok {
			return at(start, errTruncated)
		}
		pos += 1 + int(h.prefix)
		switch h.kind {
		case blob:
			if n > uint64(len(data)-pos) {
				return at(start, errTruncated)
			}
			pos += int(n)
		case array, table:
			if n > uint64(maxElements-elements) {
				return at(start, errElements)
			}
			if depth == maxDepth {
				return at(start, errDepth)
			}
			c.open[depth], here = here, uint32(n)
			depth++
			elements += int(n)
			owed += int(n)
		case ext:
			head, body := timestamp(data[start:], shape)
			if head == 0 {
				return at(start, errExt)
			}
			pos = start + head + body
			c.timestamps = append(c.timestamps, start+head)
		default:
			return at(start, errCode)
		}
	}
	switch {
	case pos < len(data):
		return at(pos, errTrailing)
	case pos > len(data):
		return at(len(data), errTruncated)
	}
	return nil
}

func at(pos int, err error) error { return fmt.Errorf("%w (at byte %d)", err, pos) }

const (
	stdTime  = 0xff // -1 as a byte
	msgpTime = 5    // of tinylib/msgp, older than the standard and laid out as its longest form
)

// timestamp returns the lengths of head and body if b starts as one of the three
// legal forms of a timestamp that shape can hold, else zero.
func timestamp(b []byte, shape *shape) (head, body int) {
	if len(b) < 3 || !shape.times {
		return 0, 0
	}
	switch {
	case b[0] == msgpcode.FixExt4 && b[1] == stdTime:
		return 2, 4
	case b[0] == msgpcode.FixExt8 && b[1] == stdTime:
		return 2, 8
	case b[0] == msgpcode.Ext8 && b[1] == 12 && (b[2] == stdTime || shape.msgp && b[2] == msgpTime):
		return 3, 12
	}
	return 0, 0
}

// A head is what the first byte of a value tells: what it starts, how many bytes
// of length follow (prefix), and if none do, the length or count itself (n).
type head struct{ kind, prefix, n, _ uint8 }

const (
	invalid uint8 = iota
	fixed         // n bytes, told by the head alone
	blob          // n bytes
	array         // n elements
	table         // n pairs
	ext           // judged by its bytes, not by its head
)

// length returns how many bytes or elements follow the head of b, the length
// prefix not counted. It fails if b is too short to tell.
func (h head) length(b []byte) (n uint64, ok bool) {
	if len(b) <= int(h.prefix) {
		return 0, false
	}
	switch h.prefix {
	case 0:
		n = uint64(h.n)
	case 1:
		n = uint64(b[1])
	case 2:
		n = uint64(binary.BigEndian.Uint16(b[1:]))
	case 4:
		n = uint64(binary.BigEndian.Uint32(b[1:]))
	}
	if h.kind == table {
		n *= 2
	}
	return n, true
}

var heads = func() (h [256]head) {
	fill := func(low, high byte, kind uint8, mask int) {
		for c := int(low); c <= int(high); c++ {
			h[c] = head{kind: kind, n: uint8(c & mask)}
		}
	}
	fill(0, msgpcode.PosFixedNumHigh, fixed, 0)
	fill(msgpcode.NegFixedNumLow, 0xff, fixed, 0)
	fill(msgpcode.FixedStrLow, msgpcode.FixedStrHigh, fixed, int(msgpcode.FixedStrMask))
	fill(msgpcode.FixedArrayLow, msgpcode.FixedArrayHigh, array, int(msgpcode.FixedArrayMask))
	fill(msgpcode.FixedMapLow, msgpcode.FixedMapHigh, table, int(msgpcode.FixedMapMask))
	fill(msgpcode.FixExt1, msgpcode.FixExt16, ext, 0)
	fill(msgpcode.Ext8, msgpcode.Ext32, ext, 0)

	for n, codes := range map[uint8][]byte{
		0: {msgpcode.Nil, msgpcode.False, msgpcode.True},
		1: {msgpcode.Uint8, msgpcode.Int8},
		2: {msgpcode.Uint16, msgpcode.Int16},
		4: {msgpcode.Uint32, msgpcode.Int32, msgpcode.Float},
		8: {msgpcode.Uint64, msgpcode.Int64, msgpcode.Double},
	} {
		for _, c := range codes {
			h[c] = head{kind: fixed, n: n}
		}
	}
	for i, width := range []uint8{1, 2, 4} {
		h[msgpcode.Str8+byte(i)] = head{kind: blob, prefix: width}
		h[msgpcode.Bin8+byte(i)] = head{kind: blob, prefix: width}
	}
	for i, width := range []uint8{2, 4} {
		h[msgpcode.Array16+byte(i)] = head{kind: array, prefix: width}
		h[msgpcode.Map16+byte(i)] = head{kind: table, prefix: width}
	}
	return h
}()
