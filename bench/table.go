package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A table shows rows as they come, and a line of progress below them when the
// output is a terminal.
type table struct {
	w        io.Writer
	terminal bool
	scenario string
	lastCase string
	progress int // length of the line of progress
}

func (t *table) row(r Row) {
	t.clear()
	if r.Scenario != t.scenario {
		t.scenario, t.lastCase = r.Scenario, ""
		fmt.Fprintf(t.w, "\n%-34s %12s  %-18s %12s  %8s  %s\n", r.Scenario, "sluice", "peer", "", "ratio", "unit")
	}
	name := r.Case
	if name == t.lastCase {
		name = ""
	}
	t.lastCase = r.Case
	if r.Skipped != "" {
		fmt.Fprintf(t.w, "%-34s %12s  %-18s skipped: %s\n", name, "", r.Peer, r.Skipped)
		return
	}
	note := r.Unit
	if r.Allocs != nil && *r.Allocs > 0 {
		note += fmt.Sprintf(", %d allocs", *r.Allocs)
	}
	fmt.Fprintf(t.w, "%-34s %12s  %-18s %12s  %7.2fx  %s\n", name, figure(r.Value), r.Peer, figure(r.PeerValue), r.Ratio, note)
	if r.terse {
		return
	}
	for _, line := range also(r) {
		fmt.Fprintf(t.w, "%-34s %12s  %-18s %12s\n", "    "+line[0], line[1], "", line[2])
	}
}

// also lists the further figures of a row: name, ours, the peer's.
func also(r Row) [][3]string {
	names := map[string]bool{}
	for k := range r.Also {
		names[k] = true
	}
	for k := range r.PeerAlso {
		names[k] = true
	}
	value := func(m map[string]float64, k string) string {
		if v, ok := m[k]; ok {
			return figure(v)
		}
		return "-"
	}
	var list [][3]string
	for k := range names {
		list = append(list, [3]string{k, value(r.Also, k), value(r.PeerAlso, k)})
	}
	slices.SortFunc(list, func(a, b [3]string) int { return strings.Compare(a[0], b[0]) })
	return list
}

// figure prints a value with about four digits.
func figure(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func (t *table) status(format string, args ...any) {
	if !t.terminal {
		return
	}
	t.clear()
	s := fmt.Sprintf(format, args...)
	t.progress = len(s)
	fmt.Fprint(t.w, s)
}

func (t *table) clear() {
	if t.progress > 0 {
		fmt.Fprintf(t.w, "\r%s\r", strings.Repeat(" ", t.progress))
		t.progress = 0
	}
}
