package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"slices"
)

// A source is a Go file and the cuts that are to be made in it.
type source struct {
	name, text string
	fset       *token.FileSet
	file       *ast.File
	cuts       []cut
	scripts    []*embedded
}

func parse(name, text string) (*source, error) {
	s := &source{name: name, text: text, fset: token.NewFileSet()}
	var err error
	s.file, err = parser.ParseFile(s.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return s, err
}

// A span is a range of bytes of the file.
type span struct{ from, to int }

func (s span) contains(o span) bool { return s.from <= o.from && o.to <= s.to }
func (s span) apart(o span) bool    { return s.to <= o.from || o.to <= s.from }

func (s *source) offset(p token.Pos) int    { return s.fset.Position(p).Offset }
func (s *source) span(n ast.Node) span      { return span{s.offset(n.Pos()), s.offset(n.End())} }
func (s *source) at(where span) string      { return s.text[where.from:where.to] }
func (s *source) words(n ast.Node) []string { return words(s.at(s.span(n))) }

// words returns the tokens of a piece of code. Comments and the ends of lines are none.
func words(code string) (found []string) {
	var sc scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(code))
	sc.Init(file, []byte(code), func(token.Position, string) {}, 0)
	for {
		_, tok, lit := sc.Scan()
		switch {
		case tok == token.EOF:
			return found
		case tok == token.SEMICOLON:
		case lit != "":
			found = append(found, lit)
		default:
			found = append(found, tok.String())
		}
	}
}

// body returns the body of the only function of that name, or method as Type.name.
func (s *source) body(name string) (*ast.BlockStmt, error) {
	var found *ast.BlockStmt
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil || f.Name.Name != name && receiver(f)+"."+f.Name.Name != name {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("the file has two functions of that name: write Type.%s", name)
		}
		found = f.Body
	}
	if found == nil {
		return nil, fmt.Errorf("the file has no function %q", name)
	}
	return found, nil
}

// receiver returns the type that f is a method of.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	for t := f.Recv.List[0].Type; ; {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// find returns the only node below body that reads like code, behind those that it
// stands in. A statement goes before the expression that is all of it.
func (s *source) find(body *ast.BlockStmt, code string) (path []ast.Node, err error) {
	want := words(code)
	var stack []ast.Node
	count := 0
	ast.Inspect(body, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		stack = append(stack, n)
		_, expr := n.(ast.Expr)
		_, stmt := n.(ast.Stmt)
		if (expr || stmt) && slices.Equal(s.words(n), want) && (count == 0 || s.span(n) != s.span(path[len(path)-1])) {
			count++
			path = slices.Clone(stack)
		}
		return true
	})
	if count != 1 {
		return nil, fmt.Errorf("the guard stands there %d times, not once: %s", count, code)
	}
	return path, nil
}

// mutated returns the file with every cut in it behind the switch of its row. Its
// error names the row without which the file would be Go.
func (s *source) mutated() (string, error) {
	text := s.render(span{0, len(s.text)}, s.cuts)
	for _, e := range s.scripts {
		text += fmt.Sprintf("\nvar %s = %s\n", e.variable, e.text)
	}
	if err := isGo(text); err != nil {
		for _, c := range s.cuts {
			if isGo(s.render(span{0, len(s.text)}, []cut{c})) != nil {
				return "", fmt.Errorf("%s: %s: what stands there instead is no Go: %s", c.row.name, c.row.place, c.row.instead)
			}
		}
		return "", fmt.Errorf("%s with its mutants is no Go: %w", s.name, err)
	}
	return text, nil
}

func isGo(text string) error {
	_, err := parser.ParseFile(token.NewFileSet(), "", text, parser.SkipObjectResolution)
	return err
}
