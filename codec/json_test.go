package codec

import (
	"errors"
	"strings"
	"testing"
)

// The bytes are meant for other programs: plain, stable, without a newline.
func TestJSONText(t *testing.T) {
	data, err := JSON().Append([]byte("dst "), map[string]any{"b": "<&>", "a": []int{1}})
	if want := `dst {"a":[1],"b":"<&>"}`; err != nil || string(data) != want {
		t.Errorf("Append = %q, %v, want %q", data, err, want)
	}
}

func TestJSONMalformed(t *testing.T) {
	for _, data := range []string{
		"", "{", "nul", `"a" "b"`, "{}x", `{"ID":"text"}`, `{"ID":1e99}`, "\x80", strings.Repeat("[", 2<<20),
	} {
		got := record{ID: 1}
		if err := JSON().Decode([]byte(data), &got); !errors.Is(err, ErrMalformed) || got.ID != 0 {
			t.Errorf("Decode(%.20q) = %v, %v, want ErrMalformed and zero", data, got.ID, err)
		}
	}
}

// A failed value must not leave a pooled encoder that fails the next one.
func TestJSONEncoderSurvivesErrors(t *testing.T) {
	for range 20 {
		if _, err := JSON().Append(nil, func() {}); !errors.Is(err, ErrUnsupported) {
			t.Fatalf("Append of a func = %v", err)
		}
		if data, err := JSON().Append(nil, 1); err != nil || string(data) != "1" {
			t.Fatalf("Append after an error = %q, %v", data, err)
		}
	}
}
