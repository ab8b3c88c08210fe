// Package envelope is the byte format of a value record: what the remote tier
// (Redis) holds under a cache key once somebody has filled it. A record carries
// everything a reader needs to decide whether it may serve the value, so one
// GET decides everything.
//
// # Format
//
// Version 1, for writers in any language. Integers of fixed size are big
// endian; uvarint is the little-endian base-128 encoding of Protocol Buffers
// and encoding/binary, at most 10 bytes long and always in its shortest form.
//
//	offset  size  field
//	     0     1  kind      'V'; 'L' and 'F' records (leases, fences) are not envelopes
//	     1    16  stamp     token of whoever wrote the record; scripts compare it
//	    17     1  version   1
//	    18     1  flags     bit 0 negative   the source has no such record; the payload is empty
//	                        bit 1 compressed the payload is compressed as its codec says
//	                        bit 2 encrypted  the payload is encrypted as its codec says
//	                        bit 3 uncacheable the source has a value that is not stored; the payload is empty
//	                        bits 4-7         0; a reader refuses a record that sets one
//	    19     1  codec     1 msgpack, 2 JSON, 3 raw, 128-255 the application's own
//	    20     4  checksum  CRC-32C (Castagnoli) of bytes 0-19 followed by bytes 24-end
//	    24     4  schema    schema version of the value's type
//	    28     8  epoch     epoch of the remote tier, known to the writer before it read the source
//	    36     8  soft      soft expiry: Redis clock, milliseconds since 1970, signed
//	    44     8  hard      hard expiry: the same clock and unit
//	    52     4  delta     how long the load took, microseconds; 2^32-1 is "that or more"
//	    56     …  tags      uvarint count, then for each tag
//	                            uvarint length of its name, the name, its stamp (16 bytes)
//	     …     …  payload   the rest of the record
//
// There is one encoding of a record: what [Parse] accepts, [Begin] writes again
// byte for byte.
//
// # Caveats
//
// The checksum finds accidents (a cut or overwritten record), not attackers:
// whoever can write to Redis can compute it.
//
// A reader that cannot honour what it finds (a flag, a codec, a tag whose stamp
// it cannot check) must treat the record as a miss.
package envelope

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"time"
)

// Version is the format version this package writes, and the only one it reads.
const Version = 1

// Overhead is the size in bytes of a record without tags and without payload.
const Overhead = tagsAt + 1

const (
	kind = 'V'

	stampAt    = 1
	versionAt  = 17
	flagsAt    = 18
	codecAt    = 19
	checksumAt = 20
	schemaAt   = 24
	epochAt    = 28
	softAt     = 36
	hardAt     = 44
	deltaAt    = 52
	tagsAt     = 56

	stampSize = 16
)

