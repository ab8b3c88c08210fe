package history

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/anishathalye/porcupine"
)

// Register is what the source holds of a key at a moment when nothing is under way.
type Register struct {
	Commit int // the last version that was stored
	Value  int // the same, or 0 if that deleted the record
}

// after returns what the source holds after a part of the key's history: it knows the order of its commits.
func (r Register) after(part Operations) Register {
	for _, op := range part {
		if op.Commit > r.Commit {
			r = Register{op.Commit, op.Value}
		}
	}
	return r
}

// state is a register in a search, and how many reads of its value have been put in order.
type state struct {
	Register
	read int
}

// model is a register that begins with r, for one part of its history. It asks for more than linearizability:
// that writes take effect in the order in which the source counted them. Since no value is written twice, all
// reads of one come before the next write, which is not tried earlier. That changes no verdict, and spares the search
// the wrong turns that would make it exponential. Deletions are all alike, so that nothing is known of their reads.
func (r Register) model(part Operations) porcupine.Model {
	reads := make(map[int]int)
	for _, op := range part {
		if op.Commit == 0 && op.Value > 0 {
			reads[op.Value]++
		}
	}
	return porcupine.Model{
		Init: func() any { return state{Register: r} },
		Step: func(now, input, output any) (bool, any) {
			s, value := now.(state), output.(int)
			switch commit := input.(int); {
			case commit == 0 && value == s.Value && value == 0:
				return true, s
			case commit == 0:
				s.read++
				return value == s.Value, s
			default:
				return commit == s.Commit+1 && s.read == reads[s.Value], state{Register: Register{commit, value}}
			}
		},
		DescribeOperation: func(input, output any) string {
			switch commit := input.(int); {
			case commit == 0 && output == 0:
				return "no record"
			case commit == 0:
				return fmt.Sprintf("read %v", output)
			case output == 0:
				return fmt.Sprintf("delete (%d)", commit)
			default:
				return fmt.Sprintf("write %d", commit)
			}
		},
		DescribeState: func(now any) string { return fmt.Sprint(now.(state).Value) },
	}
}

// Linear checks histories of single keys with porcupine.
type Linear struct {
	Timeout time.Duration // of one part. Default 30 s
	Dir     string        // counterexamples are drawn into it; "": they are not
}

// Check returns what the key holds after a part of its history that began with r, and an error if the part is not
// linearizable, or porcupine could not tell in time.
func (l Linear) Check(key string, r Register, part Operations) (Register, error) {
	timeout := l.Timeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	next := r.after(part)
	model, ops := r.model(part), part.porcupine()
	result := porcupine.CheckOperationsTimeout(model, ops, timeout)
	if result == porcupine.Ok {
		return next, nil
	}
	err := fmt.Errorf("I15: %d operations on %s are not linearizable: %s%s", len(part), key, verdicts[result], l.draw(key, model, ops, min(timeout, drawing)))
	return next, err
}

var verdicts = map[porcupine.CheckResult]string{
	porcupine.Illegal: "no order explains them",
	porcupine.Unknown: "none was found in time",
}

// drawing bounds the second search, which notes how far it gets.
const drawing = 5 * time.Second

func (l Linear) draw(key string, model porcupine.Model, ops []porcupine.Operation, timeout time.Duration) string {
	if l.Dir == "" {
		return ""
	}
	_, info := porcupine.CheckOperationsVerbose(model, ops, timeout)
	file, err := os.CreateTemp(l.Dir, filepath.Base(key)+"-*.html")
	if err == nil {
		err = porcupine.Visualize(model, info, file)
		if closed := file.Close(); err == nil {
			err = closed
		}
	}
	if err != nil {
		return ", and cannot be drawn: " + err.Error()
	}
	return ", see " + file.Name()
}
