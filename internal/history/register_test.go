package history

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"pgregory.net/rapid"
)

func read(call, end int64, value int) Operation {
	return Operation{Call: call, Return: end, Value: value}
}

func write(call, end int64, commit int) Operation {
	return Operation{Call: call, Return: end, Commit: commit, Value: commit}
}

func erase(call, end int64, commit int) Operation {
	return Operation{Call: call, Return: end, Commit: commit}
}

func TestCheck(t *testing.T) {
	for _, x := range []struct {
		name string
		part Operations
		ok   bool
	}{
		{"the value from before", Operations{read(1, 2, 1)}, true},
		{"another one", Operations{read(1, 2, 2)}, false},
		{"a new value while it is written", Operations{write(1, 10, 2), read(2, 3, 2), read(4, 11, 2)}, true},
		{"the old one again, after the new one", Operations{write(1, 10, 2), read(2, 3, 2), read(4, 5, 1)}, false},
		{"new and old at the same time", Operations{write(1, 10, 2), read(2, 4, 2), read(3, 5, 1)}, true},
		{"the old value after the write", Operations{write(1, 10, 2), read(11, 12, 1)}, false},
		{"the old value at the instant of its end", Operations{write(1, 10, 2), read(10, 12, 1)}, true},
		{"before it was written", Operations{read(1, 2, 2), write(3, 4, 2)}, false},
		{"writes in the order of the source", Operations{write(1, 10, 3), write(2, 11, 2), read(12, 13, 3)}, true},
		{"in another order", Operations{write(1, 10, 3), write(2, 11, 2), read(12, 13, 2)}, false},
		{"a write that is missing", Operations{write(1, 10, 3)}, false},
		{"no record, after a deletion", Operations{erase(1, 10, 2), read(11, 12, 0)}, true},
		{"no record, before the next write", Operations{erase(1, 10, 2), write(11, 20, 3), read(19, 21, 0)}, true},
		{"no record, after the next write", Operations{erase(1, 10, 2), write(11, 20, 3), read(21, 22, 0)}, false},
		{"no record, deleted before or after", Operations{erase(1, 2, 2), write(3, 9, 3), erase(4, 10, 4), read(5, 6, 0), read(7, 8, 3)}, true},
		{"a record that was deleted", Operations{erase(1, 10, 2), read(11, 12, 1)}, false},
	} {
		_, err := Linear{}.Check("k", Register{1, 1}, x.part)
		if (err == nil) != x.ok {
			t.Errorf("%s: error %v", x.name, err)
		}
	}
}

func TestCheckReturnsWhatIsHeldThen(t *testing.T) {
	for _, x := range []struct {
		part Operations
		want Register
	}{
		{Operations{read(1, 2, 7)}, Register{7, 7}},
		{Operations{write(1, 9, 9), write(2, 8, 8)}, Register{9, 9}},
		{Operations{write(1, 9, 8), erase(2, 8, 9)}, Register{9, 0}},
	} {
		if got, err := (Linear{}).Check("k", Register{7, 7}, x.part); got != x.want || err != nil {
			t.Errorf("%v leaves %v, %v, want %v", x.part, got, err, x.want)
		}
	}
}

func TestCounterexampleIsDrawn(t *testing.T) {
	dir := t.TempDir()
	_, err := Linear{Dir: dir}.Check("k", Register{1, 1}, Operations{write(1, 10, 2), read(11, 12, 1)})
	files, _ := filepath.Glob(filepath.Join(dir, "k-*.html"))
	if err == nil || len(files) != 1 || !strings.Contains(err.Error(), files[0]) {
		t.Fatalf("error %v, files %q", err, files)
	}
	if text, _ := os.ReadFile(files[0]); !strings.Contains(string(text), "write 2") {
		t.Errorf("%d bytes are drawn, without the write", len(text))
	}
	_, err = Linear{Dir: filepath.Join(dir, "nowhere")}.Check("k", Register{1, 1}, Operations{read(1, 2, 2)})
	if err == nil || !strings.Contains(err.Error(), "cannot be drawn") {
		t.Errorf("error %v, want one that says why there is no drawing", err)
	}
}

// A search that is cut short has shown nothing. Of so many reads at once that one is wrong takes forever to prove.
func TestUndecidedIsNoPass(t *testing.T) {
	part := Operations{read(1, 2, 9)}
	for range 60 {
		part = append(part, read(1, 3, 1))
	}
	_, err := Linear{Timeout: 20 * time.Millisecond}.Check("k", Register{1, 1}, part)
	if err == nil || !strings.Contains(err.Error(), verdicts[porcupine.Unknown]) {
		t.Errorf("error %v, want one that says that nothing was decided", err)
	}
}

// The model's shortcut changes no verdict: it says what a plain register says whose writes come in order.
func TestShortcutChangesNoVerdict(t *testing.T) {
	plain := porcupine.Model{
		Init: func() any { return Register{1, 1} },
		Step: func(now, input, output any) (bool, any) {
			if commit := input.(int); commit > 0 {
				return commit == now.(Register).Commit+1, Register{commit, output.(int)}
			}
			return output == now.(Register).Value, now
		},
	}
	verdicts := make(map[bool]int)
	rapid.Check(t, func(t *rapid.T) {
		var part Operations
		n := rapid.IntRange(0, 4).Draw(t, "writes")
		interval := func() (int64, int64) {
			call := rapid.Int64Range(0, 30).Draw(t, "call")
			return call, call + rapid.Int64Range(0, 12).Draw(t, "length")
		}
		for i := range n {
			op := write(0, 0, 2+i)
			op.Call, op.Return = interval()
			op.Value *= rapid.IntRange(0, 1).Draw(t, "kept")
			part = append(part, op)
		}
		for range rapid.IntRange(1, 6).Draw(t, "reads") {
			op := read(0, 0, rapid.IntRange(0, n+1).Draw(t, "value"))
			op.Call, op.Return = interval()
			part = append(part, op)
		}
		want := porcupine.CheckOperations(plain, part.porcupine())
		_, err := Linear{}.Check("k", Register{1, 1}, part)
		if (err == nil) != want {
			t.Errorf("linearizable: %t, error %v", want, err)
		}
		verdicts[want]++
	})
	if verdicts[true] == 0 || verdicts[false] == 0 {
		t.Errorf("only one verdict came about: %v", verdicts)
	}
}
