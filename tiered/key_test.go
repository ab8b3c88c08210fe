package tiered_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tiercache/tiercache/tiered"
)

func ExampleKey() {
	fmt.Println(tiered.Key("product", 42))
	fmt.Println(tiered.Key("product", "42")) // another record
	fmt.Println(tiered.Key("list", map[string]any{"page": 2, "cat": "shoes"}))
	fmt.Println(tiered.Key("path", "a:b/50%"))
	// Output:
	// product:42
	// product:'42
	// list:(cat=shoes,page=2)
	// path:a%3Ab/50%25
}

type (
	keyID       int16
	keyCategory string
	keyStamp    time.Time
	keyFilter   struct {
		Page int
		_    int
		tags []string
	}
	keySecret string
)

func (keySecret) String() string               { return "***" }
func (keySecret) MarshalText() ([]byte, error) { return []byte("***"), nil }

func TestKeyForms(t *testing.T) {
	noon := time.Date(2024, 5, 1, 12, 0, 0, 250e6, time.FixedZone("", 7200))
	filter := keyFilter{Page: 1, tags: []string{"a", "b"}}
	type parts []any
	for want, lists := range map[string][]parts{
		"":                        {{}},
		"'":                       {{""}, {[]byte(nil)}},
		"a:b":                     {{"a", "b"}},
		"a%3Ab":                   {{"a:b"}, {[]byte("a:b")}, {keyCategory("a:b")}},
		"[a,b]":                   {{[]string{"a", "b"}}, {[2]any{"a", "b"}}},
		"[]":                      {{[]int(nil)}, {[]string{}}, {[0]bool{}}},
		"a%2Cb%3D%25%20%00%7F%FF": {{"a,b=% \x00\x7f\xff"}},
		"%5B%5D%28%29%7B%7D%23":   {{"[](){}#"}},
		"größe:靴:\ufffd":          {{"größe", "靴", "\ufffd"}},
		"O'Brien:a@b.example":     {{"O'Brien", "a@b.example"}},
		"'@a:''a:'0xff:0aff":      {{"@a", "'a", "0xff", "0aff"}},
		"42":                      {{42}, {int8(42)}, {uint64(42)}, {keyID(42)}, {uintptr(42)}, {new(42)}},
		"'42:'-1.5e+10:'-:4a-2":   {{"42", "-1.5e+10", "-", "4a-2"}},
		"-9223372036854775808":    {{math.MinInt64}},
		"18446744073709551615":    {{uint64(math.MaxUint64)}},
		"1.0:0.0:-1.5":            {{1.0, 0.0, -1.5}, {float32(1), math.Copysign(0, -1), float32(-1.5)}},
		"1e+06:1e-07":             {{1e6, 1e-7}},
		"0.10000000149011612":     {{float32(0.1)}, {float64(float32(0.1))}},
		"NaN:+Inf:-Inf":           {{math.NaN(), math.Inf(1), math.Inf(-1)}},
		"'NaN:'+Inf:'-Inf":        {{"NaN", "+Inf", "-Inf"}},
		"true:false:nil":          {{true, false, nil}, {true, false, (*int)(nil)}},
		"'true:'false:'nil":       {{"true", "false", "nil"}},
		"True:nils":               {{"True", "nils"}},
		"@20240501T100000.25Z":    {{noon}, {noon.UTC()}, {&noon}, {keyStamp(noon)}},
		"@00010101T000000Z":       {{time.Time{}}},
		"1000000000":              {{time.Second}},
		"0x000aff":                {{[3]byte{0, 10, 255}}},
		"()":                      {{map[string]int(nil)}, {map[int]bool{}}, {struct{}{}}},
		"(1=a,1=b,2=c,true=nil)":  {{map[any]any{2: "c", int8(1): "b", uint8(1): "a", true: nil}}},
		"(a=(b=[1,(c=2)]))":       {{map[string]any{"a": map[string]any{"b": []any{1, map[string]any{"c": 2}}}}}},
		"(Page=1,tags=[a,b])":     {{filter}, {&filter}, {map[string]any{"Page": 1, "tags": []string{"a", "b"}}}},
		"hunter2":                 {{keySecret("hunter2")}, {fmt.Stringer(keySecret("hunter2"))}},
	} {
		for _, list := range lists {
			if got := tiered.Key(list...); got != want {
				t.Errorf("Key(%#v) = %s, want %s", list, got, want)
			}
		}
	}
}

