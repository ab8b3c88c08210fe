package coherence

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
)

// An entry of the bus is what the ring holds and the channel carries:
//
//	number | previous nonce | nonce | payload
//
// number is decimal; nonces are hex and unique per announcement; the payload
// is binary and is understood by any language:
//
//	byte     format version, 1
//	byte     operation: 'i' the keys were invalidated
//	uvarint  length of the space's name, then the name
//	uvarint  number of keys, then for each: uvarint length, bytes
type entry struct {
	at      position
	prev    string
	payload string
}

// position is a place in the history of the bus.
type position struct {
	n     uint64
	nonce string
}

const (
	payloadVersion = 1
	opInvalidate   = 'i'

	maxKeys = 256 // keys of one entry
)

var errMalformed = errors.New("malformed bus entry")

func parseEntry(m string) (entry, error) {
	number, rest, ok1 := strings.Cut(m, "|")
	prev, rest, ok2 := strings.Cut(rest, "|")
	nonce, payload, ok3 := strings.Cut(rest, "|")
	n, err := strconv.ParseUint(number, 10, 53) // a Lua number holds 53 bits
	if !ok1 || !ok2 || !ok3 || err != nil || number[0] == '0' || nonce == "" {
		return entry{}, errMalformed
	}
	return entry{at: position{n, nonce}, prev: prev, payload: payload}, nil
}

// appendPayload encodes an invalidation of keys (at most maxKeys) of a space.
func appendPayload(dst []byte, space string, keys []string) []byte {
	dst = append(dst, payloadVersion, opInvalidate)
	dst = appendString(dst, space)
	dst = binary.AppendUvarint(dst, uint64(len(keys)))
	for _, k := range keys {
		dst = appendString(dst, k)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// parsePayload returns the space and the keys of an invalidation.
func parsePayload(p string) (space string, keys []string, err error) {
	if len(p) < 2 || p[0] != payloadVersion || p[1] != opInvalidate {
		return "", nil, errMalformed
	}
	space, rest, ok := cutString(p[2:])
	if !ok {
		return "", nil, errMalformed
	}
	count, rest, ok := cutUvarint(rest)
	if !ok || count > maxKeys {
		return "", nil, errMalformed
	}
	keys = make([]string, count)
	for i := range keys {
		if keys[i], rest, ok = cutString(rest); !ok || len(keys[i]) > MaxKey {
			return "", nil, errMalformed
		}
	}
	if rest != "" {
		return "", nil, errMalformed
	}
	return space, keys, nil
}

func cutString(p string) (s, rest string, ok bool) {
	n, rest, ok := cutUvarint(p)
	if !ok || n > uint64(len(rest)) {
		return "", "", false
	}
	return rest[:n], rest[n:], true
}

// cutUvarint takes the shortest form only, so that an entry has one encoding.
func cutUvarint(p string) (v uint64, rest string, ok bool) {
	for i := 0; i < len(p) && i < binary.MaxVarintLen64; i++ {
		b := p[i]
		if b == 0 && i > 0 || i == binary.MaxVarintLen64-1 && b > 1 {
			return 0, "", false
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return v, p[i+1:], true
		}
	}
	return 0, "", false
}
