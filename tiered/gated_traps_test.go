package tiered

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
)

// traps is a hook that runs a test's code around a client's commands.
type traps struct {
	mu    sync.Mutex
	set   []*trap
	twice bool // send every command two times
}

type trap struct {
	command string // GET, or a script's name
	after   bool
	keep    bool // do not disarm when it springs
	run     func() error
}

// before runs f once, before the next such command. Its error keeps the command
// from being sent.
func (t *traps) before(command string, f func() error) { t.arm(&trap{command: command, run: f}) }

// after runs f once, when the next such command has its reply. Its error takes
// the place of the reply.
func (t *traps) after(command string, f func() error) {
	t.arm(&trap{command: command, after: true, run: f})
}

// fail keeps all such commands from being sent until disarm.
func (t *traps) fail(command string) {
	t.arm(&trap{command: command, keep: true, run: func() error { return errCut }})
}

var errCut = errors.New("the connection was cut")

func (t *traps) arm(tr *trap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set = append(t.set, tr)
}

func (t *traps) disarm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set = nil
}

// spring runs the traps for the commands and disarms them first, so that what
// they run does not step into them.
func (t *traps) spring(after bool, names []string) error {
	t.mu.Lock()
	var sprung []*trap
	t.set = slices.DeleteFunc(t.set, func(tr *trap) bool {
		hit := tr.after == after && slices.Contains(names, tr.command)
		if hit {
			sprung = append(sprung, tr)
		}
		return hit && !tr.keep
	})
	t.mu.Unlock()
	for _, tr := range sprung {
		if err := tr.run(); err != nil {
			return err
		}
	}
	return nil
}

func (t *traps) DialHook(next redis.DialHook) redis.DialHook { return next }

func (t *traps) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		name := []string{nameOf(cmd.Args())}
		if err := t.spring(false, name); err != nil {
			cmd.SetErr(err)
			return err
		}
		err := next(ctx, cmd)
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			return err
		}
		if t.twice {
			err = next(ctx, cmd)
		}
		if trapped := t.spring(true, name); trapped != nil {
			cmd.SetErr(trapped)
			return trapped
		}
		return err
	}
}

func (t *traps) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		names := make([]string, len(cmds))
		for i, cmd := range cmds {
			names[i] = nameOf(cmd.Args())
		}
		if err := t.spring(false, names); err != nil {
			return failAll(cmds, err)
		}
		err := next(ctx, cmds)
		for i, cmd := range cmds {
			if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
				names[i] = ""
			}
		}
		if t.twice && !slices.Contains(names, "") {
			err = next(ctx, cmds)
		}
		if trapped := t.spring(true, names); trapped != nil {
			return failAll(cmds, trapped)
		}
		return err
	}
}

func failAll(cmds []redis.Cmder, err error) error {
	for _, cmd := range cmds {
		cmd.SetErr(err)
	}
	return err
}

// digests names the scripts that some client has sent by their source.
var digests sync.Map

var scriptName = regexp.MustCompile(`^-- ([A-Z]+) `)

// nameOf tells which command or script is sent: "" for a script that no server
// has run yet, or that no embedded server runs.
func nameOf(args []any) string {
	command, _ := args[0].(string)
	switch command = strings.ToUpper(command); command {
	case "EVALSHA":
		name, _ := digests.Load(args[1])
		text, _ := name.(string)
		return text
	case "EVAL":
		source, _ := args[1].(string)
		name := scriptName.FindStringSubmatch(source)
		if name == nil {
			return ""
		}
		sum := sha1.Sum([]byte(source))
		digests.Store(hex.EncodeToString(sum[:]), name[1])
		return name[1]
	}
	return command
}

// intercept runs f in the server, once, before the next such script. If f returns
// a text, that script does not run from then on and that is its error.
func (s *stage) intercept(script string, f func() string) {
	var once sync.Once
	refusal := ""
	s.redis.Intercept(func(c *server.Peer, cmd string, args ...string) bool {
		if cmd != "EVAL" && cmd != "EVALSHA" || nameOf([]any{cmd, args[0]}) != script {
			return false
		}
		once.Do(func() { refusal = f() })
		if refusal != "" {
			c.WriteError(refusal)
		}
		return refusal != ""
	})
}
