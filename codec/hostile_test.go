package codec

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// stamped has both a time and maps: the pair that lets a timestamp be mistaken.
type stamped struct {
	T time.Time
	M map[string]any
	S map[string]string
	I map[int]int
}

// handed passes its raw bytes to a plain decoder, as many types do.
type handed struct{ m map[string]any }

func (h *handed) UnmarshalMsgpack(b []byte) error { return msgpack.Unmarshal(b, &h.m) }

type stampedHanded struct {
	T time.Time
	H handed
}

// field returns the map {"T": <timestamp>, name: <value>}.
func field(name, value string) string {
	return "\x82\xa1T\xd6\xff\x00\x00\x00\x00\xa1" + name + value
}

// fieldAndMore returns field with one more field behind it, an unknown one.
func fieldAndMore(name, value string) string {
	return "\x83" + field(name, value)[1:] + "\xa1?\xc0"
}

const (
	// A timestamp of 2,000,000,000 s and 939,524,095 ns, well-formed; as a map, it
	// has 4,294,967,295 entries.
	stampBomb = "\xd7\xff\xdf\xff\xff\xff\xff\x00\x00\x00"
	// The same in four bytes and a map of 65,535 entries.
	smallStampBomb = "\xd6\xff\xde\xff\xff\x00"
	longStampBomb  = "\xc7\x0c\xff\xdf\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00"
	// As a map these two are nil and empty. Whoever reads on in the body finds the
	// field M there, a map of 4,294,967,295 entries.
	nilStampBomb   = "\xd7\xff\xc0\xa1M\xdf\xff\xff\xff\xff"
	emptyStampBomb = "\xd7\xff\x80\xa1M\xdf\xff\xff\xff\xff"
)

// hostile holds the bombs known. Without the check those marked fatal kill the
// process, and no recover helps.
var hostile = []struct {
	name, data string
	into       any // beside the usual types
}{
	{name: "nothing"},
	{name: "array of 4 G (fatal)", data: "\xdd\xff\xff\xff\xff", into: new([]int64)},
	{name: "array of 2 G", data: "\xdd\x7f\xff\xff\xff"},
	{name: "array of 64 K", data: "\xdc\xff\xff"},
	{name: "map of 4 G (fatal)", data: "\xdf\xff\xff\xff\xff", into: new(map[string]any)},
	{name: "map of 2 G, twice that overflows 32 bits", data: "\xdf\x80\x00\x00\x00"},
	{name: "map of 64 K", data: "\xde\xff\xff"},
	{name: "string of 4 G", data: "\xdb\xff\xff\xff\xff"},
	{name: "string of 2 G", data: "\xdb\x7f\xff\xff\xff"},
	{name: "bytes of 4 G (fatal)", data: "\xc6\xff\xff\xff\xff", into: new([]byte)},
	{name: "bytes of 64 K", data: "\xc5\xff\xff"},
	{name: "string of 31, none there", data: "\xbf"},
	{name: "string length cut", data: "\xdb\xff"},
	{name: "array length cut", data: "\xdd\x00\x00"},
	{name: "number cut", data: "\xcf\x00\x00"},
	{name: "map with a key and no value", data: "\x81\xa1T"},
	{name: "array in an array that both claim the rest", data: "\xdc\x00\x08\xdc\x00\x08\x00\x00\x00\x00\x00\x00\x00"},
	{name: "one level of array too deep", data: strings.Repeat("\x91", maxDepth+1) + "\xc0"},
	{name: "one level of map too deep", data: strings.Repeat("\x81\xa0", maxDepth+1) + "\xc0"},
	{name: "2 MB of arrays (fatal)", data: strings.Repeat("\x91", 2<<20) + "\xc0"},
	{name: "2 MB of maps (fatal)", data: strings.Repeat("\x81\xa0", 1<<20) + "\xc0"},
	{name: "2 MB of open arrays", data: strings.Repeat("\x9f", 2<<20)},
	{name: "2 MB of unknown field (fatal)", data: "\x81\xa1?" + strings.Repeat("\x91", 2<<20) + "\xc0"},
	{name: "too many nils", data: "\xdd\x00\x10\x00\x01" + strings.Repeat("\xc0", maxElements+1), into: new([]record)},
	{name: "too many empty maps", data: "\xdd\x00\x10\x00\x01" + strings.Repeat("\x80", maxElements+1), into: new([]*record)},
	{name: "too many pairs", data: "\xdf\x00\x08\x00\x01" + strings.Repeat("\x00\x00", maxElements/2+1), into: new(map[int]int)},
	{name: "too many in small arrays", data: "\xdd\x00\x01\x00\x01" + strings.Repeat("\x9f"+strings.Repeat("\xc0", 15), 1<<16+1), into: new(any)},
	{name: "byte after the value", data: "\x80\x00"},
	{name: "value after the value", data: "\xc0\xc0"},
	{name: "reserved code", data: "\xc1"},
	{name: "reserved code in a map", data: "\x81\xa1?\xc1"},
	{name: "extension in place of a map (fatal)", data: "\xc7\x00\x00\xdf\xff\xff\xff\xff", into: new(map[string]any)},
	{name: "extension around a map (fatal)", data: "\xc7\x05\x01\xdf\xff\xff\xff\xff", into: new(map[string]any)},
	{name: "extension of 4 G", data: "\xc9\xff\xff\xff\xff\x01"},
	{name: "extension in an unknown field", data: "\x81\xa1?\xd4\x01\x00"},
	{name: "interned string", data: "\xd4\x80\x00"},
	{name: "time of NodeJS", data: "\xd7\x0d\x00\x00\x00\x00\x00\x00\x00\x00"},
	{name: "time of msgp", data: "\xc7\x0c\x05" + strings.Repeat("\x00", 12)},
	{name: "timestamp of one byte", data: "\xd4\xff\x00"},
	{name: "timestamp of sixteen bytes", data: "\xd8\xff" + strings.Repeat("\x00", 16)},
	{name: "timestamp of eleven bytes", data: "\xc7\x0b\xff" + strings.Repeat("\x00", 11)},
	{name: "timestamp with a wide length", data: "\xc8\x00\x0c\xff" + strings.Repeat("\x00", 12)},
	{name: "timestamp cut", data: "\xd7\xff\x00\x00\x00"},
	{name: "timestamp head cut", data: "\xc7\x0c"},
	{name: "timestamp as a map (fatal)", data: field("M", stampBomb)},
	{name: "long timestamp as a map (fatal)", data: field("M", longStampBomb)},
	{name: "timestamp as a map of strings", data: field("S", stampBomb)},
	{name: "timestamp as a map of numbers", data: field("I", stampBomb)},
	{name: "small timestamp as a map", data: field("M", smallStampBomb)},
	{name: "timestamp as a nil map (fatal)", data: fieldAndMore("S", nilStampBomb), into: new(stamped)},
	{name: "timestamp as an empty map (fatal)", data: fieldAndMore("S", emptyStampBomb), into: new(stamped)},
	{name: "timestamp as raw bytes (fatal)", data: field("H", stampBomb), into: new(stampedHanded)},
	{name: "nil as a time, which panics", data: "\x81\xa1T\xc0", into: new(stamped)},
	{name: "key that is an array, which panics", data: "\x81\x90\xc0", into: new(map[any]any)},
	{name: "key that is a map, which panics", data: "\x81\x80\xc0", into: new(map[any]any)},
	{name: "key that is bytes, which panics", data: "\x81\xc4\x00\xc0", into: new(map[any]any)},
	{name: "number for a Stringer, which panics", data: "\x01", into: new(fmt.Stringer)},
	{name: "field twice, which panics", data: "\x82\xa3Any\x01\xa3Any\x02", into: new(record)},
}

