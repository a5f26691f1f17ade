// Termsvg draws the text on its standard input as a picture of a terminal, in
// SVG, for light and dark pages. Lines that begin with "$ " are commands.
//
//	termsvg -title upload < screen.txt > screen.svg
package main

import (
	"bufio"
	"flag"
	"fmt"
	"html"
	"io"
	"log"
	"os"
	"strings"
	"unicode/utf8"
)

// Sizes in pixels.
const (
	charWidth  = 8.43
	lineHeight = 21
	margin     = 20
	barHeight  = 36
)

const style = `<style>
svg{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.window{fill:#fbfbfa;stroke:#d5d5d0}.dot{fill:#d5d5d0}.title,.prompt{fill:#77776f}
.text{fill:#3d3d38}.command{fill:#111110;font-weight:600}
@media (prefers-color-scheme:dark){
.window{fill:#17181a;stroke:#34363a}.dot{fill:#3f4247}.title,.prompt{fill:#8b8f96}
.text{fill:#c5c8ce}.command{fill:#f3f4f6}}
</style>
`

func main() {
	title := flag.String("title", "", "what the window is called")
	flag.Parse()
	if err := draw(os.Stdout, os.Stdin, *title); err != nil {
		log.Fatal(err)
	}
}

func draw(w io.Writer, r io.Reader, title string) error {
	var lines []string
	columns := 0
	in := bufio.NewScanner(r)
	for in.Scan() {
		lines = append(lines, strings.TrimRight(in.Text(), " "))
		columns = max(columns, utf8.RuneCountInString(lines[len(lines)-1]))
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("read the screen: %w", err)
	}
	width := float64(columns)*charWidth + 2*margin
	height := len(lines)*lineHeight + barHeight + margin
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" viewBox="0 0 %.0f %d" role="img" aria-label="%s">`+"\n%s",
		width, height, width, height, html.EscapeString(title), style)
	fmt.Fprintf(out, `<rect class="window" x=".5" y=".5" width="%.0f" height="%d" rx="9"/>`+"\n", width-1, height-1)
	for i := range 3 {
		fmt.Fprintf(out, `<circle class="dot" cx="%d" cy="18" r="5.5"/>`, margin+i*18)
	}
	fmt.Fprintf(out, "\n"+`<text class="title" x="50%%" y="23" text-anchor="middle">%s</text>`+"\n", html.EscapeString(title))
	for i, line := range lines {
		y := barHeight + (i+1)*lineHeight - 6
		span(out, line, y)
	}
	fmt.Fprintln(out, "</svg>")
	return out.Flush()
}

func span(w io.Writer, line string, y int) {
	if line == "" {
		return
	}
	if command, ok := strings.CutPrefix(line, "$ "); ok {
		fmt.Fprintf(w, `<text xml:space="preserve" x="%d" y="%d"><tspan class="prompt">$ </tspan><tspan class="command">%s</tspan></text>`+"\n",
			margin, y, html.EscapeString(command))
		return
	}
	fmt.Fprintf(w, `<text class="text" xml:space="preserve" x="%d" y="%d" textLength="%.0f" lengthAdjust="spacing">%s</text>`+"\n",
		margin, y, float64(utf8.RuneCountInString(line))*charWidth, html.EscapeString(line))
}
