package codec

import (
	"encoding"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// A shape is what the codec must know of a Go type before it touches bytes.
// Pointers to a type share its shape.
type shape struct {
	msgp      bool // codes itself with MarshalMsg and UnmarshalMsg
	times     bool // something in it can hold a time.Time
	own       bool // something in it decodes msgpack by methods of its own
	byAddress bool // something in it encodes by a method with a pointer receiver
}

var shapes sync.Map // of reflect.Type to *shape

// A lastShape remembers the shape of the type met last, which saves the look-up:
// a cache has values of one type.
type lastShape struct {
	of reflect.Type
	*shape
}

func (l *lastShape) shapeOf(t reflect.Type) *shape {
	if l.of != t {
		*l = lastShape{t, shapeOf(t)}
	}
	return l.shape
}

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	base := t
	for base.Kind() == reflect.Pointer {
		base = base.Elem()
	}
	p := reflect.PointerTo(base)
	s := &shape{msgp: p.Implements(marshalerType) && p.Implements(unmarshalerType)}
	if seen := make(map[reflect.Type]bool); s.msgp {
		s.walkParts(base, seen) // no other methods of it count
	} else {
		s.walk(base, seen)
	}
	shapes.Store(t, s)
	return s
}

// walk adds what t can hold. It chooses as msgpack does between a type's methods
// and its parts; where it cannot know it assumes more.
func (s *shape) walk(t reflect.Type, seen map[reflect.Type]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	for _, m := range encoders {
		s.byAddress = s.byAddress || !t.Implements(m) && has(t, m)
	}
	switch {
	case t == timeType, t.Kind() == reflect.Interface:
		s.times = true
	case t == rawMessageType:
		s.own = true
	case has(t, customDecoderType):
		s.times, s.own = true, true
	case has(t, rawDecoderType):
		s.own = true
	case has(t, binaryDecoderType), has(t, textDecoderType):
	default:
		s.walkParts(t, seen)
	}
}

func (s *shape) walkParts(t reflect.Type, seen map[reflect.Type]bool) {
	switch t.Kind() {
	case reflect.Map:
		s.walk(t.Key(), seen)
		s.walk(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		s.walk(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if name, _, _ := strings.Cut(t.Field(i).Tag.Get("msgpack"), ","); name != "-" {
				s.walk(t.Field(i).Type, seen)
			}
		}
	}
}

// has says whether msgpack would use method set m for t: by value or by address.
func has(t, m reflect.Type) bool {
	return t.Implements(m) || t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(m)
}

var (
	timeType        = reflect.TypeFor[time.Time]()
	marshalerType   = reflect.TypeFor[marshaler]()
	unmarshalerType = reflect.TypeFor[unmarshaler]()

	customDecoderType = reflect.TypeFor[msgpack.CustomDecoder]()
	rawMessageType    = reflect.TypeFor[msgpack.RawMessage]()
	rawDecoderType    = reflect.TypeFor[msgpack.Unmarshaler]()
	binaryDecoderType = reflect.TypeFor[encoding.BinaryUnmarshaler]()
	textDecoderType   = reflect.TypeFor[encoding.TextUnmarshaler]()

	encoders = []reflect.Type{
		reflect.TypeFor[msgpack.CustomEncoder](),
		reflect.TypeFor[msgpack.Marshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](),
	}
)
