package main

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// emptyRepository makes the files by which the command knows a repository,
// goes there, and returns its root.
func emptyRepository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	below := filepath.Join(root, "bench")
	for _, dir := range []string{filepath.Join(root, "perf", "results"), below} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "perf", "README.md"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	return root
}

func writeResult(t *testing.T, root string, res Result) {
	t.Helper()
	b, err := res.marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "perf", "results", res.Version+".json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSaveReplacesTheSameRowsAndKeepsOthers(t *testing.T) {
	root := emptyRepository(t)
	day := time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)
	host := Host{CPU: "x", Cores: 2, Kernel: "6.1"}
	a, b := Row{Scenario: "s", Case: "a", Peer: "p", Value: 1}, Row{Scenario: "s", Case: "b", Peer: "p", Value: 2}
	for _, rows := range [][]Row{{a, b}, {{Scenario: "s", Case: "a", Peer: "p", Value: 3}}} {
		if _, err := save("v", host, rows, day); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(root, "perf", "results", "v.json")
	got, err := readResult(name)
	if err != nil {
		t.Fatal(err)
	}
	a.Value = 3
	if want := (Result{"v", "2026-03-01", host, []Row{a, b}}); !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v", got)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n != 4 {
		t.Errorf("%d lines for two rows", n)
	}
	host.Kernel = "6.2" // an update of the system
	if _, err := save("v", host, []Row{a}, day); err != nil {
		t.Error(err)
	}
	host.CPU = "y"
	if _, err := save("v", host, []Row{a}, day); !errors.Is(err, errOtherHost) {
		t.Errorf("rows of another processor: %v", err)
	}
	if _, err := save("w", host, []Row{a}, day); err != nil {
		t.Errorf("another version on another processor: %v", err)
	}
}

func TestReportWritesThePageAndTheChartsOfTheNewestResult(t *testing.T) {
	root := emptyRepository(t)
	row := func(kase, peer string, ratio float64) Row {
		return Row{Scenario: "srtp", Case: kase, Peer: peer, PeerVersion: "v9", Unit: "ns/packet", Better: lower, Value: 10, PeerValue: 10 * ratio, Ratio: ratio}
	}
	skipped := Row{Scenario: "srtp", Case: "a", Peer: "r", Skipped: "not <here>"}
	writeResult(t, root, Result{"0.9", "2026-01-02", Host{CPU: "x"}, []Row{row("a", "p", 1), row("b", "p", 4), row("gone", "p", 100)}})
	writeResult(t, root, Result{"0.10", "2026-02-01", Host{CPU: "x"}, []Row{row("a", "p", 2), skipped, row("b", "p", 8), row("new", "p", 1), row("a", "q", 0.5)}})
	var out, errs bytes.Buffer
	if status := bench([]string{"report"}, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, &errs)
	}
	for _, name := range []string{"report.html", "ratios-srtp.png", "history-srtp.png"} {
		b, err := os.ReadFile(filepath.Join(root, "perf", "results", name))
		if err != nil || len(b) < 1000 || !strings.Contains(out.String(), name) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
		if strings.HasSuffix(name, ".png") && !bytes.HasPrefix(b, []byte("\x89PNG")) {
			t.Errorf("%s is no PNG", name)
		}
	}
	page, _ := os.ReadFile(filepath.Join(root, "perf", "results", "report.html"))
	for _, want := range []string{"Sluice 0.10", "p v9", "2.00x", "0.50x", "not &lt;here&gt;", `src="ratios-srtp.png"`, `src="history-srtp.png"`} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(string(page), "100.00x") {
		t.Error("the page shows an old version's rows")
	}
	all, err := savedResults()
	if err != nil {
		t.Fatal(err)
	}
	// Of a and b alone: the geometric means of 1 and 4, of 2 and 8.
	if got := history(all, "srtp", "p"); len(got) != 2 || math.Abs(got[0].Y-2) > 1e-9 || math.Abs(got[1].Y-4) > 1e-9 {
		t.Errorf("history %v", got)
	}
	if got := history(all, "srtp", "q"); len(got) != 1 || got[0].X != 1 {
		t.Errorf("history of a new peer %v", got)
	}
	if status := bench([]string{"report", "x"}, &out, &errs); status != 2 {
		t.Errorf("status %d with an argument", status)
	}
}