func TestKeyPanicsOnProgrammingErrors(t *testing.T) {
	type ring struct{ Next *ring }
	loop := &ring{}
	loop.Next = loop
	endless := []any{nil}
	endless[0] = endless
	for want, part := range map[string]any{
		"unsupported type func()":                   func() {},
		"unsupported type chan int":                 []any{make(chan int)},
		"unsupported type complex128":               map[string]any{"c": 1i},
		"time.Time in an unexported field":          struct{ at time.Time }{},
		"parts are nested too deeply or in a cycle": loop,
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				if got := recover(); got != "tiered.Key: "+want {
					t.Errorf("panic %v, want %q", got, want)
				}
			}()
			t.Errorf("Key = %q, want a panic", tiered.Key(part))
		})
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a slice that holds itself: no panic")
			}
		}()
		tiered.Key(endless)
	}()
}

func TestKeyDoesNotDependOnMapOrder(t *testing.T) {
	want := tiered.Key(keyBigMap(0))
	for seed := range 100 {
		if got := tiered.Key(keyBigMap(seed)); got != want {
			t.Fatalf("same map, other key:\n%s\n%s", got, want)
		}
	}
}

// keyBigMap returns the same map at every call, filled in another order.
func keyBigMap(seed int) map[string]int {
	m := map[string]int{}
	for i := range 31 {
		n := (i + seed) % 31
		m["k"+strconv.Itoa(n)] = n
	}
	return m
}

func TestKeyIsBounded(t *testing.T) {
	whole := strings.Repeat("a", 512)
	if got := tiered.Key(whole); got != whole {
		t.Errorf("a key of 512 bytes was changed: %s", got)
	}
	long := tiered.Key(whole, "b")
	if want := whole[:468] + "#"; !strings.HasPrefix(long, want) || len(long) != 512 {
		t.Errorf("%d bytes, want 512: %s", len(long), long)
	}
	seen := map[string]string{}
	for part, bounded := range map[string]bool{
		whole + "a":                    true,
		whole + "b":                    true,
		whole + "aa":                   true,
		"b" + whole:                    true,
		"a" + strings.Repeat("靴", 171): true, // the cut falls into a character
		strings.Repeat("#", 512):       true,
		long:                           true, // its # is escaped
		long[:469]:                     false,
		strings.Repeat("靴", 170):       false,
	} {
		key := tiered.Key(part)
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q have the key %s", part, other, key)
		}
		seen[key] = part
		if len(key) > 512 || !utf8.ValidString(key) || strings.Contains(key, "#") != bounded {
			t.Errorf("bounded %v, want %v: %q (%d bytes)", !bounded, bounded, key, len(key))
		}
	}
}

func TestKeyAllocations(t *testing.T) {
	id, name := 123456789, "running shoes"
	for _, c := range []struct {
		name string
		want float64
		key  func() string
	}{
		// One is the key; the others are variables that become an interface.
		{"constants", 1, func() string { return tiered.Key("product", 42) }},
		{"string and int", 2, func() string { return tiered.Key("product", id) }},
		{"two strings", 2, func() string { return tiered.Key("category", name) }},
	} {
		if got := testing.AllocsPerRun(1000, func() { c.key() }); got > c.want {
			t.Errorf("%s: %v allocations, want at most %v", c.name, got, c.want)
		}
	}
}

func BenchmarkKey(b *testing.B) {
	id := 123456789
	params := map[string]any{"page": 2, "cat": "shoes"}
	for name, key := range map[string]func() string{
		"parts=string+int": func() string { return tiered.Key("product", id) },
		"parts=string+map": func() string { return tiered.Key("list", params) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				key()
			}
		})
	}
}
