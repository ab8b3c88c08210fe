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

// Of package msgpcode, where they are variables.
const (
	fixStr     = 0xa0
	fixStrMask = 0x1f
	str8       = 0xd9
)

// A checker walks msgpack without decoding it. It is reused, so that a walk
// allocates nothing.
type checker struct {
	open       [maxDepth]int // elements that each container around the current one is still owed
	depth      int           // of the current container
	elements   int           // declared so far, at all levels
	timestamps []int         // where the body of each timestamp starts that needs a guarded reader
}

// check says whether data is one whole msgpack value within the limits, with no
// extension types but the timestamps that a type of this shape can hold. It takes
// a step for each byte at most: every element has one, and a count that claims more
// elements than there are is refused where the data ends.
func (c *checker) check(data []byte, shape *shape) error {
	c.depth, c.elements, c.timestamps = 0, 0, c.timestamps[:0]
	pos := 0
	for here := 1; ; { // owed in the current container; at first the value itself
		for here > 0 {
			if pos >= len(data) {
				return at(len(data), errTruncated)
			}
			here--
			// An element that ends beyond the data is found out at the next, or at the end.
			code := data[pos]
			if code&^fixStrMask == fixStr {
				pos += int(code) - fixStr + 1
				continue
			}
			if code == str8 && pos+1 < len(data) {
				pos += 2 + int(data[pos+1])
				continue
			}
			h := heads[code]
			if h.kind == fixed {
				pos += int(h.n)
				continue
			}
			end, owed, err := c.step(data, pos, here, shape)
			if err != nil {
				return at(pos, err)
			}
			pos, here = end, owed
		}
		if c.depth == 0 {
			break
		}
		c.depth--
		here = c.open[c.depth]
	}
	switch {
	case pos < len(data):
		return at(pos, errTrailing)
	case pos > len(data):
		return at(len(data), errTruncated)
	}
	return nil
}

// step passes the element at pos, or the head of a container. It returns where that
// ends, and what is owed in the container that is then the current one.
func (c *checker) step(data []byte, pos, here int, shape *shape) (end, owed int, err error) {
	h := heads[data[pos]]
	n, ok := h.length(data[pos:])
	if !ok {
		return 0, 0, errTruncated
	}
	end = pos + 1 + int(h.prefix)
	switch h.kind {
	case blob:
		if n > uint64(len(data)-end) {
			return 0, 0, errTruncated
		}
		return end + int(n), here, nil
	case array, table:
		return end, int(n), c.enter(n, here)
	case ext:
		end, err = c.timestamp(data, pos, shape)
		return end, here, err
	}
	return 0, 0, errCode
}

// enter goes into a container of n elements, from one that is owed here of them.
func (c *checker) enter(n uint64, here int) error {
	switch {
	case n > uint64(maxElements-c.elements):
		return errElements
	case c.depth == maxDepth:
		return errDepth
	}
	c.open[c.depth] = here
	c.depth++
	c.elements += int(n)
	return nil
}

// timestamp returns where the timestamp at pos ends.
func (c *checker) timestamp(data []byte, pos int, shape *shape) (end int, err error) {
	if len(data)-pos < 3 {
		return 0, errTruncated
	}
	head, body := timestamp(data[pos:], shape)
	if head == 0 {
		return 0, errExt
	}
	start, end := pos+head, pos+head+body
	if end > len(data) {
		return 0, errTruncated
	}
	if shape.own || startsMap(data[start]) {
		c.timestamps = append(c.timestamps, start)
	}
	return end, nil
}

// startsMap says whether a decoder that wants a map goes on after code: see reader.
func startsMap(code byte) bool {
	return code == msgpcode.Nil || heads[code].kind == table
}

func at(pos int, err error) error { return fmt.Errorf("%w (at byte %d)", err, pos) }

const (
	stdTime  = 0xff // -1 as a byte
	msgpTime = 5    // of tinylib/msgp, older than the standard and laid out as its longest form
)

// timestamp returns the lengths of head and body if b, of three bytes at least, starts
// as one of the three legal forms of a timestamp that shape can hold, else zero.
func timestamp(b []byte, shape *shape) (head, body int) {
	if !shape.times {
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
	fixed         // n bytes in all, told by the head alone
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
	fill := func(low, high byte, kind uint8, least, mask int) {
		for c := int(low); c <= int(high); c++ {
			h[c] = head{kind: kind, n: uint8(least + c&mask)}
		}
	}
	fill(0, msgpcode.PosFixedNumHigh, fixed, 1, 0)
	fill(msgpcode.NegFixedNumLow, 0xff, fixed, 1, 0)
	fill(fixStr, fixStr|fixStrMask, fixed, 1, fixStrMask)
	fill(msgpcode.FixedArrayLow, msgpcode.FixedArrayHigh, array, 0, int(msgpcode.FixedArrayMask))
	fill(msgpcode.FixedMapLow, msgpcode.FixedMapHigh, table, 0, int(msgpcode.FixedMapMask))
	fill(msgpcode.FixExt1, msgpcode.FixExt16, ext, 0, 0)
	fill(msgpcode.Ext8, msgpcode.Ext32, ext, 0, 0)

	for n, codes := range map[uint8][]byte{
		0: {msgpcode.Nil, msgpcode.False, msgpcode.True},
		1: {msgpcode.Uint8, msgpcode.Int8},
		2: {msgpcode.Uint16, msgpcode.Int16},
		4: {msgpcode.Uint32, msgpcode.Int32, msgpcode.Float},
		8: {msgpcode.Uint64, msgpcode.Int64, msgpcode.Double},
	} {
		for _, c := range codes {
			h[c] = head{kind: fixed, n: 1 + n}
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
