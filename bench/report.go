package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed report.html.tmpl
var reportPage string

// reportScenario is a section of the report: the newest result's rows of a
// scenario.
type reportScenario struct {
	Name, About    string
	Chart, History string // file names beside the page; empty: none
	Peers          []string
	Rows           []Row
}

// report is the subcommand: it writes the page and the charts, and renews the
// tables of the documents, all from perf/results.
func report(args []string, stdout, stderr io.Writer) int {
	if len(args) != 0 {
		fmt.Fprintln(stderr, "bench: report takes no arguments: it reads perf/results")
		return 2
	}
	written, err := writeReport()
	if err != nil {
		fmt.Fprintf(stderr, "bench: report: %v\n", err)
		return 1
	}
	for _, name := range written {
		fmt.Fprintln(stdout, name)
	}
	return 0
}

// writeReport returns the names of the files it wrote.
func writeReport() (written []string, err error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	all, err := savedResults()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no results below perf/results; make one with -save")
	}
	newest := all[len(all)-1]
	dir := filepath.Join(root, "perf", "results")
	sections := sectionsOf(newest)
	for i := range sections {
		s := &sections[i]
		if s.Chart, err = drawRatios(dir, s.Name, s.Rows); err != nil {
			return nil, err
		}
		if s.History, err = drawHistory(dir, s.Name, all); err != nil {
			return nil, err
		}
		for _, name := range []string{s.Chart, s.History} {
			if name != "" {
				written = append(written, filepath.Join(dir, name))
			}
		}
	}
	page := filepath.Join(dir, "report.html")
	f, err := os.Create(page)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := reportTemplate().Execute(f, map[string]any{"Newest": newest, "All": all, "Sections": sections}); err != nil {
		return nil, err
	}
	docs, err := renewDocuments(root, all)
	return append(append(written, page), docs...), err
}

func reportTemplate() *template.Template {
	return template.Must(template.New("report").Funcs(template.FuncMap{
		"figure": figure,
		"also":   also,
		"ratio":  func(v float64) string { return fmt.Sprintf("%.2fx", v) },
		"ahead":  func(v float64) bool { return v >= 1 },
	}).Parse(reportPage))
}

// sectionsOf keeps the order of the scenarios' table; what the table does not
// know any more comes last.
func sectionsOf(res Result) (list []reportScenario) {
	for _, s := range scenarios() {
		list = append(list, reportScenario{Name: s.name, About: s.about})
	}
	for _, r := range res.Rows {
		i := slices.IndexFunc(list, func(s reportScenario) bool { return s.Name == r.Scenario })
		if i < 0 {
			i, list = len(list), append(list, reportScenario{Name: r.Scenario})
		}
		s := &list[i]
		s.Rows = append(s.Rows, r)
		if peer := strings.TrimSpace(r.Peer + " " + r.PeerVersion); r.Skipped == "" && !slices.Contains(s.Peers, peer) {
			s.Peers = append(s.Peers, peer)
		}
	}
	for i := range list {
		groupCases(list[i].Rows)
	}
	return slices.DeleteFunc(list, func(s reportScenario) bool { return len(s.Rows) == 0 })
}

// groupCases brings the rows of a case together, in the order in which cases
// and peers first came.
func groupCases(rows []Row) {
	at := map[string]int{}
	for i, r := range rows {
		for _, key := range []string{r.Case, " " + r.Peer} {
			if _, ok := at[key]; !ok {
				at[key] = i
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		if d := at[a.Case] - at[b.Case]; d != 0 {
			return d
		}
		return at[" "+a.Peer] - at[" "+b.Peer]
	})
}

// geometricMean is the mean that ratios have; NaN of none.
func geometricMean(ratios []float64) float64 {
	sum := 0.0
	for _, v := range ratios {
		sum += math.Log(v)
	}
	return math.Exp(sum / float64(len(ratios)))
}
