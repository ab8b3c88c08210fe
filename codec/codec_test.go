package codec

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// record has a field of every kind that the codecs treat in their own way.
type record struct {
	ID       int64
	Name     string
	Price    float64
	On       bool
	Blob     []byte
	Sum      [4]byte
	Tags     []string
	Attr     map[string]string
	ByNumber map[int]float64
	At       time.Time
	Until    *time.Time
	Took     time.Duration
	Next     *record
	List     []record
	Any      any
}

// when returns an instant as msgpack gives it back: in the local zone, or UTC if zero.
func when(sec, nsec int64) time.Time { return time.Unix(sec, nsec) }

func ptr[T any](v T) *T { return &v }

func full() record {
	return record{
		ID: math.MinInt64, Name: "naïve ☕ <b>&", Price: -0.5, On: true,
		Blob: []byte{0, 0xff}, Sum: [4]byte{1, 2, 3, 4},
		Tags: []string{"", "a", strings.Repeat("x", 300)},
		Attr: map[string]string{"": "empty", "k": ""}, ByNumber: map[int]float64{-1: 1, 70000: math.MaxFloat64},
		At: when(1_700_000_000, 123_456_789), Until: ptr(when(-1, 0)), Took: time.Hour,
		Next: &record{Name: "next", List: []record{{ID: 1}, {ID: 2, Next: &record{}}}},
		Any:  map[string]any{"s": "x", "l": []any{true, nil, 1.5}},
	}
}

// sameTimes moves the times of r to UTC, so that reflect.DeepEqual compares instants.
func sameTimes(r *record) *record {
	r.At = r.At.UTC()
	if r.Until != nil {
		r.Until = ptr(r.Until.UTC())
	}
	if r.Next != nil {
		sameTimes(r.Next)
	}
	for i := range r.List {
		sameTimes(&r.List[i])
	}
	return r
}

func TestRoundTrip(t *testing.T) {
	type named struct {
		name string
		v    any
	}
	values := []named{
		{"zero record", record{}},
		{"full record", full()},
		{"pointer", ptr(full())},
		{"nil pointer", (*record)(nil)},
		{"string", "hello"},
		{"empty string", ""},
		{"bytes", []byte{0, 1, 2}},
		{"empty bytes", []byte{}},
		{"nil bytes", []byte(nil)},
		{"int", -7},
		{"uint64", uint64(math.MaxUint64)},
		{"bool", true},
		{"float", 3.25},
		{"duration", 3 * time.Second},
		{"array", [3]int{1, 2, 3}},
		{"slice of records", []record{{}, full(), {ID: 9}}},
		{"empty slice", []int{}},
		{"nil slice", []int(nil)},
		{"map of maps", map[string]map[string][]int{"a": {"b": {1, 2}, "c": nil}, "d": {}, "e": nil}},
		{"empty map", map[string]string{}},
		{"nil map", map[string]any(nil)},
		{"65,536 elements", make([]int, 1<<16)},
		{"1 MiB string", strings.Repeat("x", 1<<20)},
		{"pointers", []*int{ptr(1), nil}},
	}
	for _, c := range []struct {
		name  string
		codec Codec
	}{{"msgpack", Msgpack()}, {"json", JSON()}} {
		for _, v := range values {
			t.Run(c.name+"/"+v.name, func(t *testing.T) {
				data, err := c.codec.Append([]byte("head"), v.v)
				if err != nil || !bytes.HasPrefix(data, []byte("head")) {
					t.Fatalf("Append = %.40q, %v", data, err)
				}
				got := reflect.New(reflect.TypeOf(v.v))
				if err := c.codec.Decode(data[4:], got.Interface()); err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(utc(got.Elem().Interface()), utc(v.v)) {
					t.Errorf("Decode = %+v, want %+v", got.Elem(), v.v)
				}
			})
		}
	}
}

// utc applies sameTimes to a copy of any value of the table above that holds records.
func utc(v any) any {
	switch v := v.(type) {
	case record:
		return *sameTimes(&v)
	case *record:
		if v != nil {
			return sameTimes(ptr(*v))
		}
	case []record:
		for i := range v {
			sameTimes(&v[i])
		}
	}
	return v
}

// A pointer to a value is the same to a codec as the value, at both ends.
func TestPointerEncodesLikeValue(t *testing.T) {
	for _, c := range []Codec{Msgpack(), JSON(), Raw()} {
		byValue, err1 := c.Append(nil, "v")
		byPointer, err2 := c.Append(nil, ptr("v"))
		if err1 != nil || err2 != nil || !bytes.Equal(byValue, byPointer) {
			t.Errorf("%T: %x, %v and %x, %v", c, byValue, err1, byPointer, err2)
		}
	}
}