func TestReportNeedsAResult(t *testing.T) {
	emptyRepository(t)
	var out, errs bytes.Buffer
	if status := bench([]string{"report"}, &out, &errs); status != 1 || !strings.Contains(errs.String(), "-save") {
		t.Errorf("status %d: %s", status, &errs)
	}
}

func TestTablesOfDocumentsComeFromResults(t *testing.T) {
	all := []Result{{Version: "1", Host: Host{CPU: "x", Cores: 2}, Rows: []Row{
		{Scenario: "s", Case: "a/b", Unit: "us", Value: 4.89, Peer: "p", PeerVersion: "v1", Ratio: 4.2123},
		{Scenario: "s", Case: "a/b", Unit: "us", Value: 4.89, Peer: "q", PeerVersion: "v2", Ratio: 12.6},
		{Scenario: "s", Case: "c", Unit: "ns", Value: 100, Peer: "p", PeerVersion: "v1", Ratio: 0.5},
		{Scenario: "s", Case: "d", Peer: "p", Skipped: "why"},
	}}}
	doc := "before\n<!-- bench 1: s/a/b s/c -->\nold\n<!-- bench end -->\nafter\n"
	fresh, err := renewTables([]byte(doc), all)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"before\n<!-- bench 1: s/a/b s/c -->\n| ", "| `s/a/b` | 4.89 us | 4.2x | 13x |", "| `s/c` | 100.0 ns | 0.5x |", "| p v1 | q v2 |", "<!-- bench end -->\nafter\n"} {
		if !strings.Contains(string(fresh), want) {
			t.Errorf("no %q in\n%s", want, fresh)
		}
	}
	again, err := renewTables(fresh, all)
	if err != nil || !bytes.Equal(again, fresh) {
		t.Errorf("a second renewal changes the table: %v\n%s", err, again)
	}
	for _, bad := range []string{"<!-- bench 2: s/c -->\n<!-- bench end -->", "<!-- bench 1: s/d -->\n<!-- bench end -->", "<!-- bench latest: t/c -->\n<!-- bench end -->"} {
		if _, err := renewTables([]byte(bad), all); err == nil {
			t.Errorf("%s is renewed", bad)
		}
	}
}

func TestUnbackedFiguresAreFound(t *testing.T) {
	all := []Result{{Version: "1", Rows: []Row{{Scenario: "s", Case: "a/b", Peer: "p", Ratio: 4.2123}}}}
	for doc, want := range map[string]int{
		"4.2x<!-- 1 s/a/b p --> better":                   0,
		"4.21x<!-- latest s/a/b p --> better":             0,
		"4x<!-- 1 s/a/b p -->":                            0,
		"4.3x<!-- 1 s/a/b p -->":                          1,
		"4.2x<!-- 1 s/a/b q -->":                          1,
		"4.2x<!-- 2 s/a/b p -->":                          1,
		"4.2x better":                                     1,
		"from 1.5x to 2x":                                 2,
		"video/1x50, 0x2f, AVX2x, 20x10":                  0,
		"<!-- bench 1: s/a/b -->\n9x\n<!-- bench end -->": 0,
	} {
		if got := unbacked(doc, all); len(got) != want {
			t.Errorf("%q: %q", doc, got)
		}
	}
}

// A figure in a document that no saved result backs is a claim without a
// harness.
func TestFiguresOfTheDocumentsAreBacked(t *testing.T) {
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	all, err := savedResults()
	if err != nil {
		t.Fatal(err)
	}
	names, err := documents(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 4 {
		t.Fatalf("only %q are documents", names)
	}
	for _, name := range names {
		doc, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, figure := range unbacked(string(doc), all) {
			t.Errorf("%s: no saved result backs %s", name, figure)
		}
		fresh, err := renewTables(doc, all)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(fresh, doc) {
			t.Errorf("%s: its tables are not those of perf/results; run go run ./bench report", name)
		}
	}
}
