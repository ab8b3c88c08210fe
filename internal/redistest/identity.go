package redistest

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"github.com/alicebob/miniredis/v2/server"
)

// faked is what an embedded server shows of itself and miniredis does not know.
type faked struct {
	mu                  sync.Mutex
	runID, replID, role string
	failure             string
	intercept           server.Hook
}

// SetIdentity sets what INFO and ROLE show: the run_id and master_replid (40 hex digits in a real
// server) and the role, "master" or "slave". Connections stay open, as they do at a promotion.
// A "slave" still takes writes.
func (e *Embedded) SetIdentity(runID, replID, role string) {
	e.faked.mu.Lock()
	defer e.faked.mu.Unlock()
	e.faked.runID, e.faked.replID, e.faked.role = runID, replID, role
}

// Identity returns what SetIdentity or the last start set.
func (e *Embedded) Identity() (runID, replID, role string) {
	e.faked.mu.Lock()
	defer e.faked.mu.Unlock()
	return e.faked.runID, e.faked.replID, e.faked.role
}

// NewProcess gives the server a fresh run_id and master_replid and the role of master, as a restart
// does, but closes no connection. Restart, RestartEmpty and Restore call it.
func (e *Embedded) NewProcess() { e.SetIdentity(freshID(), freshID(), "master") }

// SetError makes every command fail with msg, for example "LOADING Redis is loading the dataset in
// memory". An empty msg ends that. It outlives a restart.
func (e *Embedded) SetError(msg string) {
	e.faked.mu.Lock()
	defer e.faked.mu.Unlock()
	e.faked.failure = msg
}

// Intercept runs h before every command; nil ends that. A true result means that h wrote the reply
// itself. It outlives a restart. h also sees what scripts call, and there it runs under the lock of the
// whole server: a hook that waits must wait on commands only clients send, such as EVALSHA.
func (e *Embedded) Intercept(h server.Hook) {
	e.faked.mu.Lock()
	defer e.faked.mu.Unlock()
	e.faked.intercept = h
}

// hook answers for miniredis what it does not know or knows differently. It runs before each command,
// those inside scripts included, and takes no lock of miniredis.
func (e *Embedded) hook(c *server.Peer, cmd string, args ...string) bool {
	e.faked.mu.Lock()
	failure, intercept := e.faked.failure, e.faked.intercept
	e.faked.mu.Unlock()
	if intercept != nil && intercept(c, cmd, args...) {
		return true
	}
	if failure != "" {
		c.WriteError(failure)
		return true
	}
	switch cmd {
	case "INFO":
		c.WriteBulk(e.info(args))
	case "ROLE":
		e.writeRole(c)
	case "CLIENT":
		return e.client(c, args)
	default:
		return false
	}
	return true
}

// info renders the asked sections in the order of a real server; none asked means all. Unknown ones
// are left out, as Redis does.
func (e *Embedded) info(asked []string) string {
	runID, replID, role := e.Identity()
	sections := []struct{ name, body string }{
		{"Server", "redis_version:6.2.0\r\nredis_mode:standalone\r\nrun_id:" + runID + "\r\ntcp_port:" + e.Port()},
		{"Memory", "maxmemory:0\r\nmaxmemory_policy:noeviction"},
		{"Replication", "role:" + role + "\r\nconnected_slaves:0\r\nmaster_replid:" + replID + "\r\nmaster_repl_offset:0"},
		{"Cluster", "cluster_enabled:0"},
	}
	var out []string
	for _, s := range sections {
		if wanted(s.name, asked) {
			out = append(out, "# "+s.name+"\r\n"+s.body+"\r\n")
		}
	}
	return strings.Join(out, "\r\n")
}

func wanted(section string, asked []string) bool {
	return len(asked) == 0 || slices.ContainsFunc(asked, func(a string) bool {
		a = strings.ToLower(a)
		return a == strings.ToLower(section) || a == "all" || a == "default" || a == "everything"
	})
}

func (e *Embedded) writeRole(c *server.Peer) {
	_, _, role := e.Identity()
	c.Block(func(w *server.Writer) {
		if role == "master" {
			w.WriteLen(3)
			w.WriteBulk(role)
			w.WriteInt(0)
			w.WriteLen(0)
			return
		}
		w.WriteLen(5)
		w.WriteBulk(role)
		w.WriteBulk(e.Host())
		w.WriteRaw(":" + e.Port() + "\r\n")
		w.WriteBulk("connected")
		w.WriteInt(0)
	})
}

// client answers CLIENT SETINFO and CLIENT ID, which go-redis may send on each new connection.
func (e *Embedded) client(c *server.Peer, args []string) bool {
	if len(args) == 0 {
		return false
	}
	switch strings.ToUpper(args[0]) {
	case "SETINFO":
		c.WriteOK()
	case "ID":
		c.WriteInt(1)
	default:
		return false
	}
	return true
}

func freshID() string {
	var b [20]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
