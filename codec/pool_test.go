package codec

import (
	"errors"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"weak"
)

// Good, hostile and huge values at once: a pooled coder must carry nothing over.
func TestConcurrent(t *testing.T) {
	want := full()
	sameTimes(&want)
	huge := strings.Repeat("x", 2*maxPooled)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 60 {
				for _, c := range []Codec{Msgpack(), JSON()} {
					data, err := c.Append(nil, &want)
					if err != nil {
						t.Error(err)
						return
					}
					var got record
					if err := c.Decode(data, &got); err != nil || !reflect.DeepEqual(*sameTimes(&got), want) {
						t.Errorf("%T: got %+v, %v", c, got, err)
						return
					}
					if err := c.Decode(data[:len(data)-1-i], &got); !errors.Is(err, ErrMalformed) {
						t.Errorf("%T: truncated: %v", c, err)
					}
					if _, err := c.Append(nil, loud{"panic"}); !errors.Is(err, ErrUnsupported) {
						t.Errorf("%T: panicking: %v", c, err)
					}
					if i%10 == 0 {
						if _, err = c.Append(data[:0], huge); err != nil {
							t.Errorf("%T: huge: %v", c, err)
						}
					}
				}
			}
		})
	}
	wg.Wait()
}

// A pool outlives its users: what it holds must not hold their memory.
func TestPoolsKeepNothingOfTheCaller(t *testing.T) {
	for _, c := range []Codec{Msgpack(), JSON()} {
		encoded, decoded := useOnce(t, c)
		runtime.GC() // one only: a sync.Pool survives the first
		if encoded.Value() != nil || decoded.Value() != nil {
			t.Errorf("%T: a pool refers to dst (%t) or data (%t)", c, encoded.Value() != nil, decoded.Value() != nil)
		}
	}
}

//go:noinline
func useOnce(t *testing.T, c Codec) (encoded, decoded weak.Pointer[byte]) {
	out, err := c.Append(make([]byte, 0, 4096), "value")
	if err != nil {
		t.Fatal(err)
	}
	data := append(make([]byte, 0, 4096), out...)
	var s string
	if err := c.Decode(data, &s); err != nil || s != "value" {
		t.Fatal(s, err)
	}
	return weak.Make(&out[0]), weak.Make(&data[0])
}

func TestPoolsKeepNoHugeBuffers(t *testing.T) {
	const size = 32 << 20
	before := heapInUse()
	func() {
		data, err := Msgpack().Append(nil, strings.Repeat("x", size))
		if err != nil {
			t.Fatal(err)
		}
		var s string
		if err := Msgpack().Decode(data, &s); err != nil || len(s) != size {
			t.Fatal(len(s), err)
		}
	}()
	if after := heapInUse(); after > before+size/2 {
		t.Errorf("%d MiB kept after a value of %d MiB", (after-before)>>20, size>>20)
	}
}

// A decoder that fails while it records raw bytes goes on recording for good.
func TestPoolsKeepNoFailedDecoder(t *testing.T) {
	fails := []byte(field("H", stampBomb))
	data, err := Msgpack().Append(nil, strings.Repeat("x", maxPooled/2))
	if err != nil {
		t.Fatal(err)
	}
	before := heapInUse()
	if err := Msgpack().Decode(fails, new(stampedHanded)); !errors.Is(err, errTimestamp) {
		t.Fatal(err)
	}
	const rounds = 500
	for range rounds {
		if err := Msgpack().Decode(data, new(string)); err != nil {
			t.Fatal(err)
		}
	}
	if after := heapInUse(); after > before+rounds*maxPooled/4 {
		t.Errorf("%d KiB kept after %d values of %d KiB", (after-before)>>10, rounds, len(data)>>10)
	}
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
