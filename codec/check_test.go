package codec

import (
	"bytes"
	"errors"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// Every prefix of a value is refused, and every value with something behind it.
func TestTruncatedEverywhere(t *testing.T) {
	v := full()
	v.ByNumber = nil // in an interface, keys are strings
	data, err := Msgpack().Append(nil, &v)
	if err != nil {
		t.Fatal(err)
	}
	for _, into := range []any{new(record), new(any)} {
		s := shapeOf(reflect.TypeOf(into))
		for i := range data {
			if err := new(checker).check(data[:i], s); !errors.Is(err, errTruncated) {
				t.Errorf("check of the first %d bytes of %d: %v", i, len(data), err)
			}
			if err := Msgpack().Decode(data[:i], into); !errors.Is(err, ErrMalformed) {
				t.Errorf("the first %d bytes of %d into %T: %v", i, len(data), into, err)
			}
		}
		if err := Msgpack().Decode(append(bytes.Clone(data), 0xc0), into); !errors.Is(err, errTrailing) {
			t.Errorf("trailing byte into %T: %v", into, err)
		}
		if err := Msgpack().Decode(data, into); err != nil {
			t.Errorf("all of it into %T: %v", into, err)
		}
	}
}

// The check knows every code, and no more: one value of each kind, whole and cut.
func TestCheckAcceptsEveryCode(t *testing.T) {
	tail := strings.Repeat("\x00", 300)
	size := map[byte]int{ // of what follows the code
		0xc0: 0, 0xc2: 0, 0xc3: 0,
		0xc4: 1, 0xc5: 2, 0xc6: 4, 0xd9: 1, 0xda: 2, 0xdb: 4, 0xdc: 2, 0xdd: 4, 0xde: 2, 0xdf: 4, // empty
		0xca: 4, 0xcb: 8, 0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8, 0xd0: 1, 0xd1: 2, 0xd2: 4, 0xd3: 8,
	}
	for c := range 256 {
		n, ok := size[byte(c)]
		switch {
		case c < 0x80 || c >= 0xe0:
			n, ok = 0, true
		case c < 0x90:
			n, ok = 2*(c&0xf), true
		case c < 0xa0:
			n, ok = c&0xf, true
		case c < 0xc0:
			n, ok = c&0x1f, true
		}
		data := append([]byte{byte(c)}, tail[:n]...)
		if err := new(checker).check(data, &shape{times: true}); (err == nil) != ok {
			t.Errorf("check of %x = %v, want accepted: %t", data, err, ok)
		}
		for i := range data {
			if err := new(checker).check(data[:i], &shape{times: true}); ok && !errors.Is(err, errTruncated) {
				t.Errorf("check of the first %d bytes of %x = %v", i, data, err)
			}
		}
	}
}

func TestCheckOfExtensions(t *testing.T) {
	body := strings.Repeat("\x00", 20)
	std, msgp := &shape{times: true}, &shape{times: true, msgp: true}
	for _, tc := range []struct {
		data string
		ok   []*shape
	}{
		{"\xd6\xff" + body[:4], []*shape{std, msgp}},
		{"\xd7\xff" + body[:8], []*shape{std, msgp}},
		{"\xc7\x0c\xff" + body[:12], []*shape{std, msgp}},
		{"\xc7\x0c\x05" + body[:12], []*shape{msgp}},
		{"\xd6\x05" + body[:4], nil},
		{"\xd7\x0d" + body[:8], nil},
		{"\xd4\xff" + body[:1], nil},
		{"\xd5\xff" + body[:2], nil},
		{"\xd8\xff" + body[:16], nil},
		{"\xc7\x04\xff" + body[:4], nil},
		{"\xc7\x0c\x0d" + body[:12], nil},
		{"\xc8\x00\x0c\xff" + body[:12], nil},
		{"\xc9\x00\x00\x00\x0c\xff" + body[:12], nil},
	} {
		for _, s := range []*shape{std, msgp, {}, {msgp: true}} {
			err := new(checker).check([]byte(tc.data), s)
			if ok := slices.Contains(tc.ok, s); ok != (err == nil) || !ok && !errors.Is(err, errExt) {
				t.Errorf("check of %x for %+v = %v, want accepted: %t", tc.data, *s, err, ok)
			}
		}
	}
}

func TestCheckAllocatesNothing(t *testing.T) {
	v := full()
	data, err := Msgpack().Append(nil, &v)
	if err != nil {
		t.Fatal(err)
	}
	c := new(checker)
	s := shapeOf(reflect.TypeFor[record]())
	if n := testing.AllocsPerRun(100, func() { err = c.check(data, s) }); n != 0 || err != nil {
		t.Errorf("%v allocations, %v, want none", n, err)
	}
}

// A walk that failed deep inside leaves nothing to the next.
func TestCheckerIsReusable(t *testing.T) {
	c := new(checker)
	if err := c.check([]byte{0x92, 0x92, 0xc1}, &shape{}); !errors.Is(err, errCode) {
		t.Fatal(err)
	}
	if err := c.check([]byte{1}, &shape{}); err != nil {
		t.Error(err)
	}
}

type (
	list  struct{ Next *list }
	tree  map[string]tree
	moved struct{ T time.Time }

	ownTime struct{ t time.Time }
)

func (o ownTime) EncodeMsgpack(e *msgpack.Encoder) error  { return e.EncodeTime(o.t) }
func (o *ownTime) DecodeMsgpack(d *msgpack.Decoder) error { return nil }

func TestShapes(t *testing.T) {
	for _, tc := range []struct {
		v    any
		want shape
	}{
		{0, shape{}},
		{"", shape{}},
		{list{}, shape{}},
		{tree{}, shape{}},
		{struct {
			T time.Time `msgpack:"-"`
		}{}, shape{}},
		{time.Time{}, shape{times: true}},
		{[]map[string]*[2]moved{}, shape{times: true}},
		{map[time.Time]int{}, shape{times: true}},
		{struct{ A any }{}, shape{times: true}},
		{struct{ E error }{}, shape{times: true}},
		{record{}, shape{times: true}},
		{struct{ time.Time }{}, shape{}}, // encodes by its promoted MarshalBinary
		{ownTime{}, shape{times: true, own: true}},
		{[]handed{}, shape{own: true}},
		{stampedHanded{}, shape{times: true, own: true}},
		{msgpack.RawMessage{}, shape{own: true}},
		{big.Int{}, shape{byAddress: true}},
		{struct{ L []map[string]big.Int }{}, shape{byAddress: true}},
		{generated{}, shape{msgp: true, times: true}},
		{lazy{}, shape{msgp: true}},
	} {
		typ := reflect.TypeOf(tc.v)
		for _, typ := range []reflect.Type{typ, reflect.PointerTo(typ), reflect.PointerTo(reflect.PointerTo(typ))} {
			if got := *shapeOf(typ); got != tc.want {
				t.Errorf("shape of %v = %+v, want %+v", typ, got, tc.want)
			}
		}
	}
}
