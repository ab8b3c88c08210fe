package codec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// Msgpack returns the default codec, on github.com/vmihailenco/msgpack/v5. The
// package comment says how it treats Go types and hostile bytes. A decoded value
// does not share memory with data.
func Msgpack() Codec { return msgpackCodec{} }

type msgpackCodec struct{}

func (msgpackCodec) ID() byte { return idMsgpack }

func (msgpackCodec) Append(dst []byte, v any) ([]byte, error) {
	c := coders.Get().(*coder)
	out, err := c.encode(dst, v)
	c.release(len(out)-len(dst), err)
	if err != nil {
		return dst, fmt.Errorf("%w: msgpack of %T: %w", ErrUnsupported, v, err)
	}
	return out, nil
}

func (msgpackCodec) Decode(data []byte, into any) error {
	value, err := target(into)
	if err != nil {
		return err
	}
	c := coders.Get().(*coder)
	err = c.decode(data, into)
	c.release(len(data), err)
	if err != nil {
		value.SetZero()
		return fmt.Errorf("%w: msgpack into %T: %w", ErrMalformed, into, err)
	}
	return nil
}

// A coder is what one call to Append or Decode needs, pooled.
type coder struct {
	checker
	last    lastShape
	w       appender
	plain   bytes.Reader
	guarded reader           // in place of plain, where a timestamp needs it
	enc     *msgpack.Encoder // writes to w
	dec     *msgpack.Decoder // reads from plain or guarded
}

var coders = sync.Pool{New: func() any {
	return &coder{enc: msgpack.NewEncoder(nil), dec: msgpack.NewDecoder(nil)}
}}

// maxPooled bounds the memory of an idle coder: msgpack keeps a scratch buffer as
// long as the longest string or byte array it met, and shows it to nobody.
const maxPooled = 64 << 10

// release drops all references to the caller's memory and pools the coder, unless
// it worked on size bytes beyond maxPooled or failed: after an error a
// msgpack.Decoder may go on recording what it reads, and Reset does not stop it.
func (c *coder) release(size int, err error) {
	c.w.buf, c.guarded.data = nil, nil
	c.plain.Reset(nil)
	if err == nil && size <= maxPooled {
		coders.Put(c)
	}
}

func (c *coder) encode(dst []byte, v any) (out []byte, err error) {
	defer rescue(&err)
	if v == nil {
		return append(dst, msgpcode.Nil), nil
	}
	shape := c.last.shapeOf(reflect.TypeOf(v))
	if shape.msgp {
		out, err = appendMsgp(dst, v)
	} else {
		out, err = c.append(dst, v, shape)
	}
	if err == nil {
		err = c.check(out[len(dst):], shape)
	}
	return out, err
}

func (c *coder) append(dst []byte, v any, shape *shape) ([]byte, error) {
	if shape.byAddress {
		v = addressable(reflect.ValueOf(v)).Interface()
	}
	c.w.buf = dst
	c.enc.Reset(&c.w) // also undoes what a type's EncodeMsgpack set on it
	err := c.enc.Encode(v)
	return c.w.buf, err
}

func (c *coder) decode(data []byte, into any) (err error) {
	defer rescue(&err)
	shape := c.last.shapeOf(reflect.TypeOf(into))
	if err := c.check(data, shape); err != nil {
		return err
	}
	if shape.msgp {
		return decodeMsgp(data, into)
	}
	left, err := c.read(data, into, shape)
	switch {
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	case err == nil && left > 0:
		return errLeftover
	}
	return err
}

// read decodes checked data and returns how many bytes are left of it.
func (c *coder) read(data []byte, into any, shape *shape) (left int, err error) {
	if len(c.timestamps) == 0 {
		c.plain.Reset(data)
		c.dec.Reset(&c.plain)
		err = c.dec.Decode(into)
		return c.plain.Len(), err
	}
	c.guarded.reset(data, c.timestamps, shape.own)
	c.dec.Reset(&c.guarded)
	err = c.dec.Decode(into)
	return c.guarded.len(), err
}

// errLeftover reports a type that stopped reading before the end of its bytes.
var errLeftover = errors.New("the type's own decoding left bytes unread")

// marshaler and unmarshaler are what tinylib/msgp generates. Its wire format is
// the same, without reflection.
type (
	marshaler   interface{ MarshalMsg([]byte) ([]byte, error) }
	unmarshaler interface{ UnmarshalMsg([]byte) ([]byte, error) }
)

func appendMsgp(dst []byte, v any) ([]byte, error) {
	p := addressable(reflect.ValueOf(v))
	for ; !p.IsNil(); p = p.Elem() {
		if p.Type().Elem().Kind() != reflect.Pointer {
			return p.Interface().(marshaler).MarshalMsg(dst)
		}
	}
	return append(dst, msgpcode.Nil), nil
}

func decodeMsgp(data []byte, into any) error {
	if u, ok := into.(unmarshaler); ok {
		return unmarshalMsg(data, u)
	}
	p := reflect.ValueOf(into)
	for p.Type().Elem().Kind() == reflect.Pointer {
		if data[0] == msgpcode.Nil {
			return nil
		}
		p.Elem().Set(reflect.New(p.Type().Elem().Elem()))
		p = p.Elem()
	}
	return unmarshalMsg(data, p.Interface().(unmarshaler))
}

func unmarshalMsg(data []byte, u unmarshaler) error {
	rest, err := u.UnmarshalMsg(data)
	if err == nil && len(rest) > 0 {
		return errLeftover
	}
	return err
}

// addressable returns a pointer to v, or v if it is one: methods with a pointer
// receiver need a value with an address.
func addressable(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Pointer {
		return v
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p
}
