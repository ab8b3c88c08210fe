package codec

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// under reads one value of the two in its array.
type under struct{ A int }

func (u *under) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	if _, err = d.DecodeArrayLen(); err == nil {
		u.A, err = d.DecodeInt()
	}
	return err
}

func TestOwnMethodsMustReadAll(t *testing.T) {
	var u under
	if err := Msgpack().Decode([]byte{0x91, 1}, &u); err != nil || u.A != 1 {
		t.Errorf("got %+v, %v", u, err)
	}
	for _, data := range []string{"\x92\x01\x02", "\x92\x01\xd6\xff\x00\x00\x00\x00"} {
		if err := Msgpack().Decode([]byte(data), &u); !errors.Is(err, errLeftover) {
			t.Errorf("%x: got %+v, %v, want errLeftover", data, u, err)
		}
	}
}

// Raw bytes are for a decoder of the type's own, which nothing guards.
func TestRawBytesHoldNoTimestamp(t *testing.T) {
	type raw struct {
		T time.Time
		R msgpack.RawMessage
	}
	for _, stamp := range []string{"\xd6\xff\x6a\x00\x00\x00", stampBomb} {
		for _, value := range []string{stamp, "\x91" + stamp, "\x81\xa1k" + stamp} {
			if err := Msgpack().Decode([]byte(field("R", value)), new(raw)); !errors.Is(err, errTimestamp) {
				t.Errorf("%x: %v, want errTimestamp", value, err)
			}
		}
	}
	if err := Msgpack().Decode([]byte(field("R", "\x91\xa1k")), new(raw)); err != nil {
		t.Error(err)
	}
}

// over reads two values whatever is in its array.
type over struct{ A, B int }

func (o *over) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	if _, err = d.DecodeArrayLen(); err == nil {
		err = d.DecodeMulti(&o.A, &o.B)
	}
	return err
}

// Bytes that are too few for a type are no end of a stream.
func TestOwnMethodsMayNotReadMore(t *testing.T) {
	if err := Msgpack().Decode([]byte{0x92, 1, 2}, new(over)); err != nil {
		t.Error(err)
	}
	err := Msgpack().Decode([]byte{0x91, 1}, new(over))
	if !errors.Is(err, ErrMalformed) || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		t.Errorf("got %v, want ErrMalformed and io.ErrUnexpectedEOF", err)
	}
}
