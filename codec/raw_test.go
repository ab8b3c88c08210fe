package codec

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

type (
	octet byte
	page  []octet
	token string
)

func TestRawRoundTrip(t *testing.T) {
	for _, v := range []any{
		"text", "", "\xff\x00", token("t"), []byte("bytes"), []byte{}, page("page"), json.RawMessage(`{}`),
	} {
		p := reflect.New(reflect.TypeOf(v))
		p.Elem().Set(reflect.ValueOf(v))
		for _, in := range []any{v, p.Interface()} {
			data, err := Raw().Append([]byte("head"), in)
			if err != nil || !strings.HasPrefix(string(data), "head") {
				t.Fatalf("Append of %T = %q, %v", in, data, err)
			}
			got := reflect.New(reflect.TypeOf(v))
			if err := Raw().Decode(data[4:], got.Interface()); err != nil || !reflect.DeepEqual(got.Elem().Interface(), v) {
				t.Errorf("Decode into %v = %#v, %v, want %#v", got.Type(), got.Elem(), err, v)
			}
		}
	}
}

func TestRawNil(t *testing.T) {
	var got []byte
	if err := Raw().Decode(nil, &got); err != nil || got == nil || len(got) != 0 {
		t.Errorf("Decode(nil) = %#v, %v, want empty and not nil", got, err)
	}
	var s string
	if err := Raw().Decode(nil, &s); err != nil || s != "" {
		t.Errorf("Decode(nil) = %q, %v, want empty", s, err)
	}
}

// The value is data itself, and appending to it does not write behind data.
func TestRawAliases(t *testing.T) {
	reply := []byte("value and the next reply")
	data := reply[:5]
	var b []byte
	var s string
	if err := errors.Join(Raw().Decode(data, &b), Raw().Decode(data, &s)); err != nil {
		t.Fatal(err)
	}
	if &b[0] != &data[0] || unsafe.StringData(s) != &data[0] {
		t.Error("Decode copied")
	}
	if _ = append(b, '!'); string(reply) != "value and the next reply" {
		t.Errorf("an append to the value wrote into %q", reply)
	}
}

func TestRawCopiesOnAppend(t *testing.T) {
	v := []byte("value")
	data, err := Raw().Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	if v[0] = 'X'; string(data) != "value" {
		t.Errorf("a change of the value shows in %q", data)
	}
}

func TestRawRefusesOtherTypes(t *testing.T) {
	for _, into := range []any{new(int), new(any), new([]string), new([4]byte), new(record), new(*string)} {
		err := Raw().Decode([]byte("x"), into)
		if name := reflect.TypeOf(into).Elem().String(); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("Decode into %T = %v, want ErrUnsupported that names %s", into, err, name)
		}
	}
}
