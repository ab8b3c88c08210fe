package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Places below the root of the module.
const (
	resultsDir = "internal/benchreport/results"
	plotsDir   = "docs/plots"
	pageFile   = "docs/performance.md"
)

// The table of targets stands between these lines of the page.
const (
	tableBegin = "<!-- targets: written by benchreport -->\n"
	tableEnd   = "<!-- end of targets -->\n"
)

// readResults parses what is kept, by group. A group that was never run is absent.
func readResults(root string) (map[string]raw, error) {
	results := make(map[string]raw)
	for _, g := range groups {
		f, err := os.Open(filepath.Join(root, resultsDir, g.name+".txt"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		results[g.name], err = parse(f)
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	return results, nil
}

// rendered returns all files that are drawn from the results, by their place.
func rendered(root string, results map[string]raw) (map[string]string, error) {
	files := make(map[string]string)
	for _, g := range groups {
		if r, ok := results[g.name]; ok {
			files[filepath.Join(plotsDir, g.name+".svg")] = plot(g, r)
		}
	}
	page, err := os.ReadFile(filepath.Join(root, pageFile))
	if err != nil {
		return nil, err
	}
	files[pageFile], err = withTable(string(page), targetTable(results))
	return files, err
}

func withTable(page, table string) (string, error) {
	before, rest, found := strings.Cut(page, tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		return "", fmt.Errorf("%s: no place for the table of targets", pageFile)
	}
	return before + tableBegin + table + tableEnd + after, nil
}

func render(root string) error {
	results, err := readResults(root)
	if err != nil {
		return err
	}
	files, err := rendered(root, results)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, plotsDir), 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
