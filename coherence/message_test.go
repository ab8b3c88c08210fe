package coherence

import (
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tiercache/tiercache/internal/token"
)

// appendPayload encodes an invalidation that nobody has to confirm.
func appendPayload(dst []byte, space string, keys []string) []byte {
	return notice{space: space, keys: keys}.append(dst)
}

// fenced is the notice of a write of keys of space s by node NODENAME.
func fenced(life time.Duration, keys ...string) notice {
	c := notice{space: "s", keys: keys, writer: "NODENAME", life: life}
	if life > 0 {
		c.fence = token.Token{1, 2, 3}
	}
	return c
}

func (c notice) equal(d notice) bool {
	same := slices.Equal(c.keys, d.keys)
	c.keys, d.keys = nil, nil
	return same && reflect.DeepEqual(c, d)
}

// text is the wire form of an entry, as APPEND writes it.
func (e entry) text() string {
	return fmt.Sprintf("%d|%s|%s|%s", e.at.n, e.prev, e.at.nonce, e.payload)
}

func TestPayloadRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		space := rapid.String().Draw(t, "space")
		key := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, MaxKey), func(b []byte) string { return string(b) })
		keys := rapid.SliceOfN(key, 0, 20).Draw(t, "keys")
		want := notice{space: space, keys: keys}
		if rapid.Bool().Draw(t, "to be confirmed") {
			want.writer = rapid.StringMatching(`[A-Z2-7]{8}`).Draw(t, "writer")
			want.life = time.Duration(rapid.Int64Range(0, maxFence.Milliseconds()).Draw(t, "life")) * time.Millisecond
			if want.life > 0 {
				copy(want.fence[:], rapid.SliceOfN(rapid.Byte(), token.Size, token.Size).Draw(t, "fence"))
			}
		}
		got, err := parsePayload(string(want.append(nil)))
		if err != nil || !got.equal(want) {
			t.Fatalf("parsePayload = %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestEntryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nonce := rapid.StringMatching(`[0-9a-f]{1,40}`)
		want := entry{
			at:      position{rapid.Uint64Range(1, 1<<53-1).Draw(t, "n"), nonce.Draw(t, "nonce")},
			prev:    rapid.OneOf(nonce, rapid.Just("")).Draw(t, "prev"),
			payload: string(rapid.SliceOf(rapid.Byte()).Draw(t, "payload")),
		}
		if got, err := parseEntry(want.text()); err != nil || got != want {
			t.Fatalf("parseEntry(%q) = %+v, %v", want.text(), got, err)
		}
	})
}

