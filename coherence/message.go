package coherence

import (
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tiercache/tiercache/internal/token"
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
//	         'f' the same, and the nodes that attest are to confirm it
//	uvarint  length of the space's name, then the name
//	of 'f':  8 bytes, the name of the node that waits for confirmations
//	         uvarint, how long the keys are fenced, in ms; 0: not at all
//	         16 bytes, the token of the fence, if there is one
//	uvarint  number of keys, then for each: uvarint length, bytes
//
// An entry names at most 256 keys, and of several keys no more than 4 KiB.
//
// A confirmation goes to the channel <fleet>:n:<writer> and is
// "a|<who confirms>|<nonce>", with as many more "|<nonce>" as there are. The end
// of a fence is told on the channel of the bus, outside of the ring, with
// "u|<space>|<token in hex>|<key>"; it may be lost.
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
	opConfirm      = 'f'

	maxKeys  = 256       // keys of one entry
	maxBytes = 4 << 10   // of these keys, so that the ring has a few MB at most
	maxFence = time.Hour // longest life of a fence
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

// notice is the content of an entry: keys of a space were invalidated.
type notice struct {
	space  string
	keys   []string
	writer string        // the node that waits for confirmations; "": none does
	fence  token.Token   // of the write that is under way
	life   time.Duration // of the fence, whole ms; 0: there is none
}

// cut returns the keys of the next entry and those that are left.
func cut(keys []string) (part, rest []string) {
	bytes := 0
	for i, k := range keys {
		if bytes += weight(k); i == maxKeys || i > 0 && bytes > maxBytes {
			return keys[:i:i], keys[i:]
		}
	}
	return keys, nil
}

// weight is what a key takes of maxBytes.
func weight(key string) int { return binary.MaxVarintLen16 - 1 + len(key) }

// share is what keys take of an entry, of which there are maxKeys parts.
func share(keys []string) int {
	bytes := 0
	for _, k := range keys {
		bytes += weight(k)
	}
	return max(len(keys), (bytes*maxKeys+maxBytes-1)/maxBytes)
}

// append encodes a notice of at most maxKeys keys.
func (c notice) append(dst []byte) []byte {
	size := 64 + len(c.space)
	for _, k := range c.keys {
		size += binary.MaxVarintLen16 + len(k)
	}
	dst = slices.Grow(dst, size)
	if c.writer == "" {
		dst = append(dst, payloadVersion, opInvalidate)
		dst = appendString(dst, c.space)
	} else {
		dst = append(dst, payloadVersion, opConfirm)
		dst = append(appendString(dst, c.space), c.writer...)
		dst = binary.AppendUvarint(dst, uint64(c.life.Milliseconds()))
		if c.life > 0 {
			dst = append(dst, c.fence[:]...)
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.keys)))
	for _, k := range c.keys {
		dst = appendString(dst, k)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// parsePayload is the inverse of append.
func parsePayload(p string) (c notice, err error) {
	if len(p) < 2 || p[0] != payloadVersion || p[1] != opInvalidate && p[1] != opConfirm {
		return notice{}, errMalformed
	}
	confirm := p[1] == opConfirm
	rest, ok := p[2:], true
	if c.space, rest, ok = cutString(rest); !ok {
		return notice{}, errMalformed
	}
	if confirm {
		if rest, ok = c.cutConfirm(rest); !ok {
			return notice{}, errMalformed
		}
	}
	count, rest, ok := cutUvarint(rest)
	if !ok || count > maxKeys {
		return notice{}, errMalformed
	}
	c.keys = make([]string, count)
	for i := range c.keys {
		if c.keys[i], rest, ok = cutString(rest); !ok || len(c.keys[i]) > MaxKey {
			return notice{}, errMalformed
		}
	}
	if rest != "" {
		return notice{}, errMalformed
	}
	return c, nil
}

// cutConfirm reads what an 'f' has that an 'i' has not.
func (c *notice) cutConfirm(p string) (rest string, ok bool) {
	if len(p) < nodeName {
		return "", false
	}
	c.writer = p[:nodeName]
	life, rest, ok := cutUvarint(p[nodeName:])
	if !ok || life > uint64(maxFence.Milliseconds()) || life > 0 && len(rest) < len(c.fence) {
		return "", false
	}
	if c.life = time.Duration(life) * time.Millisecond; life > 0 {
		rest = rest[copy(c.fence[:], rest):]
	}
	return rest, true
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
