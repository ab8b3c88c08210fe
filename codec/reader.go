package codec

import (
	"errors"
	"io"
)

// A reader feeds checked bytes to a msgpack.Decoder and keeps it from taking a
// timestamp for something else.
//
// Where the decoder wants a map and meets an extension, it skips the extension's
// header and reads the *body* as the header of the map: in a type that has both a
// time and a map, a well-formed timestamp whose body starts df ff ff ff ff asks
// for four billion entries. No check of the bytes alone can tell. But the decoder
// reads a body it knows for a timestamp in one Read, and the header of a map with
// ReadByte; so a ReadByte at the start of a body is an error. A body that starts
// with nothing that may stand for a map makes the decoder fail by itself: without
// others, a bytes.Reader will do, and is faster.
//
// Skipping reads the body in the same Read as what is before it. It is an error
// too if the type has decoding methods of its own, because they are handed
// skipped bytes and may run a decoder over them that has no such reader.
type reader struct {
	data       []byte
	pos        int
	limit      int   // where the next body starts, or the data ends
	timestamps []int // where the bodies beyond limit start
	strict     bool  // no body may be skipped
}

var errTimestamp = errors.New("timestamp in place of another type")

// reset starts over with data, in which the bodies of timestamps start at the
// given offsets, in order.
func (r *reader) reset(data []byte, timestamps []int, strict bool) {
	r.data, r.pos, r.timestamps, r.strict = data, 0, timestamps, strict
	r.advance()
}

func (r *reader) advance() {
	if len(r.timestamps) == 0 {
		r.limit = len(r.data)
		return
	}
	r.limit, r.timestamps = r.timestamps[0], r.timestamps[1:]
}

func (r *reader) ReadByte() (byte, error) {
	if r.pos >= r.limit {
		return 0, r.barred()
	}
	c := r.data[r.pos]
	r.pos++
	return c, nil
}

func (r *reader) barred() error {
	if r.pos >= len(r.data) {
		return io.ErrUnexpectedEOF
	}
	return errTimestamp
}

func (r *reader) UnreadByte() error {
	r.pos--
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	if r.pos >= len(r.data) {
		return 0, io.ErrUnexpectedEOF
	}
	start := r.pos
	n := copy(p, r.data[start:])
	r.pos += n
	for r.limit < r.pos {
		if r.strict && start < r.limit {
			return 0, errTimestamp
		}
		r.advance()
	}
	return n, nil
}

func (r *reader) len() int { return len(r.data) - r.pos }
