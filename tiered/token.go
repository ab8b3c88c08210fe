package tiered

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tiercache/tiercache/coherence"
)

// A Token stands for a write that has returned, so that whoever carries it sees the
// write on every node: Issue fills it, AtLeast asks for it. It survives as text, in a
// session or a cookie, and tells nothing but the place of the write in the fleet's
// history. The zero Token stands for no write.
type Token struct {
	epoch, number uint64
	nonce         string
}

// String returns the token as text without spaces; "" for the zero Token.
func (t Token) String() string {
	if t.epoch == 0 {
		return ""
	}
	return strconv.FormatUint(t.epoch, 36) + "." + strconv.FormatUint(t.number, 36) + "." + t.nonce
}

// ParseToken is the inverse of String. Any text is safe: one that this fleet has not
// made costs the reads that carry it a look into Redis.
func ParseToken(text string) (Token, error) {
	if text == "" {
		return Token{}, nil
	}
	var t Token
	var err1, err2 error
	epoch, rest, _ := strings.Cut(text, ".")
	number, nonce, _ := strings.Cut(rest, ".")
	t.epoch, err1 = strconv.ParseUint(epoch, 36, 53)
	t.number, err2 = strconv.ParseUint(number, 36, 53)
	t.nonce = nonce
	if err1 != nil || err2 != nil || t.epoch == 0 || t.number == 0 || len(nonce) != 32 || t.String() != text {
		return Token{}, fmt.Errorf("tiercache: %.80q is no token", text)
	}
	if strings.Trim(nonce, "0123456789abcdef") != "" {
		return Token{}, fmt.Errorf("tiercache: %.80q is no token", text)
	}
	return t, nil
}

// Issue makes an Update or InvalidateMany fill in token, if it returns no error but
// ErrNotFound: give it to whoever must see the write.
func Issue(token *Token) Option { return Option{kind: optionIssue, issue: token} }

// AtLeast makes Get, GetMany and Peek return nothing older than the write for which
// token was issued. A node that has not heard of the write drops its own copy of the
// key and looks into Redis; one that has serves its copy as usual.
func AtLeast(token Token) Option { return Option{kind: optionAtLeast, token: token} }

// issued fills in the token that was asked for.
func (l lifetime) issued(r coherence.Receipt) {
	if l.issue != nil {
		l.issue.epoch, l.issue.number, l.issue.nonce = r.Position()
	}
}

// includes reports whether every copy here is at least as young as a token.
func (c *Cache[V]) includes(t Token) bool {
	if t.epoch == 0 {
		return true
	}
	if c.node.Includes(t.epoch, t.number, t.nonce) {
		return true
	}
	c.node.Check()
	return false
}
