package tiered

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// keyMaxLen is the length in bytes of the longest key that Key returns.
	keyMaxLen = 512
	// keyMaxDepth bounds the nesting of a part, so that a cycle is an error
	// and not the end of the process.
	keyMaxDepth = 32
)

// Key builds a record's id from parts. It is injective: different lists of
// parts give different keys, whatever separators a caller's strings hold, and
// equal lists give the same key in every process. Start with the type of the
// record, end with what tells one record from another:
//
//	Key("product", 42)                                          product:42
//	Key("list", map[string]any{"page": 2, "cat": "shoes"})      list:(cat=shoes,page=2)
//
// The parts are joined by colons. A part is written as
//
//	strings, []byte   shoes     or 'shoes where the bare text could be mistaken: for
//	                            a number or a word of this table ('42, 'nil), for
//	                            another form (a first ' or @ or 0x), or if empty (')
//	integers          42        of all types and sizes
//	floats            1.5 2.0   always with a point or an exponent; NaN +Inf -Inf
//	bool, nil         true nil
//	time.Time         @20240501T093000.25Z
//	[n]byte           0x0af3    digests and UUIDs
//	slices, arrays    [a,b]     in their order
//	maps              (k=v,l=w) sorted by the text of the pairs
//	structs           (A=1,B=2) like the map from the names of its fields, exported
//	                            or not, to their values; fields named _ are left out
//	pointers          like what they point to
//
// In a string the bytes % : , = # ( ) [ ] { }, space, control characters and
// bytes that are not UTF-8 become %XX. (No brace is ever written: Redis Cluster
// would take it for a hash tag.)
//
// # Equal parts
//
// What counts is the kind and the value of a part, not its type: 42 is
// int8(42), uint64(42) and a named ID(42), but neither "42" nor 42.0; "a" is
// []byte("a") and a named Category("a"). A time is its instant: location and
// monotonic clock do not count. Floats are compared as float64; 0.0 is -0.0,
// and every NaN is the same. A nil pointer is nil; a nil slice is an empty one,
// a nil map an empty one.
//
// Methods are not called: String and MarshalText may abridge or hide what they
// print (secrets do), and two records would share one key. Pass id.String()
// where the text is wanted.
//
// # Long keys
//
// A key of more than 512 bytes is cut, and # and the SHA-256 (base64url) of the
// whole take the place of its tail: 512 bytes at most. A shorter key never
// holds a #.
//
// # Panics
//
// Like strings.Repeat, Key panics on a mistake of the programmer: a func, a
// chan, a complex number or an unsafe.Pointer among the parts, a time.Time in
// an unexported field (its instant is out of reach), values nested more than 32
// deep (a cycle). The types of the parts are fixed where Key is called, so the
// first call finds it. There is nothing safe to return instead: any other key
// would be some other record's.
func Key(parts ...any) string {
	var room [128]byte
	key := room[:0]
	for i, part := range parts {
		if i > 0 {
			key = append(key, ':')
		}
		key = keyAppend(key, part)
	}
	return keyBounded(key)
}

// keyBounded replaces the tail of a long key by a hash of the whole. The cut is
// never inside a character.
func keyBounded(key []byte) string {
	if len(key) <= keyMaxLen {
		return string(key)
	}
	sum := sha256.Sum256(key)
	cut := keyMaxLen - 1 - base64.RawURLEncoding.EncodedLen(len(sum))
	for !utf8.RuneStart(key[cut]) {
		cut--
	}
	key = append(key[:cut], '#')
	return string(base64.RawURLEncoding.AppendEncode(key, sum[:]))
}

// keyAppend spares the common types the detour over reflection. The rest is
// built on the heap, which lets the buffer of Key stay on the stack.
func keyAppend(dst []byte, part any) []byte {
	switch part := part.(type) {
	case string:
		return keyAppendString(dst, part)
	case int:
		return strconv.AppendInt(dst, int64(part), 10)
	case int64:
		return strconv.AppendInt(dst, part, 10)
	}
	return append(dst, keyAppendValue(nil, reflect.ValueOf(part), keyMaxDepth)...)
}