func TestRoundTripProperty(t *testing.T) {
	text := rapid.String()
	leaf := rapid.Custom(func(t *rapid.T) record {
		return record{
			ID:       rapid.Int64().Draw(t, "id"),
			Name:     text.Draw(t, "name"),
			Price:    rapid.Float64().Draw(t, "price"),
			Blob:     rapid.SliceOf(rapid.Byte()).Draw(t, "blob"),
			Tags:     rapid.SliceOf(text).Draw(t, "tags"),
			Attr:     rapid.MapOf(text, text).Draw(t, "attr"),
			ByNumber: rapid.MapOf(rapid.Int(), rapid.Float64()).Draw(t, "byNumber"),
			At:       when(rapid.Int64Range(-1<<35, 1<<37).Draw(t, "sec"), rapid.Int64Range(0, 999_999_999).Draw(t, "nsec")),
			Any:      text.Draw(t, "any"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		want := leaf.Draw(t, "record")
		want.List = rapid.SliceOfN(leaf, 0, 3).Draw(t, "list")
		want.Next = rapid.Ptr(leaf, true).Draw(t, "next")
		for _, c := range []Codec{Msgpack(), JSON()} {
			if want.At.Year() > 9999 && c.ID() == idJSON {
				continue // RFC 3339 ends there
			}
			data, err := c.Append(nil, &want)
			if err != nil {
				t.Fatal(err)
			}
			var got record
			if err := c.Decode(data, &got); err != nil {
				t.Fatalf("%T: %v of %x", c, err, data)
			}
			if !reflect.DeepEqual(sameTimes(&got), sameTimes(&want)) {
				t.Fatalf("%T: got %+v, want %+v", c, got, want)
			}
		}
	})
}

func TestIDs(t *testing.T) {
	for want, c := range []Codec{1: Msgpack(), 2: JSON(), 3: Raw()} {
		if c != nil && int(c.ID()) != want {
			t.Errorf("%T has ID %d, want %d: stored values would change their codec", c, c.ID(), want)
		}
	}
}

// What was in the destination is gone, whether Decode succeeds or fails half way.
func TestDecodeOverwrites(t *testing.T) {
	type pair struct {
		A int
		M map[string]int
	}
	for _, c := range []Codec{Msgpack(), JSON()} {
		data, err := c.Append(nil, struct{ M map[string]int }{map[string]int{"new": 1}})
		if err != nil {
			t.Fatal(err)
		}
		got := pair{A: 1, M: map[string]int{"old": 1}}
		want := pair{M: map[string]int{"new": 1}}
		if err := c.Decode(data, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%T: got %v, %v, want %v", c, got, err, want)
		}

		data, err = c.Append(nil, struct{ A, M any }{7, "not a map"})
		if err != nil {
			t.Fatal(err)
		}
		got = pair{A: 1, M: map[string]int{"old": 1}}
		if err := c.Decode(data, &got); !errors.Is(err, ErrMalformed) || !reflect.DeepEqual(got, pair{}) {
			t.Errorf("%T: got %v, %v, want the zero value and ErrMalformed", c, got, err)
		}
	}
}

func TestDecodeNeedsPointer(t *testing.T) {
	for _, c := range []Codec{Msgpack(), JSON(), Raw()} {
		for _, into := range []any{nil, "", record{}, (*string)(nil)} {
			if err := c.Decode([]byte{0xa0}, into); !errors.Is(err, ErrUnsupported) {
				t.Errorf("%T: Decode into %T = %v, want ErrUnsupported", c, into, err)
			}
		}
	}
}

// loud panics wherever a codec calls it.
type loud struct{ With any }

func (l loud) MarshalText() ([]byte, error)    { panic(l.With) }
func (l *loud) UnmarshalText(p []byte) error   { panic(string(p)) }
func (l loud) MarshalMsgpack() ([]byte, error) { panic(l.With) }
func (l *loud) UnmarshalMsgpack([]byte) error  { panic(errLoud) }

var errLoud = errors.New("loud")

func TestPanicsBecomeErrors(t *testing.T) {
	for _, c := range []Codec{Msgpack(), JSON()} {
		dst := []byte("dst")
		out, err := c.Append(dst, loud{errLoud})
		if !errors.Is(err, ErrUnsupported) || !errors.Is(err, errLoud) || string(out) != "dst" {
			t.Errorf("%T: Append = %q, %v, want dst, ErrUnsupported and the panic's error", c, out, err)
		}
		if _, err = c.Append(dst, &loud{"words"}); err == nil || !strings.Contains(err.Error(), "panic: words") {
			t.Errorf("%T: Append = %v, want the panic's words", c, err)
		}
		data, err := c.Append(nil, "text")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Decode(data, new(loud)); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "panic") {
			t.Errorf("%T: Decode = %v, want ErrMalformed from a panic", c, err)
		}
	}
}

func TestUnsupported(t *testing.T) {
	cycle := map[string]any{}
	cycle["self"] = cycle
	for _, tc := range []struct {
		codec Codec
		v     any
	}{
		{Msgpack(), make(chan int)},
		{Msgpack(), struct{ F func() }{func() {}}},
		{Msgpack(), complex(1, 1)},
		{JSON(), make(chan int)},
		{JSON(), math.NaN()},
		{JSON(), cycle},
		{Raw(), 1},
		{Raw(), nil},
		{Raw(), (*string)(nil)},
		{Raw(), []string{"a"}},
		{Raw(), record{}},
	} {
		out, err := tc.codec.Append([]byte("dst"), tc.v)
		if !errors.Is(err, ErrUnsupported) || string(out) != "dst" {
			t.Errorf("%T of %T = %q, %v, want dst and ErrUnsupported", tc.codec, tc.v, out, err)
		}
		if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%T", tc.v)) {
			t.Errorf("%q does not name the type %T", err, tc.v)
		}
	}
}
