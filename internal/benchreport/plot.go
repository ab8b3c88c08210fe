package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The plot of a group: for each case one row a variant, a dot at the median of its
// ratio to the floor and a bar from the least to the greatest.

const (
	plotWidth  = 820
	labelWidth = 190
	valueWidth = 190
	rowHeight  = 18
	headHeight = 26
	topHeight  = 44
)

// Colours for a light and a dark page; the background is the page's own.
const plotStyle = `<style>
text{font:12px -apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#1f2328}
.title{font-size:15px;font-weight:600}.head{font-weight:600}.note,.tick{fill:#59636e;font-size:11px}
.grid{stroke:#d1d9e0}.floor{stroke:#59636e;stroke-dasharray:4 3}
.peer{fill:#818b98;stroke:#818b98}.ours{fill:#0969da;stroke:#0969da}.us{fill:#0969da;font-weight:600}
@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.note,.tick{fill:#9198a1}
.grid{stroke:#3d444d}.floor{stroke:#9198a1}.peer{fill:#9198a1;stroke:#9198a1}
.ours{fill:#4493f8;stroke:#4493f8}.us{fill:#4493f8}}
</style>
`

// plot draws a group's figure. Equal results give equal bytes.
func plot(g group, r raw) string {
	rows := figures(g, ratios(g, r))
	axis := newAxis(g, rows)
	var body strings.Builder
	y, last, first := topHeight, "\x00", true
	for _, row := range rows {
		if row.kase != last {
			if last = row.kase; row.kase != "" || !first {
				y += headHeight
				fmt.Fprintf(&body, "<text class=\"head\" x=\"8\" y=\"%d\">%s</text>\n", y-8, escape(strings.ReplaceAll(row.kase, "/", ", ")))
			}
			first = false
		}
		body.WriteString(drawRow(row, axis, y))
		y += rowHeight
	}
	height := y + 22 + 2*16 + 10
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">`+"\n",
		plotWidth, height, plotWidth, height)
	fmt.Fprintf(&s, "<title>%s: %s</title>\n%s", g.name, escape(g.about), plotStyle)
	fmt.Fprintf(&s, "<text class=\"title\" x=\"8\" y=\"20\">%s</text>\n", g.name)
	better := "left is better"
	if g.higher {
		better = "right is better"
	}
	fmt.Fprintf(&s, "<text class=\"note\" x=\"8\" y=\"37\">%s; %s</text>\n", escape(g.about), better)
	s.WriteString(axis.draw(topHeight, y))
	s.WriteString(body.String())
	for i, note := range machine(r.header) {
		fmt.Fprintf(&s, "<text class=\"note\" x=\"8\" y=\"%d\">%s</text>\n", y+22+16*(i+1), escape(note))
	}
	s.WriteString("</svg>\n")
	return s.String()
}

// figures are the ratios by the first metric of each case.
func figures(g group, all []ratio) (rows []ratio) {
	for _, r := range all {
		if r.metric == g.metrics(r.kase)[0] {
			rows = append(rows, r)
		}
	}
	return rows
}

func drawRow(r ratio, a axis, y int) string {
	class, name := "peer", ""
	if strings.HasPrefix(r.variant, "tiercache") {
		class, name = "ours", ` class="us"`
	}
	middle := y + rowHeight/2
	var s strings.Builder
	fmt.Fprintf(&s, "<text%s x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>", name, labelWidth-8, middle+4, escape(r.variant))
	fmt.Fprintf(&s, "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke-width=\"2\"/>",
		class, a.x(r.over.min), a.x(r.over.max), middle, middle)
	fmt.Fprintf(&s, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%d\" r=\"4\"/>", class, a.x(r.over.median), middle)
	fmt.Fprintf(&s, "<text%s x=\"%d\" y=\"%d\">%s</text>\n", name, plotWidth-valueWidth+16, middle+4,
		escape(fmt.Sprintf("%s  (%s)", times(r.over.median), amount(r.value.median, r.metric))))
	return s.String()
}

// An axis maps ratios to the drawing: by logarithm, or for shares from 0.
type axis struct {
	low, high float64
	linear    bool
}

func newAxis(g group, rows []ratio) axis {
	a := axis{low: 0.9, high: 1.1, linear: g.higher}
	for _, r := range rows {
		a.low, a.high = min(a.low, r.over.min), max(a.high, r.over.max)
	}
	if a.linear {
		a.low = 0
	} else {
		a.low = max(a.low, 1e-6) / 1.05
	}
	a.high *= 1.05
	return a
}

func (a axis) x(v float64) float64 {
	share := v / a.high
	if !a.linear {
		share = math.Log(max(v, a.low)/a.low) / math.Log(a.high/a.low)
	}
	return labelWidth + share*(plotWidth-labelWidth-valueWidth)
}

// ticks are 1, 2 and 5 times powers of ten, or the powers alone if there are many.
func (a axis) ticks() (ticks []float64) {
	if a.linear {
		for i := range int(a.high/0.2) + 1 {
			ticks = append(ticks, float64(i)/5)
		}
		return ticks
	}
	steps := []float64{1, 2, 5}
	if a.high/a.low > 1000 {
		steps = steps[:1]
	}
	for power := -6; power <= 9; power++ {
		for _, step := range steps {
			if v := step * math.Pow10(power); v >= a.low && v <= a.high {
				ticks = append(ticks, v)
			}
		}
	}
	return ticks
}

func (a axis) draw(top, bottom int) string {
	var s strings.Builder
	for _, v := range a.ticks() {
		class := "grid"
		if v == 1 {
			class = "floor"
		}
		x := a.x(v)
		fmt.Fprintf(&s, "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", class, x, x, top, bottom)
		fmt.Fprintf(&s, "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%gx</text>\n", x, bottom+14, v)
	}
	return s.String()
}

// machine are the lines that stand under each plot.
func machine(h map[string]string) []string {
	return []string{
		fmt.Sprintf("%s, %s cores, %s/%s; %s, redis-server %s", h["cpu"], h["cores"], h["goos"], h["goarch"], h["go"], h["redis"]),
		fmt.Sprintf("%s; %s rounds of %s each; load average at the start %s", h["date"], h["rounds"], h["benchtime"], h["load"]),
	}
}

func escape(s string) string { return html.EscapeString(s) }
