package codec

import (
	"bytes"
	"errors"
	"reflect"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// FuzzMsgpackDecode decodes any bytes into types that reach every part of the
// decoder. Nothing may panic; what is decoded must be cheap, and must survive being
// encoded and decoded again. The seeds in testdata are the bombs of TestHostile.
func FuzzMsgpackDecode(f *testing.F) {
	for _, v := range []any{full(), []record{{}, full()}, map[string]any{"t": time.Unix(1, 1)}, stamped{}, &generated{Name: "g"}, counted{1, 2}} {
		data, err := Msgpack().Append(nil, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	types := []reflect.Type{
		reflect.TypeFor[any](),
		reflect.TypeFor[record](),
		reflect.TypeFor[[]record](),
		reflect.TypeFor[stamped](),
		reflect.TypeFor[stampedHanded](),
		reflect.TypeFor[map[string]any](),
		reflect.TypeFor[map[any]any](),
		reflect.TypeFor[[]string](),
		reflect.TypeFor[time.Time](),
		reflect.TypeFor[error](),
		reflect.TypeFor[tree](),
		reflect.TypeFor[msgpack.RawMessage](),
		reflect.TypeFor[generated](),
		reflect.TypeFor[counted](),
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, typ := range types {
			v := reflect.New(typ)
			before := heapAllocs()
			err := Msgpack().Decode(data, v.Interface())
			// A record or a map of one entry an element is the worst there is.
			if spent, most := heapAllocs()-before, 4<<20+2048*uint64(len(data)); spent > most {
				t.Fatalf("%v: %d bytes allocated for %x", typ, spent, data)
			}
			if err == nil {
				recode(t, v, data)
			} else if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v: %v of %x", typ, err, data)
			}
		}
	})
}

// recode encodes what v points to and decodes it again.
func recode(t *testing.T, v reflect.Value, from []byte) {
	if raw, ok := v.Interface().(*msgpack.RawMessage); ok && *raw == nil {
		return // msgpack decodes nil to it, and encodes it as no bytes at all
	}
	again, err := Msgpack().Append(nil, v.Interface())
	if errors.Is(err, errDepth) || errors.Is(err, errElements) || errors.Is(err, errExt) {
		return // a value may need more than the data that left half of it zero
	}
	if err != nil {
		t.Fatalf("%T: encoding what %x holds: %v", v.Interface(), from, err)
	}
	got := reflect.New(v.Type().Elem())
	if err := Msgpack().Decode(again, got.Interface()); err != nil {
		t.Fatalf("%T: Append wrote %x, of which Decode says %v", v.Interface(), again, err)
	}
	twice, err := Msgpack().Append(nil, got.Interface())
	if err != nil {
		t.Fatalf("%T: encoding it again: %v", v.Interface(), err)
	}
	// Equal values have equal bytes, in some order: that of maps is random. Unlike
	// reflect.DeepEqual this takes a NaN for itself.
	slices.Sort(again)
	slices.Sort(twice)
	if !bytes.Equal(again, twice) {
		t.Fatalf("%T: what %x holds changed when encoded and decoded", v.Interface(), from)
	}
}

func heapAllocs() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