func TestLimitsOfAPayload(t *testing.T) {
	keys := make([]string, maxKeys)
	for i := range keys {
		keys[i] = strings.Repeat("k", MaxKey)
	}
	if _, err := parsePayload(string(appendPayload(nil, "s", keys))); err != nil {
		t.Errorf("%d keys of %d bytes: %v", maxKeys, MaxKey, err)
	}
	for name, keys := range map[string][]string{
		"too many keys": make([]string, maxKeys+1),
		"too long":      {strings.Repeat("k", MaxKey+1)},
	} {
		if _, err := parsePayload(string(appendPayload(nil, "s", keys))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestMalformedEntries(t *testing.T) {
	for _, m := range []string{
		"", "|", "|||", "1", "1|", "1|a", "1|a|b", "0|a|b|", "|a|b|p", "-1|a|b|p", "+1|a|b|p", "1.0|a|b|p", " 1|a|b|p",
		"01|a|b|p", "x|a|b|p", "1|a||p", "1||", "9007199254740992|a|b|p", "18446744073709551616|a|b|p", "1_0|a|b|p",
	} {
		if e, err := parseEntry(m); err == nil {
			t.Errorf("parseEntry(%q) = %+v", m, e)
		}
	}
}

func TestMalformedPayloads(t *testing.T) {
	for name, p := range map[string]string{
		"empty":                    "",
		"version alone":            "\x01",
		"no space":                 "\x01i",
		"version 0":                "\x00i\x01s\x00",
		"version 2":                "\x02i\x01s\x00",
		"unknown operation":        "\x01x\x01s\x00",
		"space cut":                "\x01i\x05s",
		"no count":                 "\x01i\x01s",
		"key missing":              "\x01i\x01s\x01",
		"key cut":                  "\x01i\x01s\x01\x03ab",
		"second key missing":       "\x01i\x01s\x02\x01a",
		"trailing byte":            "\x01i\x01s\x01\x01ab",
		"count of 2^63":            "\x01i\x01s\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
		"length of 2^64-1":         "\x01i\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01s\x00",
		"length beyond 64 bits":    "\x01i\x81\x80\x80\x80\x80\x80\x80\x80\x80\x02s\x00",
		"length without an end":    "\x01i\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",
		"length in a longer form":  "\x01i\x81\x00s\x00",
		"count in a longer form":   "\x01i\x01s\x80\x00",
		"key over the limit":       string(appendPayload(nil, "s", []string{strings.Repeat("k", MaxKey+1)})),
		"no writer":                "\x01f\x01s",
		"writer cut":               "\x01f\x01sNODENAM",
		"no life":                  "\x01f\x01sNODENAME",
		"life over the limit":      "\x01f\x01sNODENAME\x81\xdd\xdb\x01" + strings.Repeat("t", 16) + "\x01\x01k",
		"token cut":                "\x01f\x01sNODENAME\x01tttt",
		"no keys behind a token":   "\x01f\x01sNODENAME\x01" + strings.Repeat("t", 16),
		"more keys than the limit": string(appendPayload(nil, "s", make([]string, maxKeys+1))),
	} {
		if c, err := parsePayload(p); err == nil {
			t.Errorf("%s: parsePayload(%q) = %+v", name, p, c)
		}
	}
}

// The bytes of the wire format are a contract with writers in other languages.
func TestGoldenPayload(t *testing.T) {
	golden, err := os.ReadFile("testdata/payload.golden")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][]byte{
		"one":   appendPayload(nil, "product", []string{"42"}),
		"three": appendPayload(nil, "a.b_c-9", []string{"", "\x00\xff|", "schön"}),
		"none":  appendPayload(nil, "s", nil),
		"long":  appendPayload(nil, "s", []string{strings.Repeat("k", 200)}),
		"fence": fenced(3*time.Second, "42").append(nil),
		"heard": fenced(0, "42").append(nil),
	}
	lines := strings.Split(strings.TrimSpace(string(golden)), "\n")
	if len(lines) != len(cases) {
		t.Fatalf("%d golden lines, want %d", len(lines), len(cases))
	}
	for _, line := range lines {
		name, want, _ := strings.Cut(line, " ")
		if got := hex.EncodeToString(cases[name]); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add("1||aa|payload")
	f.Add("9007199254740991|bb|aa|\x01i\x01s\x01\x01k")
	f.Fuzz(func(t *testing.T, m string) {
		e, err := parseEntry(m)
		if err != nil {
			return
		}
		if e.text() != m {
			t.Errorf("%q is accepted and encoded as %q", m, e.text())
		}
		if e.at.n == 0 || e.at.n >= 1<<53 || e.at.nonce == "" {
			t.Errorf("%q is accepted as %+v", m, e)
		}
	})
}

func FuzzPayload(f *testing.F) {
	f.Add(string(appendPayload(nil, "product", []string{"1", "2"})))
	f.Add("\x01i\x81\x00s\x00")
	f.Add(string(fenced(time.Second, "1").append(nil)))
	f.Add(string(fenced(0, "1", "2").append(nil)))
	f.Fuzz(func(t *testing.T, p string) {
		c, err := parsePayload(p)
		if err != nil {
			return
		}
		if again := string(c.append(nil)); again != p {
			t.Errorf("%q is accepted and encoded as %q", p, again)
		}
		if len(c.keys) > maxKeys || c.life > maxFence {
			t.Errorf("%d keys and a fence of %v accepted", len(c.keys), c.life)
		}
	})
}

func TestReportOfWhateverTheBusHolds(t *testing.T) {
	for _, tt := range []struct {
		fields []any
		want   report
	}{
		{[]any{nil, nil, nil, nil}, report{}},
		{[]any{"7", "aa", "9", "3"}, report{at: position{7, "aa"}, epoch: 9, version: 3}},
		{[]any{"7", nil, nil, nil}, report{at: position{7, ""}}},
		{[]any{"seven", "aa", "-9", "-1"}, report{at: position{0, "aa"}}},
		{[]any{"1e3", "aa", "9.5", "x"}, report{at: position{0, "aa"}}},
		{[]any{strconv.FormatUint(1<<63, 10) + "0", "", "", ""}, report{}},
	} {
		if got, err := parseReport(tt.fields); err != nil || got != tt.want {
			t.Errorf("parseReport(%q) = %+v, %v, want %+v", tt.fields, got, err, tt.want)
		}
	}
	if _, err := parseReport([]any{"7"}); err == nil {
		t.Error("a reply of one field was accepted")
	}
}
