package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// A cut replaces a guard. A condition is replaced where it stands. Of anything else
// there are two copies of a part of the file: the mutant runs that with the cut.
type cut struct {
	row       row
	guard     span
	whole     span // what there are two copies of; the guard itself if it is a condition
	condition bool
	rename    string // the only thing done to whole, if it is set
}

// add puts a cut at the guard of r, which stands in that function.
func (s *source) add(r row, function string) error {
	body, err := s.body(function)
	if err != nil {
		return err
	}
	path, err := s.find(body, r.guard)
	if err != nil {
		return err
	}
	c := cut{row: r, guard: s.span(path[len(path)-1])}
	if c.condition = isCondition(path); c.condition {
		c.whole = c.guard
	} else {
		c.whole = s.around(path)
	}
	for _, o := range s.cuts {
		if o.row.name == r.name && o.entangled(c) {
			return fmt.Errorf("two rows of one mutant cut one statement: make it one row: %s", r.guard)
		}
	}
	s.insert(c)
	return nil
}

// insert keeps the cuts in order: those within another come behind it.
func (s *source) insert(c cut) {
	s.cuts = append(s.cuts, c)
	slices.SortStableFunc(s.cuts, func(a, b cut) int {
		return cmp.Or(cmp.Compare(a.whole.from, b.whole.from), cmp.Compare(b.whole.to, a.whole.to))
	})
}

// entangled reports whether c and o cannot both be on.
func (c cut) entangled(o cut) bool {
	if o.whole.contains(c.whole) {
		c, o = o, c
	}
	return c.whole.contains(o.whole) && !o.whole.apart(c.guard)
}

// isCondition reports whether the last node of path is an expression that is known to
// be boolean by its form or by where it stands.
func isCondition(path []ast.Node) bool {
	switch x := path[len(path)-1].(type) {
	case *ast.BinaryExpr:
		if slices.Contains([]token.Token{token.LAND, token.LOR, token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ}, x.Op) {
			return true
		}
	case *ast.UnaryExpr:
		if x.Op == token.NOT {
			return true
		}
	}
	for i := len(path) - 1; i > 0; i-- {
		switch p := path[i-1].(type) {
		case *ast.ParenExpr:
			continue
		case *ast.BinaryExpr:
			return p.Op == token.LAND || p.Op == token.LOR
		case *ast.UnaryExpr:
			return p.Op == token.NOT
		case *ast.IfStmt:
			return p.Cond == path[i]
		case *ast.ForStmt:
			return p.Cond == path[i]
		}
		return false
	}
	return false
}

// around returns the innermost statement of a list that the last node of path is in.
// If it declares names, the rest of the list belongs to it.
func (s *source) around(path []ast.Node) span {
	for i := len(path) - 1; i > 0; i-- {
		list := statements(path[i-1])
		at := slices.IndexFunc(list, func(stmt ast.Stmt) bool { return stmt == path[i] })
		if at < 0 {
			continue
		}
		whole := s.span(path[i])
		if declares(list[at]) {
			whole.to = s.offset(list[len(list)-1].End())
		}
		return whole
	}
	panic("a body is a list of statements")
}

// statements returns the list that n is the parent of, if that is what n is.
func statements(n ast.Node) []ast.Stmt {
	switch n := n.(type) {
	case *ast.BlockStmt:
		if len(n.List) > 0 && isClause(n.List[0]) {
			return nil
		}
		return n.List
	case *ast.CaseClause:
		return n.Body
	case *ast.CommClause:
		return n.Body
	}
	return nil
}

// isClause reports whether stmt is a case of a switch or select.
func isClause(stmt ast.Stmt) bool {
	switch stmt.(type) {
	case *ast.CaseClause, *ast.CommClause:
		return true
	}
	return false
}

func declares(stmt ast.Stmt) bool {
	switch stmt := stmt.(type) {
	case *ast.AssignStmt:
		return stmt.Tok == token.DEFINE
	case *ast.DeclStmt:
		return true
	}
	return false
}

// render returns a part of the file with its cuts, which are sorted, the outer ones first.
func (s *source) render(part span, cuts []cut) string {
	var b strings.Builder
	for len(cuts) > 0 {
		c := cuts[0]
		inner := slices.IndexFunc(cuts[1:], func(o cut) bool { return !c.whole.contains(o.whole) }) + 1
		if inner == 0 {
			inner = len(cuts)
		}
		b.WriteString(s.text[part.from:c.whole.from])
		b.WriteString(s.switched(c, cuts[1:inner]))
		part.from, cuts = c.whole.to, cuts[inner:]
	}
	b.WriteString(s.at(part))
	return b.String()
}

// switched returns what c makes of its part of the file, which has cuts of its own.
func (s *source) switched(c cut, inner []cut) string {
	if c.rename != "" {
		return c.rename
	}
	on, without := fmt.Sprintf("mutantOn(%q)", c.row.name), s.render(c.whole, inner)
	if c.condition {
		return fmt.Sprintf("(%s && (%s) || !%s && (%s))", on, c.row.instead, on, without)
	}
	var before, behind []cut // of the same mutant; no other is on
	for _, o := range inner {
		switch {
		case o.row.name != c.row.name:
		case o.whole.to <= c.guard.from:
			before = append(before, o)
		case o.whole.from >= c.guard.to:
			behind = append(behind, o)
		}
	}
	with := s.render(span{c.whole.from, c.guard.from}, before) + c.row.instead + s.render(span{c.guard.to, c.whole.to}, behind)
	return fmt.Sprintf("if %s {\n%s\n} else {\n%s\n}", on, with, without)
}
