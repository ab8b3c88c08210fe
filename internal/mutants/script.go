package main

import (
	"fmt"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// An embedded script is a variable that the overlay gives another name to. In its
// place it puts one that is made from it, without the guard of the mutant that is on.
type embedded struct{ variable, text string }

// addScript cuts a Lua script in the package that embeds it.
func (m *mutation) addScript(r row, script string) error {
	text, err := os.ReadFile(filepath.Join(m.root, filepath.FromSlash(script)))
	if err != nil {
		return err
	}
	if n := strings.Count(string(text), r.guard); n != 1 || r.guard == "" {
		return fmt.Errorf("the guard stands there %d times, not once: %s", n, r.guard)
	}
	for dir := path.Dir(script); ; dir = path.Dir(dir) {
		files, err := filepath.Glob(filepath.Join(m.root, filepath.FromSlash(dir), "*.go"))
		if err != nil {
			return err
		}
		for _, file := range files {
			s, err := m.source(path.Join(dir, filepath.Base(file)))
			if err != nil {
				return err
			}
			if v := s.embeds("//go:embed " + strings.TrimPrefix(script, dir+"/")); v != nil {
				s.addScript(r, v)
				return nil
			}
		}
		if dir == "." {
			return fmt.Errorf("no Go file embeds it in a variable")
		}
	}
}

func (s *source) addScript(r row, v *ast.Ident) {
	at := slices.IndexFunc(s.scripts, func(e *embedded) bool { return e.variable == v.Name })
	if at < 0 {
		e := &embedded{variable: v.Name, text: "mutantEmbedded_" + v.Name}
		s.insert(cut{whole: s.span(v), rename: e.text})
		s.scripts, at = append(s.scripts, e), len(s.scripts)
	}
	e := s.scripts[at]
	e.text = fmt.Sprintf("mutantScript(%s, %q, %q, %q)", e.text, r.name, r.guard, r.instead)
}

// embeds returns the variable that a directive is for, or nil.
func (s *source) embeds(directive string) *ast.Ident {
	says := func(doc *ast.CommentGroup) bool {
		return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return c.Text == directive })
	}
	for _, d := range s.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			if v, ok := spec.(*ast.ValueSpec); ok && (says(g.Doc) || says(v.Doc)) {
				return v.Names[0]
			}
		}
	}
	return nil
}
