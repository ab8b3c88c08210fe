package codec

import (
	"fmt"
	"reflect"
)

// A Codec turns values into bytes and back. It is safe for concurrent use.
type Codec interface {
	// ID names the encoding. It is stored with every value, so that a reader
	// with another codec sees a foreign value and not a malformed one.
	// IDs below 128 are for this package; your own take 128 to 255.
	ID() byte

	// Append appends the encoding of v to dst and returns the extended slice.
	// v is the value or a pointer to it, with the same encoding; the pointer
	// saves a copy. On error dst is returned as it was, though the memory
	// behind its length may have been written to. Both slices are the caller's: a
	// codec keeps neither, for they are overwritten by the next value.
	//
	// Errors: ErrUnsupported.
	Append(dst []byte, v any) ([]byte, error)

	// Decode sets the value that into points to from data. Nothing of the old
	// value is left, and on error the value is zero.
	//
	// The caller does not modify or reuse data after Decode, so a codec may
	// keep it as part of the value; the built-in ones say whether they do.
	//
	// Errors: ErrMalformed; ErrUnsupported if into cannot be decoded into.
	Decode(data []byte, into any) error
}

// IDs of the built-in codecs. They are stored: never renumber.
const (
	idMsgpack byte = 1
	idJSON    byte = 2
	idRaw     byte = 3
)

const (
	// ErrMalformed reports bytes that do not hold a value of the wanted type:
	// damaged, hostile, or written for another type. Reading again gives the
	// same: take it for a miss and write the value anew.
	ErrMalformed constError = "codec: malformed data"

	// ErrUnsupported reports a value or a type that the codec cannot carry.
	// Retrying is of no use: change the type or choose another codec.
	ErrUnsupported constError = "codec: unsupported value"
)

type constError string

func (e constError) Error() string { return string(e) }

// target returns the value into points to, set to zero: the decoders underneath
// merge into what they find.
func target(into any) (reflect.Value, error) {
	p := reflect.ValueOf(into)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return reflect.Value{}, fmt.Errorf("%w: Decode needs a non-nil pointer, not %T", ErrUnsupported, into)
	}
	value := p.Elem()
	value.SetZero()
	return value, nil
}

// rescue turns a panic of the code underneath into an error. Defer it directly.
func rescue(err *error) {
	switch p := recover().(type) {
	case nil:
	case error:
		*err = fmt.Errorf("panic: %w", p)
	default:
		*err = fmt.Errorf("panic: %v", p)
	}
}

// appender collects what an encoder writes, straight into the caller's slice.
type appender struct{ buf []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.buf = append(a.buf, p...)
	return len(p), nil
}

func (a *appender) WriteByte(c byte) error {
	a.buf = append(a.buf, c)
	return nil
}
