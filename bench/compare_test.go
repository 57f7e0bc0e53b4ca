package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRegressionsAreOfRatiosAgainstTheSamePeer(t *testing.T) {
	row := func(kase, version string, value, ratio float64) Row {
		return Row{Scenario: "srtp", Case: kase, Peer: "p", PeerVersion: version, Value: value, Ratio: ratio}
	}
	old := []Row{row("same", "1", 10, 2), row("slower", "1", 10, 2), row("noise", "1", 10, 2), row("peer", "1", 10, 2), {Scenario: "srtp", Case: "was", Peer: "p", Skipped: "why"}}
	fresh := []Row{
		row("same", "1", 40, 2), // another machine
		row("slower", "1", 10, 1.5),
		row("noise", "1", 10, 1.7),
		row("peer", "2", 10, 1), // the peer got better
		{Scenario: "srtp", Case: "was", Peer: "p", Ratio: 1},
		row("new", "1", 1, 0.1),
	}
	list, compared := regressions(old, fresh)
	if compared != 3 || len(list) != 1 || list[0].fresh.Case != "slower" || list[0].change != -0.25 {
		t.Fatalf("%d compared, %+v", compared, list)
	}
}

func TestMoreAllocationsAreARegressionWithoutNoise(t *testing.T) {
	row := func(allocs int) Row {
		return Row{Scenario: "micro", Case: "a", Peer: "p", Ratio: 2, Quick: true, Allocs: &allocs}
	}
	uncounted := row(0)
	uncounted.Allocs = nil
	for _, c := range []struct {
		old, fresh Row
		worse      int
	}{{row(0), row(1), 1}, {row(2), row(1), 0}, {row(1), row(1), 0}, {uncounted, row(3), 0}, {row(3), uncounted, 0}} {
		if list, _ := regressions([]Row{c.old}, []Row{c.fresh}); len(list) != c.worse {
			t.Errorf("%d allocations after %d: %v", allocsOf(c.fresh), allocsOf(c.old), list)
		}
	}
}

func TestCompareCommand(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"good.json":  `{"version":"1","host":{"cpu":"a"},"rows":[{"scenario":"srtp","case":"a","version":"1","peer":"p","ratio":2}]}`,
		"bad.json":   `{"version":"2","host":{"cpu":"a"},"rows":[{"scenario":"srtp","case":"a","version":"2","peer":"p","ratio":1}]}`,
		"other.json": `{"version":"2","host":{"cpu":"b"},"rows":[{"scenario":"srtp","case":"a","version":"2","peer":"p","ratio":1}]}`,
		"lines.json": `{"scenario":"srtp","case":"a","version":"2","peer":"p","ratio":1}` + "\n" + `{"scenario":"srtp","case":"b","version":"2","peer":"p","ratio":1}`,
		"quick.json": `{"scenario":"srtp","case":"a","version":"2","peer":"p","ratio":1.3,"quick":true}`,
		"not.json":   `{`,
		"text.json":  `{"a":1}`,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"good.json good.json", 0, "1 row compared, 0 worse"},
		{"good.json bad.json", 1, "srtp/a against p: 1.00x was 2.00x (-50 %)"},
		{"bad.json good.json", 0, "0 worse"},
		{"good.json other.json", 0, "told, not judged"},
		{"good.json lines.json", 1, "1.00x was 2.00x"},
		{"good.json quick.json", 0, "1 row compared, 0 worse"},
		{"good.json text.json", 2, "text.json"},
		{"good.json not.json", 2, "not.json"},
		{"good.json none.json", 2, "none.json"},
		{"good.json", 2, "OLD and NEW"},
	} {
		args := []string{"compare"}
		for _, name := range strings.Fields(c.args) {
			args = append(args, filepath.Join(dir, name))
		}
		var out, errs bytes.Buffer
		if status := bench(args, &out, &errs); status != c.status || !strings.Contains(out.String()+errs.String(), c.says) {
			t.Errorf("%s: status %d, %s%s", c.args, status, &out, &errs)
		}
	}
}

// What falls once and recovers is the machine's neighbour; what falls each
// time is a regression.
func TestAgainstBelievesWhatFallsEachTime(t *testing.T) {
	root := emptyRepository(t)
	base := Result{Version: "1", Host: thisHost(), Rows: []Row{
		{Scenario: "s", Case: "steady", Peer: "p", Ratio: 2}, {Scenario: "s", Case: "noisy", Peer: "p", Ratio: 2}, {Scenario: "s", Case: "worse", Peer: "p", Ratio: 2},
		{Scenario: "s", Case: "steady", Peer: "q", Ratio: 2},
	}}
	writeResult(t, root, base)
	var measured []string
	times := map[string]int{}
	s := &scenario{name: "s", peers: []peer{{name: "p", version: func() string { return "" }}, {name: "q", version: func() string { return "" }}}}
	s.measure = func(r *run, cases []string, peers []peer) error {
		for _, c := range cases {
			for _, p := range peers {
				measured = append(measured, c+" "+p.name)
				times[c]++
				ratio := 2.0
				if c == "worse" || c == "noisy" && times[c] == 1 {
					ratio = 1
				}
				r.emit(Row{Scenario: "s", Case: c, Peer: p.name, Ratio: ratio})
			}
		}
		return nil
	}
	all := func(ps []peer) []peer { return ps }
	for _, c := range []struct {
		cases  []string
		status int
		want   string
	}{
		{[]string{"steady"}, 0, "steady p,steady q"},
		{[]string{"steady", "noisy"}, 0, "steady p,steady q,noisy p,noisy q,noisy p"},
		{[]string{"worse"}, 1, "worse p,worse q,worse p,worse p"},
	} {
		measured, times = nil, map[string]int{}
		var out bytes.Buffer
		picked := []selection{{s, c.cases}}
		name := "1"
		if c.status == 0 {
			name = "latest"
		}
		if status := measure(options{against: name}, picked, all, &out, &out); status != c.status || strings.Join(measured, ",") != c.want {
			t.Errorf("%v: status %d, measured %v\n%s", c.cases, status, measured, &out)
		}
	}
}
