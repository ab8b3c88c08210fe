package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// variable is the environment variable that names the mutant to be.
const variable = "TIERCACHE_MUTANT"

// writeOverlay writes the mutated files into dir, and the overlay for the go command
// that puts them in place. It returns the path of the latter.
func writeOverlay(root, dir string, rows []row) (string, error) {
	files, err := mutate(root, rows)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	replace := make(map[string]string, len(files))
	for name, text := range files {
		from := filepath.Join(dir, strings.ReplaceAll(name, "/", "-"))
		replace[filepath.Join(root, filepath.FromSlash(name))] = from
		if err := os.WriteFile(from, []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	at := filepath.Join(dir, "overlay.json")
	return at, os.WriteFile(at, overlay, 0o644)
}

// mutate returns the files, by their path below root, that the rows replace or add.
// Its error names every row that does not fit the code.
func mutate(root string, rows []row) (map[string]string, error) {
	m := mutation{root: root, sources: make(map[string]*source)}
	var errs []error
	for _, r := range rows {
		if err := m.add(r); err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: %w", r.name, r.place, err))
		}
	}
	files := make(map[string]string)
	for name, s := range m.sources {
		if len(s.cuts) == 0 {
			continue
		}
		text, err := s.mutated()
		if err != nil {
			errs = append(errs, err)
		}
		files[name] = text
		files[path.Join(path.Dir(name), "mutants_overlay.go")] = fmt.Sprintf(helper, s.file.Name.Name, variable)
	}
	return files, errors.Join(errs...)
}

// helper is the file that the overlay adds to a package.
const helper = `package %s

import (
	"os"
	"strings"
)

var mutantNamed = os.Getenv(%q)

func mutantOn(name string) bool { return mutantNamed == name }

func mutantScript(text, name, guard, instead string) string {
	if !mutantOn(name) {
		return text
	}
	return strings.Replace(text, guard, instead, 1)
}

var _ = mutantScript
`

// A mutation is an overlay while it is made.
type mutation struct {
	root    string
	sources map[string]*source // by path
}

func (m *mutation) add(r row) error {
	name, function, ok := strings.Cut(r.place, ":")
	if path.Ext(name) == ".lua" && !ok {
		return m.addScript(r, name)
	}
	s, err := m.source(name)
	if err != nil {
		return err
	}
	return s.add(r, function)
}

// source returns the Go file of that path.
func (m *mutation) source(name string) (*source, error) {
	if s := m.sources[name]; s != nil {
		return s, nil
	}
	text, err := os.ReadFile(filepath.Join(m.root, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	s, err := parse(name, string(text))
	m.sources[name] = s
	return s, err
}
