package codec

import (
	"encoding/binary"
	"errors"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// generated codes itself as tinylib/msgp would: pointer receivers, the rest of the
// bytes handed back, and msgp's own extension for times.
type generated struct {
	Name string
	At   time.Time

	calls int // of its methods
}

func (g *generated) MarshalMsg(b []byte) ([]byte, error) {
	b = append(b, 0x92, 0xa0|byte(len(g.Name)))
	b = append(b, g.Name...)
	b = append(b, msgpcode.Ext8, 12, msgpTime)
	b = binary.BigEndian.AppendUint64(b, uint64(g.At.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(g.At.Nanosecond()))
	return b, nil
}

func (g *generated) UnmarshalMsg(b []byte) ([]byte, error) {
	if len(b) < 2 || b[0] != 0x92 || !msgpcode.IsFixedString(b[1]) {
		return b, errors.New("not a generated")
	}
	n := int(b[1] & msgpcode.FixedStrMask)
	g.Name, b = string(b[2:2+n]), b[2+n:]
	g.At = time.Unix(int64(binary.BigEndian.Uint64(b[3:])), int64(binary.BigEndian.Uint32(b[11:])))
	g.calls++
	return b[15:], nil
}

// counted makes room for what a header declares before it reads on, as msgp does.
type counted []int64

func (c counted) MarshalMsg(b []byte) ([]byte, error) {
	b = binary.BigEndian.AppendUint32(append(b, msgpcode.Array32), uint32(len(c)))
	for _, n := range c {
		b = append(b, byte(n&0x7f))
	}
	return b, nil
}

func (c *counted) UnmarshalMsg(b []byte) ([]byte, error) {
	if len(b) < 5 || b[0] != msgpcode.Array32 {
		return b, errors.New("not a counted")
	}
	*c = make(counted, binary.BigEndian.Uint32(b[1:]))
	b = b[5:]
	for i := range *c {
		(*c)[i], b = int64(b[0]), b[1:]
	}
	return b, nil
}

func TestGeneratedMethodsAreUsed(t *testing.T) {
	c := Msgpack()
	want := generated{Name: "name", At: when(1_700_000_000, 5), calls: 1}
	indirect := &want
	for _, v := range []any{want, &want, &indirect} {
		data, err := c.Append([]byte("head"), v)
		if err != nil {
			t.Fatalf("Append of %T: %v", v, err)
		}
		data = data[4:]
		var got generated
		if err := c.Decode(data, &got); err != nil || got != want {
			t.Errorf("%T: got %+v, %v, want %+v", v, got, err, want)
		}
		var gotPtr *generated
		if err := c.Decode(data, &gotPtr); err != nil || *gotPtr != want {
			t.Errorf("%T: got %+v, %v, want a pointer to %+v", v, gotPtr, err, want)
		}
	}
}

func TestGeneratedNil(t *testing.T) {
	c := Msgpack()
	data, err := c.Append(nil, (*generated)(nil))
	if err != nil {
		t.Fatal(err)
	}
	got := new(generated)
	if err := c.Decode(data, &got); err != nil || got != nil {
		t.Errorf("got %+v, %v, want nil", got, err)
	}
	if err := c.Decode(data, new(generated)); !errors.Is(err, ErrMalformed) {
		t.Errorf("nil into a value: %v, want ErrMalformed", err)
	}
}

// lazy is a generated type that reads and writes less, or worse, than it should.
type lazy struct{ Out []byte }

func (l *lazy) MarshalMsg(b []byte) ([]byte, error)   { return append(b, l.Out...), nil }
func (l *lazy) UnmarshalMsg(b []byte) ([]byte, error) { return b, nil }

func TestGeneratedMethodsAreNotTrusted(t *testing.T) {
	c := Msgpack()
	if err := c.Decode([]byte{1}, new(lazy)); !errors.Is(err, ErrMalformed) || !errors.Is(err, errLeftover) {
		t.Errorf("bytes left over: %v", err)
	}
	for _, out := range []string{"", "\x01\x01", "\xdd\xff\xff\xff\xff", "\xd4\x07\x00"} {
		if _, err := c.Append(nil, &lazy{[]byte(out)}); !errors.Is(err, ErrUnsupported) {
			t.Errorf("Append of %x = %v, want ErrUnsupported", out, err)
		}
	}
}

// msgpack itself refuses methods with a pointer receiver on a value without an address.
func TestValueWithPointerMethods(t *testing.T) {
	type account struct{ Balance big.Int }
	var want, got account
	want.Balance.SetString("123456789012345678901234567890", 10)
	data, err := Msgpack().Append(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	if err := Msgpack().Decode(data, &got); err != nil || got.Balance.Cmp(&want.Balance) != 0 {
		t.Errorf("got %v, %v, want %v", &got.Balance, err, &want.Balance)
	}
}

func TestTimes(t *testing.T) {
	zone := time.FixedZone("somewhere", 3600)
	for _, want := range []time.Time{
		{},
		time.Unix(0, 0),
		time.Unix(1<<32-1, 0),           // the last in four bytes
		time.Unix(1<<32, 0),             // eight
		time.Unix(1<<34-1, 999_999_999), // the last in eight
		time.Unix(1<<34, 1),             // twelve
		time.Unix(-1, 999_999_999),      // twelve, before 1970
		time.Unix(1e9, 937_000_000),     // its body looks like the header of a map
		time.Now(),                      // monotonic
		time.Date(2024, 2, 29, 12, 0, 0, 0, zone),
	} {
		type outer struct {
			T time.Time
			P *time.Time
			A any
			L []time.Time
			M map[string]any
		}
		in := outer{want, &want, want, []time.Time{want}, map[string]any{"k": want}}
		data, err := Msgpack().Append(nil, &in)
		if err != nil {
			t.Fatal(err)
		}
		var out outer
		if err := Msgpack().Decode(data, &out); err != nil {
			t.Fatalf("%v: %v", want, err)
		}
		for _, got := range []any{out.T, *out.P, out.A, out.L[0], out.M["k"]} {
			if got, ok := got.(time.Time); !ok || !got.Equal(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
	}
}

// Sized numbers keep their type in an interface; an int does not.
func TestAnyKeepsSizedTypes(t *testing.T) {
	want := []any{int64(1), uint64(1), float32(1), 1.0, "s", []byte("b"), nil, true, map[string]any{"k": []any{}}}
	data, err := Msgpack().Append(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := Msgpack().Decode(data, &got); err != nil || !reflect.DeepEqual(got, any(want)) {
		t.Errorf("got %#v, %v, want %#v", got, err, want)
	}
}

// What Decode would refuse, Append must not write.
func TestAppendRefusesWhatDecodeWould(t *testing.T) {
	type interned struct {
		A string `msgpack:",intern"`
		B string `msgpack:",intern"`
	}
	deep := &record{}
	for range maxDepth {
		deep = &record{Next: deep}
	}
	for _, tc := range []struct {
		name string
		v    any
		want error
	}{
		{"too many elements", make([]int8, maxElements+1), errElements},
		{"too many keys and values", intMap(maxElements/2 + 1), errElements},
		{"too deep", deep, errDepth},
		{"extension type", interned{"same", "same"}, errExt},
		{"time among raw bytes", msgpack.RawMessage{msgpcode.FixExt4, stdTime, 0, 0, 0, 0}, errExt},
		{"two values", msgpack.RawMessage{1, 2}, errTrailing},
		{"no value", msgpack.RawMessage{}, errTruncated},
	} {
		if _, err := Msgpack().Append(nil, tc.v); !errors.Is(err, ErrUnsupported) || !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want ErrUnsupported and %v", tc.name, err, tc.want)
		}
	}
	for name, v := range map[string]any{
		"all the elements": make([]int8, maxElements),
		"all the pairs":    intMap(maxElements / 2),
		"all the levels":   deep.Next,
		"interned once":    interned{"one", "other"},
	} {
		data, err := Msgpack().Append(nil, v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := Msgpack().Decode(data, reflect.New(reflect.TypeOf(v)).Interface()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func intMap(n int) map[int]bool {
	m := make(map[int]bool, n)
	for i := range n {
		m[i] = true
	}
	return m
}

// moody leaves the pooled encoder and decoder in a mood of its own.
type moody struct{ N int64 }

func (m moody) EncodeMsgpack(e *msgpack.Encoder) error {
	e.UseCompactInts(true)
	e.UseArrayEncodedStructs(true)
	e.SetCustomStructTag("json")
	return e.EncodeInt(m.N)
}

func (m *moody) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	d.DisallowUnknownFields(true)
	d.UseLooseInterfaceDecoding(true)
	d.SetMapDecoder(func(*msgpack.Decoder) (any, error) { return nil, errors.New("moody") })
	m.N, err = d.DecodeInt64()
	return err
}

func TestPooledSettingsDoNotLeak(t *testing.T) {
	want := map[string]any{"n": int64(1), "m": map[string]any{"k": []byte("b")}}
	for range 20 {
		data, err := Msgpack().Append(nil, moody{1})
		if err != nil {
			t.Fatal(err)
		}
		var m moody
		if err := Msgpack().Decode(data, &m); err != nil || m.N != 1 {
			t.Fatalf("got %+v, %v", m, err)
		}
		if data, err = Msgpack().Append(nil, want); err != nil {
			t.Fatal(err)
		}
		var got any
		if err := Msgpack().Decode(data, &got); err != nil || !reflect.DeepEqual(got, any(want)) {
			t.Fatalf("got %#v, %v, want %#v", got, err, want)
		}
	}
}

func TestErrorsSayWhere(t *testing.T) {
	err := Msgpack().Decode([]byte{0x92, 1, 0xc1}, new(record))
	for _, part := range []string{"codec: malformed data", "msgpack into *codec.record", "byte 2"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
}
