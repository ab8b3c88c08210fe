package tiered_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tiercache/tiercache/tiered"
	"pgregory.net/rapid"
)

// Injectivity is shown twice over: keys are compared with a model of what makes
// parts equal, and a reader that knows nothing but the documented forms finds
// the model again in the key.

func TestKeyIsInjective(t *testing.T) {
	source := rapid.SliceOfN(rapid.Byte(), 0, 24)
	rapid.Check(t, func(t *rapid.T) {
		checkKeys(t, source.Draw(t, "a"), source.Draw(t, "b"), source.Draw(t, "form"))
	})
}

// keyWords are what texts are made of that could be mistaken for something else.
var keyWords = []string{
	"a", "", ":", "%", "%3A", "'", "42", "-", "1.0", "nil", "true", "NaN", "+Inf", "@20240501T100000Z", "0x",
	"00", "[", "]", "(", ")", ",", "=", "#", "{", "}", " ", "e", "靴", "Page", strings.Repeat("long", 120),
	"-Inf", "false", "1e+21", "\xff",
}

// Every text of up to three words is read back as it was, alone, between other
// parts and inside a list.
func TestKeyOfConfusingTexts(t *testing.T) {
	for _, a := range keyWords {
		for _, b := range keyWords {
			for _, c := range keyWords {
				text := a + b + c
				checkReads(t, tiered.Key(text), []any{text})
				checkReads(t, tiered.Key(a, text, []string{b, c}), []any{a, text, []any{b, c}})
			}
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Fuzz(func(t *testing.T, a, b, form []byte) { checkKeys(t, a, b, form) })
}

// checkKeys reads two lists of parts from a and b. The bytes of form choose the
// Go types that represent them, which must not matter.
func checkKeys(t interface{ Fatalf(string, ...any) }, a, b, form []byte) {
	partsA, modelA := keyParts(a, nil)
	partsB, modelB := keyParts(b, form)
	keyA, keyB := tiered.Key(partsA...), tiered.Key(partsB...)
	if equal := reflect.DeepEqual(modelA, modelB); (keyA == keyB) != equal {
		t.Fatalf("Key(%#v) = %s\nKey(%#v) = %s\nparts equal: %v", partsA, keyA, partsB, keyB, equal)
	}
	other, _ := keyParts(a, form)
	if key := tiered.Key(other...); key != keyA {
		t.Fatalf("equal parts\n%#v\n%#v\nhave the keys\n%s\n%s", partsA, other, keyA, key)
	}
	for _, key := range []string{keyA, keyB} {
		if len(key) > 512 || !utf8.ValidString(key) || strings.ContainsAny(key, "{}") {
			t.Fatalf("bad key %q", key)
		}
	}
	checkReads(t, keyA, modelA)
	checkReads(t, keyB, modelB)
}

// checkReads reads key back, unless a hash has the place of its tail.
func checkReads(t interface{ Fatalf(string, ...any) }, key string, model []any) {
	if strings.Contains(key, "#") {
		return
	}
	if read := readKey(key); !reflect.DeepEqual(read, model) {
		t.Fatalf("%s reads as %#v, want %#v", key, read, model)
	}
}

// Models of parts, equal by reflect.DeepEqual: nil, bool, string, []any and
// these.
type (
	keyInt   string // decimal
	keyFloat uint64 // bits
	keyTime  struct{ sec, nsec int64 }
	keyBytes string // of an array
	keyPair  struct{ key, value any }
	keyMap   []keyPair // sorted
)

func newKeyMap(pairs ...keyPair) keyMap {
	m := append(keyMap{}, pairs...)
	slices.SortFunc(m, func(a, b keyPair) int {
		return strings.Compare(fmt.Sprintf("%#v", a), fmt.Sprintf("%#v", b))
	})
	return m
}

func newKeyFloat(f float64) keyFloat {
	switch {
	case math.IsNaN(f):
		f = math.NaN()
	case f == 0:
		f = 0
	}
	return keyFloat(math.Float64bits(f))
}

// keySource reads values from bytes; at their end every byte is 0.
type keySource struct{ values, forms []byte }

func nextKeyByte(b *[]byte) (c byte) {
	if len(*b) > 0 {
		c, *b = (*b)[0], (*b)[1:]
	}
	return c
}

func (s *keySource) pick(n int) int { return int(nextKeyByte(&s.values)) % n }
func (s *keySource) form(n int) int { return int(nextKeyByte(&s.forms)) % n }
func (s *keySource) word() (n int64) {
	var b [8]byte
	for i := range 1 + s.pick(8) {
		b[i] = nextKeyByte(&s.values)
	}
	return int64(binary.LittleEndian.Uint64(b[:]))
}

func keyParts(values, forms []byte) (parts, model []any) {
	s := &keySource{values, forms}
	parts, model = []any{}, []any{}
	for len(s.values) > 0 {
		part, m := s.value(3)
		parts, model = append(parts, part), append(model, m)
	}
	return parts, model
}

// value returns a part and its model.
func (s *keySource) value(depth int) (part, model any) {
	if depth > 0 {
		switch s.pick(8) {
		case 0:
			return s.list(depth - 1)
		case 1:
			return s.pairs(depth - 1)
		case 2:
			return s.record(depth - 1)
		}
	}
	part, model = s.scalar()
	if s.form(4) == 1 && part != nil {
		p := reflect.New(reflect.TypeOf(part))
		p.Elem().Set(reflect.ValueOf(part))
		part = p.Interface()
	}
	return part, model
}

func (s *keySource) scalar() (part, model any) {
	switch s.pick(8) {
	case 0:
		return []any{nil, (*string)(nil), (*time.Time)(nil)}[s.form(3)], nil
	case 1:
		b := s.pick(2) == 1
		return b, b
	case 2:
		return s.integer(s.word())
	case 3:
		f := math.Float64frombits(uint64(s.word()))
		return f, newKeyFloat(f)
	case 4:
		f := []float64{0, math.Copysign(0, -1), 1, 42, 1e6, 1e21, -0.5, math.NaN(), math.Inf(1), math.Inf(-1)}[s.pick(10)]
		if s.form(2) == 1 && (f != f || float64(float32(f)) == f) {
			return float32(f), newKeyFloat(f)
		}
		return f, newKeyFloat(f)
	case 5:
		at := time.Unix(s.word(), int64(s.pick(3))*1001).In(time.FixedZone("", s.form(99)*600))
		return at, keyTime{at.Unix(), int64(at.Nanosecond())}
	case 6:
		b := [2]byte{nextKeyByte(&s.values), nextKeyByte(&s.values)}
		return b, keyBytes(b[:])
	}
	text := s.text()
	return []any{text, []byte(text), keyCategory(text)}[s.form(3)], text
}

func (s *keySource) integer(n int64) (part, model any) {
	forms := []any{n}
	for _, t := range []any{int(0), int8(0), int32(0), uint8(0), uint64(0), keyID(0)} {
		v := reflect.ValueOf(n).Convert(reflect.TypeOf(t))
		if fmt.Sprint(v) == fmt.Sprint(n) {
			forms = append(forms, v.Interface())
		}
	}
	return forms[s.form(len(forms))], keyInt(strconv.FormatInt(n, 10))
}

// text is made of keyWords and a few other bytes.
func (s *keySource) text() (text string) {
	for range s.pick(4) {
		if n := s.pick(len(keyWords) + 1); n < len(keyWords) {
			text += keyWords[n]
		} else {
			text += string([]byte{nextKeyByte(&s.values)})
		}
	}
	return text
}

func (s *keySource) list(depth int) (part, model any) {
	parts, models := []any{}, []any{}
	for range s.pick(4) {
		p, m := s.value(depth)
		parts, models = append(parts, p), append(models, m)
	}
	if len(parts) == 2 && s.form(2) == 1 {
		return [2]any(parts), models
	}
	return parts, models
}

func (s *keySource) pairs(depth int) (part, model any) {
	parts, models := map[any]any{}, []keyPair{}
	for range s.pick(4) {
		forms := s.forms
		s.forms = nil // []byte is no key of a Go map, and two pointers are two keys
		key, keyModel := s.scalar()
		s.forms = forms
		value, valueModel := s.value(depth)
		if _, ok := parts[key]; !ok {
			parts[key] = value
			models = append(models, keyPair{keyModel, valueModel})
		}
	}
	return parts, newKeyMap(models...)
}

// record is a struct, or the map that has its key.
func (s *keySource) record(depth int) (part, model any) {
	page, pageModel := s.value(depth)
	tags, tagsModel := s.value(depth)
	model = newKeyMap(keyPair{"Page", pageModel}, keyPair{"Tags", tagsModel})
	if s.form(2) == 1 {
		return map[keyCategory]any{"Tags": tags, "Page": page}, model
	}
	return struct{ Page, Tags any }{page, tags}, model
}
