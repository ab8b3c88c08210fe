package envelope

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// encode writes r as a user of the package does.
func encode(t interface{ Fatalf(string, ...any) }, r Record) []byte {
	buf := Begin(nil, r.Stamp, r.Header)
	buf = append(buf, r.Payload...)
	if err := Finish(buf); err != nil {
		t.Fatalf("Finish(%x) = %v", buf, err)
	}
	return buf
}

func sample() Record {
	return Record{
		Stamp: [16]byte([]byte("0123456789abcdef")),
		Header: Header{
			Negative: true, Encrypted: true,
			Codec: 200, Schema: 0x01020304, Epoch: 0x1122334455667788,
			Soft: 1700000000000, Hard: -2, Delta: 1500 * time.Microsecond,
			Tags: []Tag{{Name: "shoes", Stamp: [16]byte([]byte("ABCDEFGHIJKLMNOP"))}, {}},
		},
		Payload: []byte("payload"),
	}
}

// plain is a record as this version of the library writes it: without tags.
func plain() Record {
	r := sample()
	r.Tags = nil
	return r
}

// seal gives record the checksum of its bytes, whatever they are.
func seal(record []byte) []byte {
	binary.BigEndian.PutUint32(record[checksumAt:], checksum(record))
	return record
}

// The bytes are a contract with running processes and with writers in other
// languages: a change here needs a new Version.
func TestGoldenBytes(t *testing.T) {
	want := strings.Join([]string{
		"56",                               // kind 'V'
		"30313233343536373839616263646566", // stamp
		"01",                               // version
		"05",                               // flags: negative, encrypted
		"c8",                               // codec
		"4d65ea23",                         // checksum, computed by another implementation
		"01020304",                         // schema
		"1122334455667788",                 // epoch
		"0000018bcfe56800",                 // soft
		"fffffffffffffffe",                 // hard
		"000005dc",                         // delta
		"02",                               // two tags
		"05" + "73686f6573" + "4142434445464748494a4b4c4d4e4f50",
		"00" + "00000000000000000000000000000000",
		"7061796c6f6164", // payload
	}, "")
	if got := hex.EncodeToString(encode(t, sample())); got != want {
		t.Errorf("record\n got %s\nwant %s", got, want)
	}
}

func TestOverheadIsTheEmptyRecord(t *testing.T) {
	if got := len(encode(t, Record{})); got != Overhead {
		t.Errorf("an empty record has %d bytes, want Overhead = %d", got, Overhead)
	}
}

func records() *rapid.Generator[Record] {
	stamp := rapid.Custom(func(t *rapid.T) [16]byte {
		return [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "stamp"))
	})
	tag := rapid.Custom(func(t *rapid.T) Tag {
		return Tag{Name: rapid.StringN(-1, -1, 300).Draw(t, "name"), Stamp: stamp.Draw(t, "tagStamp")}
	})
	return rapid.Custom(func(t *rapid.T) Record {
		r := Record{
			Stamp: stamp.Draw(t, "stamp"),
			Header: Header{
				Negative: rapid.Bool().Draw(t, "negative"), Uncacheable: rapid.Bool().Draw(t, "uncacheable"),
				Compressed: rapid.Bool().Draw(t, "compressed"),
				Encrypted:  rapid.Bool().Draw(t, "encrypted"),
				Codec:      rapid.Byte().Draw(t, "codec"),
				Schema:     rapid.Uint32().Draw(t, "schema"),
				Epoch:      rapid.Uint64().Draw(t, "epoch"),
				Soft:       rapid.Int64().Draw(t, "soft"),
				Hard:       rapid.Int64().Draw(t, "hard"),
				Delta:      time.Duration(rapid.Uint32().Draw(t, "µs")) * time.Microsecond,
			},
			Payload: rapid.SliceOf(rapid.Byte()).Draw(t, "payload"),
		}
		if tags := rapid.SliceOfN(tag, 0, 200).Draw(t, "tags"); len(tags) > 0 {
			r.Tags = tags
		}
		return r
	})
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := records().Draw(t, "record")
		got, err := Parse(encode(t, want))
		if err != nil {
			t.Fatalf("Parse: %v", err)
		}
		if !bytes.Equal(got.Payload, want.Payload) {
			t.Fatalf("payload %x, want %x", got.Payload, want.Payload)
		}
		got.Payload, want.Payload = nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestDeltaIsClamped(t *testing.T) {
	const longest = math.MaxUint32 * time.Microsecond
	for _, c := range []struct{ in, want time.Duration }{
		{-time.Second, 0},
		{999 * time.Nanosecond, 0},
		{1999 * time.Nanosecond, time.Microsecond},
		{longest, longest},
		{longest + time.Microsecond, longest},
		{math.MaxInt64, longest},
	} {
		got, err := Parse(encode(t, Record{Header: Header{Delta: c.in}}))
		if err != nil || got.Delta != c.want {
			t.Errorf("Delta %v comes back as %v, %v; want %v", c.in, got.Delta, err, c.want)
		}
	}
}

