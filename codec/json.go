package codec

import (
	"encoding/json"
	"fmt"
	"sync"
)

// JSON returns a codec on encoding/json, for values that other programs read. It
// writes map keys sorted and HTML characters as they are. A decoded value does
// not share memory with data; data after the value is an error.
//
// Know what JSON loses: numbers in an interface come back as float64, nanosecond
// times keep their zone's offset but not its name, and strings that are not UTF-8
// come back with U+FFFD in place of the odd bytes.
func JSON() Codec { return jsonCodec{} }

type jsonCodec struct{}

func (jsonCodec) ID() byte { return idJSON }

func (jsonCodec) Append(dst []byte, v any) ([]byte, error) {
	out, err := appendJSON(dst, v)
	if err != nil {
		return dst, fmt.Errorf("%w: JSON of %T: %w", ErrUnsupported, v, err)
	}
	return out, nil
}

func (jsonCodec) Decode(data []byte, into any) error {
	value, err := target(into)
	if err != nil {
		return err
	}
	if err := decodeJSON(data, into); err != nil {
		value.SetZero()
		return fmt.Errorf("%w: JSON into %T: %w", ErrMalformed, into, err)
	}
	return nil
}

// A jsonEncoder is a json.Encoder with the appender it writes to, pooled. There is
// no such decoder: a json.Decoder cannot be reset, and buffers what Unmarshal reads
// in place.
type jsonEncoder struct {
	w   appender
	enc *json.Encoder
}

var jsonEncoders = sync.Pool{New: func() any {
	e := new(jsonEncoder)
	e.enc = json.NewEncoder(&e.w)
	e.enc.SetEscapeHTML(false)
	return e
}}

func appendJSON(dst []byte, v any) (out []byte, err error) {
	defer rescue(&err)
	e := jsonEncoders.Get().(*jsonEncoder)
	e.w.buf = dst
	err = e.enc.Encode(v)
	out, e.w.buf = e.w.buf, nil
	jsonEncoders.Put(e)
	if err != nil {
		return dst, err
	}
	return out[:len(out)-1], nil // without the newline that ends a stream's value
}

func decodeJSON(data []byte, into any) (err error) {
	defer rescue(&err)
	return json.Unmarshal(data, into)
}
