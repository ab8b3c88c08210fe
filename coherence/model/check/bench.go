package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	patience = 20 * time.Minute // of one search
	depth    = "2000000"        // steps that a search may be deep
	memory   = "3500"           // MB that a search may take
)

// A bench is where searches are made.
type bench struct {
	dir     string
	sources string // the directory of the models
	trails  bool
}

// search makes one trial in a directory of its own. The trail is empty if none was
// asked for or none was found.
func (b *bench) search(number int, t trial) (r result, trail string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dir := filepath.Join(b.dir, fmt.Sprint(number))
	if err := b.copyModel(t.model, dir); err != nil {
		return r, "", err
	}
	if out, err := command(ctx, dir, "spin", append(t.defines(), "-a", "model.pml")...); err != nil || strings.Contains(out, "Error:") {
		return r, "", fmt.Errorf("spin: %w\n%s", err, out)
	}
	optimize := "-O2"
	switch { // the compiler must not take longer than the search
	case t.guard != "" && t.model == strong:
		optimize = "-O0"
	case t.guard != "" || t.model == strong:
		optimize = "-O1"
	}
	if out, err := command(ctx, dir, "gcc", optimize, "-w", "-DSAFETY", "-DNOREDUCE", "-DNOFAIR", "-DMEMLIM="+memory, "-o", "pan", "pan.c"); err != nil {
		return r, "", fmt.Errorf("gcc: %w\n%s", err, out)
	}
	out, err := command(ctx, dir, "./pan", "-m"+depth, "-w24", "-n")
	if r, err = parse(out, err); err != nil {
		return r, "", err
	}
	if b.trails && r.errors > 0 {
		trail, err = command(ctx, dir, "spin", append(t.defines(), "-t", "-p", "model.pml")...)
	}
	return r, trail, err
}

func (b *bench) copyModel(model, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(b.sources, model, "*.pml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no *.pml in %s: run it from the root of the repository", filepath.Join(b.sources, model))
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}