// A record may follow other bytes in the buffer.
func TestBeginAppends(t *testing.T) {
	buf := Begin([]byte("before"), sample().Stamp, sample().Header)
	buf = append(buf, sample().Payload...)
	if err := Finish(buf[len("before"):]); err != nil {
		t.Fatal(err)
	}
	if want := append([]byte("before"), encode(t, sample())...); !bytes.Equal(buf, want) {
		t.Errorf("got %x, want %x", buf, want)
	}
}

// A codec that returns a slice of its own must not get a checksum on it.
func TestFinishRefusesALostHeader(t *testing.T) {
	header := Begin(nil, sample().Stamp, sample().Header)
	noCount := append(bytes.Clone(header[:tagsAt]), 0x80)
	for name, record := range map[string][]byte{
		"nil":         nil,
		"payload":     bytes.Repeat([]byte("payload "), 20),
		"like V":      bytes.Repeat([]byte("V"), 200),
		"cut header":  header[:Overhead-1],
		"cut tags":    header[:len(header)-1],
		"cut count":   noCount,
		"only header": header[:1],
	} {
		before := bytes.Clone(record)
		if err := Finish(record); !errors.Is(err, ErrNotAppended) {
			t.Errorf("%s: Finish = %v, want ErrNotAppended", name, err)
		}
		if !bytes.Equal(record, before) {
			t.Errorf("%s: Finish changed bytes that are no record", name)
		}
	}
}

func TestEveryBitFlipIsDetected(t *testing.T) {
	for _, r := range []Record{sample(), plain(), {}} {
		record := encode(t, r)
		for bit := range len(record) * 8 {
			record[bit/8] ^= 1 << (bit % 8)
			if _, err := Parse(record); !isError(err) {
				t.Errorf("%+v: bit %d of byte %d flipped: Parse = %v, want an Error", r, bit%8, bit/8, err)
			}
			record[bit/8] ^= 1 << (bit % 8)
		}
	}
}

func isError(err error) bool {
	var e Error
	return errors.As(err, &e)
}

func TestEveryTruncationIsDetected(t *testing.T) {
	record := encode(t, sample())
	for n := range record {
		want := ErrChecksum
		if n < Overhead {
			want = ErrShort
		}
		if _, err := Parse(record[:n]); !errors.Is(err, want) {
			t.Errorf("Parse(first %d bytes) = %v, want %v", n, err, want)
		}
	}
	if _, err := Parse(append(record, 0)); !errors.Is(err, ErrChecksum) {
		t.Errorf("Parse(record and one byte) = %v, want ErrChecksum", err)
	}
}

