package tiercache_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tiercache/tiercache/codec"
)

// BenchmarkCodec: Product in and out of bytes. The floor is msgpack as everybody
// calls it; ours checks the bytes before it decodes them. The variant msgp codes by
// methods of the type.
func BenchmarkCodec(b *testing.B) {
	want := newProduct("product:1")
	for _, c := range []struct {
		name   string
		append func(dst []byte) ([]byte, error)
		decode func(data []byte, into *Product) error
	}{
		{"lib=msgpack", func([]byte) ([]byte, error) { return msgpack.Marshal(want) },
			func(data []byte, into *Product) error { return msgpack.Unmarshal(data, into) }},
		{"lib=json", func([]byte) ([]byte, error) { return json.Marshal(want) },
			func(data []byte, into *Product) error { return json.Unmarshal(data, into) }},
		{"lib=tiercache", func(dst []byte) ([]byte, error) { return codec.Msgpack().Append(dst, want) },
			func(data []byte, into *Product) error { return codec.Msgpack().Decode(data, into) }},
		{"lib=tiercache-msgp", func(dst []byte) ([]byte, error) { return codec.Msgpack().Append(dst, (*codedProduct)(want)) },
			func(data []byte, into *Product) error { return codec.Msgpack().Decode(data, (*codedProduct)(into)) }},
		{"lib=tiercache-json", func(dst []byte) ([]byte, error) { return codec.JSON().Append(dst, want) },
			func(data []byte, into *Product) error { return codec.JSON().Decode(data, into) }},
	} {
		data, err := c.append(nil)
		if err != nil {
			b.Fatal(err)
		}
		var back Product
		if err := c.decode(data, &back); err != nil {
			b.Fatal(err)
		}
		if back.Updated = back.Updated.UTC(); !reflect.DeepEqual(&back, want) {
			b.Fatalf("%s: %+v came back as %+v", c.name, want, back)
		}
		buf := make([]byte, 0, 2*len(data))
		b.Run(c.name+"/op=encode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.append(buf[:0]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(data)), "bytes")
		})
		b.Run(c.name+"/op=decode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var p Product
				if err := c.decode(data, &p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
