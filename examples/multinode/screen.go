package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// screen tells the story. On a terminal it also shows colours and a bar while
// something takes time.
type screen struct {
	out   io.Writer
	tty   bool
	start time.Time
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out, start: time.Now()}
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		s.tty = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

func (s *screen) elapsed() time.Duration { return time.Since(s.start) }

func (s *screen) begin(o options) {
	fmt.Fprintf(s.out, "tiercache multinode: %d node processes, %s, one SQLite file, seed %d\n", o.nodes, o.backendName(), o.seed)
	fmt.Fprintf(s.out, "bound D = %v, probe every %v, fence %v\n", bound, probe, fence)
}

func (s *screen) act(number int, name, promise string) {
	fmt.Fprintf(s.out, "\n%s\n", s.bold(fmt.Sprintf("ACT %d  %s: %s", number, name, promise)))
}

// step prints one line with the time since the start of the program.
func (s *screen) step(format string, args ...any) {
	fmt.Fprintf(s.out, "%6.1fs  %s\n", s.elapsed().Seconds(), fmt.Sprintf(format, args...))
}

func (s *screen) check(c Check) {
	fmt.Fprintf(s.out, "         promised  %s\n         measured  %s: %s\n", c.Promise, c.Measured, s.verdict(c.OK))
}

// wait lets the scene run for d. live, if given, is shown beside the bar.
func (s *screen) wait(ctx context.Context, d time.Duration, live func() string) error {
	if !s.tty {
		return pause(ctx, d)
	}
	defer fmt.Fprint(s.out, "\r\x1b[K")
	for begin := time.Now(); ; {
		gone := time.Since(begin)
		if gone >= d {
			return ctx.Err()
		}
		s.bar(float64(gone)/float64(d), live)
		if err := pause(ctx, min(100*time.Millisecond, d-gone)); err != nil {
			return err
		}
	}
}

func (s *screen) bar(share float64, live func() string) {
	const width = 30
	full := int(share * width)
	text := ""
	if live != nil {
		text = live()
	}
	fmt.Fprintf(s.out, "\r\x1b[K%6.1fs  [%s%s] %s", s.elapsed().Seconds(), strings.Repeat("#", full), strings.Repeat(".", width-full), text)
}

// table is the end of the story.
func (s *screen) table(p Programme) {
	rows := [][]string{{"act", "promised", "measured", "verdict"}}
	for _, r := range p.Acts {
		for _, c := range r.Checks {
			rows = append(rows, []string{fmt.Sprint(r.Act), c.Promise, c.Measured, verdict(c.OK)})
		}
		if r.Error != "" {
			rows = append(rows, []string{fmt.Sprint(r.Act), "the act can be played", "it failed", verdict(false)})
		}
	}
	fmt.Fprintln(s.out)
	if len(rows) > 1 {
		s.grid(rows)
	}
	outcome := "every promise was kept"
	if !p.OK {
		outcome = "A PROMISE BROKE"
	}
	fmt.Fprintf(s.out, "%s (%.1f s)\n", s.bold(outcome), s.elapsed().Seconds())
}

// grid prints rows in columns; the first row is the head, the last column is
// the verdict.
func (s *screen) grid(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for n, row := range rows {
		last := len(row) - 1
		for i, cell := range row[:last] {
			fmt.Fprintf(s.out, "%-*s  ", widths[i], cell)
		}
		fmt.Fprintln(s.out, s.tint(row[last]))
		if n == 0 {
			fmt.Fprintln(s.out, ruler(widths))
		}
	}
}

func ruler(widths []int) string {
	var parts []string
	for _, w := range widths {
		parts = append(parts, strings.Repeat("-", w))
	}
	return strings.Join(parts, "  ")
}

func verdict(ok bool) string {
	if ok {
		return "kept"
	}
	return "BROKEN"
}

func (s *screen) verdict(ok bool) string { return s.tint(verdict(ok)) }

func (s *screen) tint(word string) string {
	switch {
	case !s.tty:
		return word
	case word == verdict(true):
		return "\x1b[32m" + word + "\x1b[0m"
	case word == verdict(false):
		return "\x1b[1;31m" + word + "\x1b[0m"
	}
	return word
}

func (s *screen) bold(text string) string {
	if !s.tty {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}
