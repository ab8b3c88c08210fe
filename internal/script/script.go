// Package script runs the Lua scripts of the protocol on Redis.
//
// A script is sent by its digest and, to a server that has forgotten it, again by
// its source. Every script recognises the token of a call that it has served
// already, so sending one twice is harmless.
package script

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// allowOOM lets a script write on a server (Redis 7 and later) that is over its maxmemory.
const allowOOM = "#!lua flags=allow-oom\n"

// A Script is the source of a Lua script. It is immutable.
type Script struct {
	plain, preferred form // the same unless the script may write under OOM
}

// form is a script as a server knows it.
type form struct{ source, digest string }

// New returns the script with source src, which must not begin with a shebang line.
// With underOOM it also runs on a server over its maxmemory, which refuses other
// scripts that write. Only servers that know script flags grant that.
func New(src string, underOOM bool) *Script {
	s := &Script{plain: newForm(src)}
	s.preferred = s.plain
	if underOOM {
		s.preferred = newForm(allowOOM + src)
	}
	return s
}

func newForm(src string) form {
	digest := sha1.Sum([]byte(src))
	return form{source: src, digest: hex.EncodeToString(digest[:])}
}

// refusesFlags reports whether err is the answer of a server that does not know the
// first line of allowOOM: to miniredis and Redis before 7 it is bad Lua ("near '#'").
func refusesFlags(err error) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return false
	}
	return strings.Contains(reply.Error(), "near '#'") || strings.Contains(reply.Error(), "shebang")
}