// Every bomb is an error in every type that it was made for, and in those that
// must refuse it anyway, with next to no memory spent.
func TestHostile(t *testing.T) {
	for _, tc := range hostile {
		t.Run(tc.name, func(t *testing.T) {
			types := []any{new(any), new(stamped), new(record), new([]string), new(msgpack.RawMessage), new(generated), new(counted)}
			if tc.into != nil {
				types = []any{tc.into}
			}
			if strings.HasPrefix(tc.data, "\x82\xa1T") && tc.into == nil {
				types = []any{new(stamped)} // nothing is wrong with it in the others
			}
			for _, into := range types {
				if _, ok := into.(*generated); ok && tc.name == "time of msgp" {
					continue
				}
				var err error
				spent := allocated(func() { err = Msgpack().Decode([]byte(tc.data), into) })
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("Decode into %T = %v, want ErrMalformed", into, err)
				}
				if most := uint64(len(tc.data)) + 256<<10; spent > most {
					t.Errorf("Decode into %T allocated %d bytes, want at most %d", into, spent, most)
				}
				if v := reflect.ValueOf(into).Elem(); !v.IsZero() {
					t.Errorf("Decode into %T left something in it", into)
				}
			}
		})
	}
}

// allocated returns the bytes that f allocates. Others may add to it, never take away.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// At the limits memory stays in proportion: the worst that a type of this
// package's tests can make of one element is a record, or a map with one entry.
func TestWorstCaseIsBounded(t *testing.T) {
	const worst = 1024
	for name, tc := range map[string]struct {
		data string
		into any
	}{
		"records": {"\xdd\x00\x10\x00\x00" + strings.Repeat("\xc0", maxElements), new([]record)},
		"maps":    {"\xdd\x00\x02\x00\x00" + strings.Repeat("\x81\xa0\x80", 1<<17), new(any)},
	} {
		var err error
		spent := allocated(func() { err = Msgpack().Decode([]byte(tc.data), tc.into) })
		if err != nil || spent > worst*maxElements {
			t.Errorf("%s: %d bytes for %d, %v", name, spent, len(tc.data), err)
		}
	}
}
