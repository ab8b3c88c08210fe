// Package token makes the 16-byte tokens that name one load or one write.
//
// A token is never used for two of them: a token per client would let a late
// message of one load pass for a message of the next (the ABA problem).
package token

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"sync/atomic"
)

// Size is the length of a token in bytes.
const Size = 16

// Token names one load or one write: 8 random bytes of this process, then a counter.
type Token [Size]byte

var (
	process = randomPrefix()
	counter atomic.Uint64
)

func randomPrefix() (p [8]byte) {
	rand.Read(p[:]) // never fails: crypto/rand ends the process first
	return p
}

// New returns a token that nothing else in this process has, and, but for a
// chance of 2^-64 per pair, no other process either. It is safe for concurrent use.
func New() Token {
	var t Token
	copy(t[:], process[:])
	binary.BigEndian.PutUint64(t[len(process):], counter.Add(1))
	return t
}

// String returns the 16 raw bytes, the form that records in Redis hold.
func (t Token) String() string { return string(t[:]) }

// Hex returns 32 hexadecimal digits, the form for text and for bus nonces.
func (t Token) Hex() string { return hex.EncodeToString(t[:]) }

// Parse is the inverse of Hex.
func Parse(text string) (t Token, err error) {
	if len(text) != 2*Size {
		return t, errors.New("token: not 32 hexadecimal digits")
	}
	_, err = hex.Decode(t[:], []byte(text))
	return t, err
}