// These records carry the right checksum: a newer or a faulty writer meant them.
func TestRefusals(t *testing.T) {
	edit := func(change func(record []byte) []byte) []byte {
		return seal(change(encode(t, plain())))
	}
	set := func(at int, value byte) []byte {
		return edit(func(b []byte) []byte { b[at] = value; return b })
	}
	tags := func(section ...byte) []byte {
		return edit(func(b []byte) []byte { return append(b[:tagsAt], section...) })
	}
	max64 := bytes.Repeat([]byte{0xff}, 9)

	for _, c := range []struct {
		name   string
		record []byte
		want   Error
	}{
		{"lease", set(0, 'L'), ErrKind},
		{"fence", set(0, 'F'), ErrKind},
		{"version 0", set(versionAt, 0), ErrFormat},
		{"version 2", set(versionAt, 2), ErrFormat},
		{"short record of version 2", set(versionAt, 2)[:versionAt+1], ErrFormat},
		{"flag 4", set(flagsAt, 1<<4), ErrFormat},
		{"flag 7", set(flagsAt, 1<<7|flagNegative), ErrFormat},
		{"one tag, none there", tags(1), ErrShort},
		{"255 tags, 16 bytes", tags(append([]byte{0xff, 1}, make([]byte, 16)...)...), ErrShort},
		{"2^64-1 tags", tags(append(max64, 1)...), ErrShort},
		{"count above 2^64", tags(append(max64, 2)...), ErrFormat},
		{"count without end", tags(0x80), ErrShort},
		{"count in two bytes", tags(0x80, 0), ErrFormat},
		{"tag name longer than the rest", tags(append([]byte{1, 17}, make([]byte, 32)...)...), ErrShort},
		{"tag name of 2^64-1", tags(append(append([]byte{1}, max64...), append([]byte{1}, make([]byte, 16)...)...)...), ErrShort},
		{"second tag cut", tags(append([]byte{2, 2}, make([]byte, 33)...)...), ErrShort},
	} {
		if _, err := Parse(c.record); !errors.Is(err, c.want) {
			t.Errorf("%s: Parse = %v, want %v", c.name, err, c.want)
		}
	}
}

// The payload must not invite the caller to write over bytes that follow it.
func TestPayloadAliasesTheRecordOnly(t *testing.T) {
	record := encode(t, sample())
	r, err := Parse(append(bytes.Clone(record), "next"...)[:len(record)])
	if err != nil {
		t.Fatal(err)
	}
	if cap(r.Payload) != len(r.Payload) {
		t.Errorf("payload has %d bytes of room behind it", cap(r.Payload)-len(r.Payload))
	}
	record[len(record)-1] ^= 1
	if aliased, _ := Parse(seal(record)); &aliased.Payload[0] != &record[len(record)-len("payload")] {
		t.Error("payload is a copy, want a part of the record")
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	record := encode(t, plain())
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := Parse(record); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Parse allocates %v times, want 0", n)
	}
}

func TestBeginAndFinishFitTheGivenBuffer(t *testing.T) {
	r, buf := plain(), make([]byte, 0, 256)
	if n := testing.AllocsPerRun(1000, func() {
		record := append(Begin(buf, r.Stamp, r.Header), r.Payload...)
		if err := Finish(record); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("writing a record allocates %v times, want 0", n)
	}
}

// Parse never panics, and what it accepts has one encoding. The target also
// parses the input with its checksum put right, else the fuzzer never gets
// past it.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		reencode(t, data)
		if len(data) >= schemaAt {
			reencode(t, seal(bytes.Clone(data)))
		}
	})
}

func reencode(t *testing.T, data []byte) {
	r, err := Parse(data)
	if err != nil {
		if !isError(err) {
			t.Fatalf("Parse(%x) = %v, want an Error", data, err)
		}
		return
	}
	if again := encode(t, r); !bytes.Equal(again, data) {
		t.Fatalf("accepted %x, encodes as %x", data, again)
	}
}

func BenchmarkParse(b *testing.B) {
	r := plain()
	r.Payload = make([]byte, 1024)
	record := Begin(nil, r.Stamp, r.Header)
	record = append(record, r.Payload...)
	if err := Finish(record); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(record)))
	for b.Loop() {
		if _, err := Parse(record); err != nil {
			b.Fatal(err)
		}
	}
}
