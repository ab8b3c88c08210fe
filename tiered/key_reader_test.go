package tiered_test

import (
	"math/big"
	"strconv"
	"strings"
	"time"
)

// keyReader reads a key back into the model of its parts; it panics if the key
// is none.
type keyReader struct{ rest string }

func readKey(key string) []any {
	parts := []any{}
	for r := (&keyReader{key}); r.rest != ""; r.skip(":") {
		parts = append(parts, r.value())
	}
	return parts
}

func (r *keyReader) skip(prefix string) (ok bool) {
	r.rest, ok = strings.CutPrefix(r.rest, prefix)
	return ok
}

func (r *keyReader) value() any {
	switch {
	case r.skip("["):
		list := []any{}
		for !r.skip("]") {
			list = append(list, r.value())
			r.skip(",")
		}
		return list
	case r.skip("("):
		pairs := []keyPair{}
		for !r.skip(")") {
			key := r.value()
			r.skip("=")
			pairs = append(pairs, keyPair{key, r.value()})
			r.skip(",")
		}
		return newKeyMap(pairs...)
	}
	end := strings.IndexAny(r.rest, ":,=])")
	if end < 0 {
		end = len(r.rest)
	}
	if end == 0 {
		panic("no key: nothing is written at " + strconv.Quote(r.rest))
	}
	word := r.rest[:end]
	r.rest = r.rest[end:]
	return readKeyWord(word)
}

func readKeyWord(word string) any {
	switch word {
	case "nil":
		return nil
	case "true", "false":
		return word == "true"
	}
	if text, ok := strings.CutPrefix(word, "'"); ok {
		return unescapeKey(text)
	}
	if digits, ok := strings.CutPrefix(word, "0x"); ok {
		n, _ := new(big.Int).SetString(digits, 16)
		return keyBytes(n.FillBytes(make([]byte, len(digits)/2)))
	}
	if date, ok := strings.CutPrefix(word, "@"); ok {
		return readKeyTime(date)
	}
	if n, ok := new(big.Int).SetString(word, 10); ok && word[0] != '+' {
		return keyInt(n.String())
	}
	if f, err := strconv.ParseFloat(word, 64); err == nil && strings.Trim(word, "NaInf0123456789+-.e") == "" {
		return newKeyFloat(f)
	}
	return unescapeKey(word)
}

// readKeyTime reads years of any length, which time.Parse does not.
func readKeyTime(date string) any {
	day, clock, _ := strings.Cut(strings.TrimSuffix(date, "Z"), "T")
	year, _ := strconv.Atoi(day[:len(day)-4])
	at, err := time.Parse("0102150405.999999999", day[len(day)-4:]+clock)
	if day[len(day)-4:] == "0229" {
		at, err = time.Parse("150405.999999999", clock)
		at = at.AddDate(0, 1, 28)
	}
	if err != nil {
		return err
	}
	at = time.Date(year, at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
	return keyTime{at.Unix(), int64(at.Nanosecond())}
}

func unescapeKey(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '%' {
			n, _ := strconv.ParseUint(text[i+1:i+3], 16, 8)
			c, i = byte(n), i+2
		}
		b.WriteByte(c)
	}
	return b.String()
}