const (
	flagNegative = 1 << iota
	flagCompressed
	flagEncrypted
	flagUncacheable

	flagsKnown = flagNegative | flagCompressed | flagEncrypted | flagUncacheable
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Error is a reason why bytes are not a record that may be served. To a reader
// every Error means the same: a miss, counted, and repaired by the next fill.
type Error string

func (e Error) Error() string { return string(e) }

const (
	// ErrKind: the bytes do not begin with 'V': a lease, a fence, or foreign data.
	ErrKind Error = "envelope: not a value record"
	// ErrShort: the record ends before its header does, or a count in it
	// promises more than there is.
	ErrShort Error = "envelope: record is cut short"
	// ErrFormat: an unknown format version, an unknown flag, or a count that is
	// not in its shortest form: written by a newer or a faulty writer.
	ErrFormat Error = "envelope: unknown format"
	// ErrChecksum: the record is not what its writer wrote.
	ErrChecksum Error = "envelope: checksum mismatch"
	// ErrNotAppended: from Finish only. The codec lost the header, most likely
	// because it returned a slice of its own instead of appending to the one it
	// was given. Nothing must be stored.
	ErrNotAppended Error = "envelope: payload was not appended to the record"
)

// Header is what a record says about its payload.
type Header struct {
	Negative    bool          // the source has no such record
	Uncacheable bool          // the source has a value that is not stored: load it, wait for nobody
	Compressed  bool          // reserved for codecs that compress
	Encrypted   bool          // reserved for codecs that encrypt
	Codec       byte          // codec.Codec.ID of the payload
	Schema      uint32        // schema version of the value's type
	Epoch       uint64        // epoch of the remote tier
	Soft        int64         // soft expiry: Redis clock, ms since 1970
	Hard        int64         // hard expiry: Redis clock, ms since 1970
	Delta       time.Duration // how long the load took; stored in whole µs from 0 to 2^32-1
	Tags        []Tag         // groups the value belongs to
}

// Tag is a group as the writer found it before it read the source: the value is
// stale once the group's stamp is another one.
type Tag struct {
	Name  string
	Stamp [16]byte
}

// Record is a parsed value record.
type Record struct {
	Stamp [16]byte // token of whoever wrote the record
	Header
	Payload []byte // the encoded value; a part of the bytes given to Parse
}

// Begin appends the header of a record to buf. The caller appends the payload
// to the result, then calls Finish:
//
//	start := len(buf)
//	buf = envelope.Begin(buf, stamp, header)
//	buf, err = codec.Append(buf, v)
//	err = envelope.Finish(buf[start:])
//
// A Delta out of range is stored as the nearest value in range.
func Begin(buf []byte, stamp [16]byte, h Header) []byte {
	buf = append(buf, kind)
	buf = append(buf, stamp[:]...)
	buf = append(buf, Version, h.flags(), h.Codec)
	buf = append(buf, 0, 0, 0, 0) // checksum: Finish
	buf = binary.BigEndian.AppendUint32(buf, h.Schema)
	buf = binary.BigEndian.AppendUint64(buf, h.Epoch)
	buf = binary.BigEndian.AppendUint64(buf, uint64(h.Soft))
	buf = binary.BigEndian.AppendUint64(buf, uint64(h.Hard))
	buf = binary.BigEndian.AppendUint32(buf, micros(h.Delta))
	return appendTags(buf, h.Tags)
}

// Finish fills in the checksum of the record that Begin began and the caller
// completed. It returns ErrNotAppended if record does not begin with a header.
func Finish(record []byte) error {
	if check(record) != nil {
		return ErrNotAppended
	}
	if _, _, err := splitTags(record[tagsAt:]); err != nil {
		return ErrNotAppended
	}
	binary.BigEndian.PutUint32(record[checksumAt:], checksum(record))
	return nil
}

// Parse reads a record. Its error is always an Error; it never panics, and
// without tags it does not allocate. The payload aliases record.
func Parse(record []byte) (Record, error) {
	if err := check(record); err != nil {
		return Record{}, err
	}
	if binary.BigEndian.Uint32(record[checksumAt:]) != checksum(record) {
		return Record{}, ErrChecksum
	}
	flags := record[flagsAt]
	if flags&^flagsKnown != 0 {
		return Record{}, ErrFormat
	}
	tags, payload, err := splitTags(record[tagsAt:])
	if err != nil {
		return Record{}, err
	}
	return Record{
		Stamp: [16]byte(record[stampAt:versionAt]),
		Header: Header{
			Negative:    flags&flagNegative != 0,
			Uncacheable: flags&flagUncacheable != 0,
			Compressed:  flags&flagCompressed != 0,
			Encrypted:   flags&flagEncrypted != 0,
			Codec:       record[codecAt],
			Schema:      binary.BigEndian.Uint32(record[schemaAt:]),
			Epoch:       binary.BigEndian.Uint64(record[epochAt:]),
			Soft:        int64(binary.BigEndian.Uint64(record[softAt:])),
			Hard:        int64(binary.BigEndian.Uint64(record[hardAt:])),
			Delta:       time.Duration(binary.BigEndian.Uint32(record[deltaAt:])) * time.Microsecond,
			Tags:        tags,
		},
		Payload: slices.Clip(payload), // an append must not reach bytes behind the record
	}, nil
}

// check tells whether record is long enough for a header and of the version we
// know. The version comes before the checksum: another version may keep its
// checksum elsewhere.
func check(record []byte) error {
	switch {
	case len(record) > 0 && record[0] != kind:
		return ErrKind
	case len(record) > versionAt && record[versionAt] != Version:
		return ErrFormat
	case len(record) < Overhead:
		return ErrShort
	}
	return nil
}

func checksum(record []byte) uint32 {
	sum := crc32.Update(0, castagnoli, record[:checksumAt])
	return crc32.Update(sum, castagnoli, record[schemaAt:])
}

func (h *Header) flags() byte {
	var f byte
	if h.Negative {
		f |= flagNegative
	}
	if h.Uncacheable {
		f |= flagUncacheable
	}
	if h.Compressed {
		f |= flagCompressed
	}
	if h.Encrypted {
		f |= flagEncrypted
	}
	return f
}

func micros(d time.Duration) uint32 {
	return uint32(min(max(d.Microseconds(), 0), math.MaxUint32))
}
