package codec

import (
	"fmt"
	"reflect"
	"unsafe"
)

// Raw returns a codec that stores bytes as they are, for values that are encoded
// already: pages, images, tokens. V is []byte or string, or a type made of one of
// them such as json.RawMessage; of any other V it says ErrUnsupported.
//
// Decode copies nothing: the value is data itself, without room to append in
// place. Nil and empty are stored alike and come back empty, not nil.
func Raw() Codec { return rawCodec{} }

type rawCodec struct{}

func (rawCodec) ID() byte { return idRaw }

func (rawCodec) Append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return append(dst, v...), nil
	case string:
		return append(dst, v...), nil
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer {
		rv = rv.Elem() // of a nil pointer: not valid, and of no kind below
	}
	switch {
	case isString(rv):
		return append(dst, rv.String()...), nil
	case isBytes(rv):
		return append(dst, rv.Bytes()...), nil
	}
	return dst, fmt.Errorf("%w: Raw takes []byte and string, not %T: choose Msgpack or JSON for it", ErrUnsupported, v)
}

func (rawCodec) Decode(data []byte, into any) error {
	data = data[:len(data):len(data)] // an append by the value's owner must not write behind it
	if data == nil {
		data = []byte{}
	}
	value, err := target(into)
	switch {
	case err != nil:
		return err
	case isString(value):
		value.SetString(unsafe.String(unsafe.SliceData(data), len(data))) // sound: nobody modifies data after Decode
	case isBytes(value):
		value.SetBytes(data)
	default:
		return fmt.Errorf("%w: Raw gives []byte and string, not %s: choose Msgpack or JSON for it", ErrUnsupported, value.Type())
	}
	return nil
}

func isString(v reflect.Value) bool { return v.Kind() == reflect.String }

func isBytes(v reflect.Value) bool {
	return v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8
}
