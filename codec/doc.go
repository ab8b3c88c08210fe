// Package codec turns cached values into bytes and back.
//
// Three codecs are built in. [Msgpack] is the default: compact, fast, and safe
// to point at bytes nobody vouches for. [JSON] is for values that other
// programs read. [Raw] stores a []byte or a string as it is.
//
// A cache reads its second level from a server that other programs, older
// versions and curious people write to, so all three take any bytes at all: they
// give a value or an error, and never a dead process.
//
// # Hostile bytes
//
// The msgpack decoder underneath allocates what a header declares before it
// reads what follows, and recurses with the nesting: five bytes ask it for
// 32 GiB, two megabytes of brackets overflow its stack, and neither can be
// recovered from. So Msgpack first walks the bytes without recursion and without
// allocation, and refuses
//
//   - a length or a count beyond the bytes that are left,
//   - more than 256 levels of nesting,
//   - more than 1,048,576 elements, keys and values counted each,
//   - bytes after the value, and a value cut short,
//   - extension types, save a timestamp where the type can hold a [time.Time].
//
// What passes costs memory in proportion to its length: at most its elements
// times the size of the largest thing in V that one element can make.
// Panics of the decoder or of a type's own methods become errors. A type's own
// UnmarshalMsg is called after the same walk, so this holds for what it makes of
// lengths and counts in data, which is all that generated code does.
//
// Append applies the same walk to what it wrote: what the walk refuses is refused
// while somebody still holds the value, and not by every later reader.
//
// # What msgpack does with Go types
//
//   - Fields are named by the tag `msgpack:"name"`, else by their Go name.
//     Unknown fields are skipped and missing ones are left zero.
//   - A type T whose *T has MarshalMsg and UnmarshalMsg, as tinylib/msgp
//     generates them, is coded by those methods when it is the whole value, at
//     a third of the time to encode and half of that to decode. Inside another
//     value it is not: generate methods for the outer type. Whether a type has
//     them is found out once.
//   - A [time.Time] keeps its instant to the nanosecond. Its zone and monotonic
//     reading are lost: it comes back in the local zone, a zero time in UTC.
//   - An interface field counts as one that can hold a time.Time. In it, maps and
//     structs come back as map[string]any, slices as []any, and an int in the
//     smallest type its encoding has; sized numbers come back as they were. A map
//     in it whose keys are not strings encodes, but never decodes.
//   - Nil and empty slices and maps are told apart.
//   - Maps are written in Go's random order: equal values may differ as bytes.
//     Compare values, not encodings. JSON sorts its keys.
//
// # Caveats
//
// Types registered with msgpack.RegisterExt and repeated strings in fields
// tagged `intern` encode as extension types and are refused by Append.
//
// A type with methods of its own, such as UnmarshalMsgpack, DecodeMsgpack or
// UnmarshalBinary, is handed structurally sound bytes; what it does with the
// inside of a string is its own business. The raw bytes that UnmarshalMsgpack and
// msgpack.RawMessage get hold no timestamp: a plain decoder run over them could
// mistake one for the header of a map, so Decode refuses such data.
// Decoders that were registered for a type with msgpack.Register are not known to
// Decode: what they make of a timestamp is their own business as well.
//
// A value that contains itself cannot be encoded; msgpack does not notice and
// overflows the stack. JSON reports it.
//
// A field that embeds a pointer to a struct makes msgpack start one goroutine
// for that struct type, which stays for the life of the process.
package codec