// keyAppendValue appends v, which may nest depth levels.
func keyAppendValue(dst []byte, v reflect.Value, depth int) []byte {
	if depth == 0 {
		panic("tiered.Key: parts are nested too deeply or in a cycle")
	}
	switch v.Kind() {
	case reflect.Invalid:
		return append(dst, "nil"...)
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(dst, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.AppendUint(dst, v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		return keyAppendFloat(dst, v.Float())
	case reflect.String:
		return keyAppendString(dst, v.String())
	case reflect.Slice, reflect.Array:
		return keyAppendList(dst, v, depth)
	case reflect.Map:
		return keyAppendMap(dst, v, depth)
	case reflect.Struct:
		return keyAppendStruct(dst, v, depth)
	case reflect.Pointer:
		return keyAppendValue(dst, v.Elem(), depth-1) // Invalid if v is nil
	case reflect.Interface:
		return keyAppendValue(dst, v.Elem(), depth)
	}
	panic("tiered.Key: unsupported type " + v.Type().String())
}

// keyAppendFloat never writes what could be an integer.
func keyAppendFloat(dst []byte, f float64) []byte {
	if f == 0 {
		f = 0 // -0
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'g', -1, 64)
	if math.IsNaN(f) || math.IsInf(f, 0) || slices.ContainsFunc(dst[start:], keyIsFraction) {
		return dst
	}
	return append(dst, ".0"...)
}

func keyIsFraction(b byte) bool { return b == '.' || b == 'e' }

func keyAppendTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '@')
	return t.UTC().AppendFormat(dst, "20060102T150405.999999999Z")
}

func keyAppendList(dst []byte, v reflect.Value, depth int) []byte {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return keyAppendBytes(dst, v)
	}
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = keyAppendValue(dst, v.Index(i), depth-1)
	}
	return append(dst, ']')
}

// keyAppendBytes appends a slice of bytes as text and an array of bytes, which
// as a rule is no text, in hexadecimal.
func keyAppendBytes(dst []byte, v reflect.Value) []byte {
	if v.Kind() == reflect.Slice {
		return keyAppendString(dst, string(v.Bytes()))
	}
	dst = append(dst, "0x"...)
	for i := range v.Len() {
		dst = hex.AppendEncode(dst, []byte{byte(v.Index(i).Uint())})
	}
	return dst
}

func keyAppendMap(dst []byte, v reflect.Value, depth int) []byte {
	pairs := make([]string, 0, v.Len())
	for at := v.MapRange(); at.Next(); {
		pair := append(keyAppendValue(nil, at.Key(), depth-1), '=')
		pairs = append(pairs, string(keyAppendValue(pair, at.Value(), depth-1)))
	}
	return keyAppendPairs(dst, pairs)
}

var keyTimeType = reflect.TypeFor[time.Time]()

// keyAppendStruct appends a struct, and as the one exception a time.Time or a
// type made of it.
func keyAppendStruct(dst []byte, v reflect.Value, depth int) []byte {
	t := v.Type()
	if t.ConvertibleTo(keyTimeType) {
		if !v.CanInterface() {
			panic("tiered.Key: " + t.String() + " in an unexported field")
		}
		return keyAppendTime(dst, v.Convert(keyTimeType).Interface().(time.Time))
	}
	pairs := make([]string, 0, t.NumField())
	for i := range t.NumField() {
		if name := t.Field(i).Name; name != "_" {
			pair := append(keyAppendString(nil, name), '=')
			pairs = append(pairs, string(keyAppendValue(pair, v.Field(i), depth-1)))
		}
	}
	return keyAppendPairs(dst, pairs)
}

func keyAppendPairs(dst []byte, pairs []string) []byte {
	slices.Sort(pairs)
	dst = append(dst, '(')
	dst = append(dst, strings.Join(pairs, ",")...)
	return append(dst, ')')
}

// keyAppendString appends s so that nothing but a string gives these bytes, and
// none of them ends the string early.
func keyAppendString(dst []byte, s string) []byte {
	if keyIsMistakable(s) {
		dst = append(dst, '\'')
	}
	for i := 0; i < len(s); {
		size := 1
		if s[i] >= utf8.RuneSelf {
			_, size = utf8.DecodeRuneInString(s[i:])
		}
		if size == 1 && keyEscaped[s[i]] {
			dst = append(dst, '%', keyHex[s[i]>>4], keyHex[s[i]&15])
		} else {
			dst = append(dst, s[i:i+size]...)
		}
		i += size
	}
	return dst
}

const keyHex = "0123456789ABCDEF"

// keyEscaped tells which bytes are written as %XX when they stand alone, which
// a byte from 0x80 on does only where s is not UTF-8.
var keyEscaped = func() (escaped [256]bool) {
	for b := range escaped {
		escaped[b] = b <= ' ' || b >= 0x7f || strings.IndexByte("%:,=#()[]{}", byte(b)) >= 0
	}
	return escaped
}()

// keyIsMistakable tells whether s, written bare, could be read as the form of
// another kind of part.
func keyIsMistakable(s string) bool {
	switch s {
	case "", "nil", "true", "false", "NaN", "+Inf", "-Inf":
		return true
	}
	switch c := s[0]; {
	case c == '\'' || c == '@':
		return true
	case c == '+' || c == '-' || '0' <= c && c <= '9':
		return strings.HasPrefix(s, "0x") || strings.Trim(s, "0123456789+-.e") == ""
	}
	return false
}
