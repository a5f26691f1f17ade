package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Sizes of a chart in pixels.
const (
	width    = 820
	margin   = 18
	rowStep  = 23
	barThick = 13
	heading  = 74
	letter   = 7.2 // of a text, at most
	// valueWidth is for the number behind a bar.
	valueWidth = 52
)

// style holds for both schemes of colours: who opens the file says which. A
// chart has its own ground, so that it is readable on any page.
const style = `<style>
.ground{fill:#fff;stroke:#d8dee6}.title{font-weight:600;font-size:15px}
text{font-family:system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;font-size:12px;fill:#1f2937}
.quiet{fill:#5b6675}.peer{fill:#aab4c2}.ours{fill:#2563eb}.lean{fill:#7aa5f5}.name{font-weight:600}
.cut{stroke:#fff;stroke-width:2.5;fill:none}.grid{stroke:#e5e9ef}.run{fill:#1f2937;fill-opacity:.55}
.line0{stroke:#2563eb}.line1{stroke:#0f9d76}.dot0{fill:#2563eb}.dot1{fill:#0f9d76}
@media (prefers-color-scheme:dark){
.ground{fill:#10151d;stroke:#2b3442}text{fill:#e6eaf0}.quiet{fill:#9aa6b6}
.peer{fill:#566273}.ours{fill:#4f8df7}.lean{fill:#2f5fae}.cut{stroke:#10151d}.grid{stroke:#232c39}.run{fill:#e6eaf0}
.line0{stroke:#4f8df7}.line1{stroke:#35c79a}.dot0{fill:#4f8df7}.dot1{fill:#35c79a}}
</style>
`

// A drawing is an SVG that is being written.
type drawing struct{ strings.Builder }

func newDrawing(title string, height int) *drawing {
	d := &drawing{}
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n",
		width, height, width, height, escaped(title))
	_, _ = io.WriteString(d, style)
	fmt.Fprintf(d, `<rect class="ground" x=".5" y=".5" width="%d" height="%d" rx="8"/>`+"\n", width-1, height-1)
	d.text(margin, 28, "title", "start", title)
	return d
}

func (d *drawing) text(x, y float64, class, anchor, s string) {
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, escaped(s))
}

func (d *drawing) end() string { return d.String() + "</svg>\n" }

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

// drawBars draws a row for each label, in the order of the first panel, and the
// panels beside each other.
func drawBars(title string, panels []panel, values [][]bar) string {
	rows := values[0]
	d := newDrawing(title, heading+len(rows)*rowStep+margin)
	var longest float64
	for i, b := range rows {
		_, name := classes(b)
		d.text(margin, rowMiddle(i)+4, name, "start", b.label)
		longest = max(longest, letter*float64(len([]rune(b.label))))
	}
	start := margin + longest + 14
	each := (width - start) / float64(len(panels))
	for i, p := range panels {
		d.panel(p, rows, values[i], start+float64(i)*each, each-margin)
	}
	return d.end()
}

func rowMiddle(row int) float64 { return float64(heading + row*rowStep + rowStep/2) }

// panel draws the bars of one quantity within a width, from x on.
func (d *drawing) panel(p panel, rows, bars []bar, x, width float64) {
	hint := "less is better"
	if p.more {
		hint = "more is better"
	}
	d.text(x, 50, "name", "start", fmt.Sprintf("%s, %s", p.title, p.unit))
	d.text(x, 66, "quiet", "start", hint)
	var largest float64
	for _, b := range bars {
		largest = max(largest, b.value, slices.Max(b.runs))
	}
	if p.clip > 0 {
		largest = min(largest, p.clip)
	}
	scale := (width - valueWidth) / largest
	for _, b := range bars {
		row := slices.IndexFunc(rows, func(r bar) bool { return r.label == b.label })
		if row >= 0 {
			d.bar(b, x, rowMiddle(row), scale, largest)
		}
	}
}

// classes are those of a bar and of its texts.
func classes(b bar) (fill, text string) {
	switch {
	case !b.ours():
		return "peer", "quiet"
	case strings.HasSuffix(b.label, ", lean"):
		return "lean", "name"
	default:
		return "ours", "name"
	}
}

// bar draws one bar, cut at the largest value that has room.
func (d *drawing) bar(b bar, x, middle, scale, largest float64) {
	fill, name := classes(b)
	end := min(b.value, largest)
	fmt.Fprintf(d, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%d" rx="2"/>`+"\n",
		fill, x, middle-barThick/2., max(end*scale, 1), barThick)
	if b.value > largest {
		// Two strokes of the ground say that the bar goes on.
		fmt.Fprintf(d, `<path class="cut" d="M%.1f %.1fl5 -17m4 0l-5 17"/>`+"\n", x+end*scale-22, middle+8.5)
	}
	if len(b.runs) > 1 && b.value <= largest {
		for _, run := range b.runs {
			fmt.Fprintf(d, `<circle class="run" cx="%.1f" cy="%.1f" r="1.8"/>`+"\n", x+run*scale, middle)
			end = max(end, run)
		}
	}
	d.text(x+end*scale+6, middle+4, name, "start", format(b.value))
}

// drawLines draws memory over time, from zero up.
func drawLines(title string, all []line) string {
	const plotHeight, left = 190, 46
	d := newDrawing(title, heading+plotHeight+44)
	var top float64
	longest := 0
	for _, l := range all {
		top = max(top, slices.Max(l.values))
		longest = max(longest, len(l.values))
	}
	step := gridStep(top)
	top = step * math.Ceil(top*1.05/step)
	base := float64(heading + plotHeight)
	inner := float64(width - left - margin)
	for v := 0.0; v <= top; v += step {
		y := base - v/top*plotHeight
		fmt.Fprintf(d, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`+"\n", left, width-margin, y, y)
		d.text(left-6, y+4, "quiet", "end", format(v))
	}
	d.text(margin, 50, "quiet", "start", "MiB")
	legend := float64(left)
	for i, l := range all {
		var points strings.Builder
		for j, v := range l.values {
			fmt.Fprintf(&points, "%.1f,%.1f ", left+inner*float64(j)/float64(longest-1), base-v/top*plotHeight)
		}
		fmt.Fprintf(d, `<polyline class="line%d" fill="none" stroke-width="2" points="%s"/>`+"\n", i%2, strings.TrimSpace(points.String()))
		fmt.Fprintf(d, `<circle class="dot%d" cx="%.1f" cy="46" r="4"/>`+"\n", i%2, legend+10)
		label := fmt.Sprintf("%s (%d s)", l.label, len(l.values))
		d.text(legend+20, 50, "", "start", label)
		legend += 34 + letter*float64(len(label))
	}
	d.text(left, base+18, "quiet", "middle", "0")
	d.text(width-margin, base+18, "quiet", "end", fmt.Sprintf("%d s", longest))
	return d.end()
}

// gridStep is 1, 2 or 5 times a power of ten, four or so to the top.
func gridStep(top float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(top/4)))
	for _, m := range []float64{1, 2, 5} {
		if power*m*4 >= top {
			return power * m
		}
	}
	return power * 10
}
