package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// Programme is the whole run, as -json prints it.
type Programme struct {
	Acts    []Result `json:"acts"`
	OK      bool     `json:"ok"`
	Seed    uint64   `json:"seed"`
	Nodes   int      `json:"nodes"`
	Redis   string   `json:"redis"`
	Seconds float64  `json:"seconds"`
	Error   string   `json:"error,omitempty"`
}

// Result is one act: what was promised, and what was measured. The unit of a
// figure is the end of its name.
type Result struct {
	Act     int            `json:"act"`
	Name    string         `json:"name"`
	Promise string         `json:"promise"`
	OK      bool           `json:"ok"`
	Checks  []Check        `json:"checks"`
	Figures map[string]any `json:"figures"`
	Error   string         `json:"error,omitempty"`

	screen *screen
}

// Check is one promise and what came of it.
type Check struct {
	Promise  string `json:"promise"`
	Measured string `json:"measured"`
	OK       bool   `json:"ok"`
}

// check enters a promise and its measurement, and shows them.
func (r *Result) check(ok bool, promise, format string, args ...any) {
	c := Check{promise, fmt.Sprintf(format, args...), ok}
	r.Checks = append(r.Checks, c)
	r.OK = r.OK && ok
	r.screen.check(c)
}

// step tells what happens now.
func (r *Result) step(format string, args ...any) { r.screen.step(format, args...) }

func (p *Programme) add(r Result) {
	p.Acts = append(p.Acts, r)
	p.OK = p.OK && r.OK
}

func (p *Programme) writeJSON(w io.Writer) error {
	line, err := json.Marshal(p)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", line)
	return err
}
