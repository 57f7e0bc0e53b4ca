package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && runChild(os.Args[1], os.Args[2:]) {
		return
	}
	os.Exit(m.Run())
}

func TestPercentile(t *testing.T) {
	xs := []float64{50, 10, 40, 20, 30}
	for _, c := range []struct{ p, want float64 }{{0, 10}, {10, 14}, {25, 20}, {50, 30}, {90, 46}, {100, 50}} {
		if got := percentile(xs, c.p); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("p%v: %v, want %v", c.p, got, c.want)
		}
	}
	if !slices.Equal(xs, []float64{50, 10, 40, 20, 30}) {
		t.Error("the argument was changed")
	}
	if got := percentile([]float64{7}, 10); got != 7 {
		t.Errorf("of one value: %v", got)
	}
	if got := percentile(nil, 50); !math.IsNaN(got) {
		t.Errorf("of none: %v", got)
	}
}

// A neighbour that makes some rounds slow for both moves neither the ratio of
// the others nor their median.
func TestRatioIsOfEachRound(t *testing.T) {
	ours := []float64{10, 10, 30, 30, 10}
	peer := []float64{20, 20, 60, 60, 20}
	row := Row{Better: lower}
	row.compare(ours, peer)
	if row.Ratio != 2 || row.Value != 10 || row.PeerValue != 20 || row.Rounds != 5 || row.Skipped != "" {
		t.Fatalf("%+v", row)
	}
	row = Row{Better: higher}
	row.compare(ours, peer)
	if row.Ratio != 0.5 || row.Value != 30 || row.PeerValue != 60 {
		t.Fatalf("%+v", row)
	}
}

func TestRoundsWithoutAValueSayNothing(t *testing.T) {
	if got := ratios([]float64{0, 2, math.NaN(), 4}, []float64{1, 4, 1, 0}, lower); !slices.Equal(got, []float64{2}) {
		t.Fatal(got)
	}
	var row Row
	if row.compare(nil, nil); row.Skipped == "" {
		t.Fatal("a row without rounds is neither measured nor skipped")
	}
	row = Row{}
	if row.compare([]float64{0}, []float64{1}); row.Skipped == "" || writeLines(io.Discard, []Row{row}) != nil {
		t.Fatal("a row without figures is neither measured nor skipped, or cannot be written")
	}
}

// Others script against these names.
func TestRowKeepsTheContract(t *testing.T) {
	zero := 0
	row := Row{
		Scenario: "srtp", Case: "protect/gcm128/1000B/batch16", Unit: "ns/packet", Better: lower, Value: 150.2, Version: "1",
		Peer: "pion/srtp", PeerVersion: "v3.1.3", PeerValue: 410, Ratio: 2.73, Rounds: 61, Allocs: &zero,
	}
	var b bytes.Buffer
	if err := writeLines(&b, []Row{row}); err != nil {
		t.Fatal(err)
	}
	want := `{"scenario":"srtp","case":"protect/gcm128/1000B/batch16","unit":"ns/packet","better":"lower","value":150.2,"version":"1",` +
		`"peer":"pion/srtp","peer_version":"v3.1.3","peer_value":410,"ratio":2.73,"rounds":61,"allocs":0}` + "\n"
	if b.String() != want {
		t.Errorf("got  %swant %s", b.String(), want)
	}
	b.Reset()
	if err := writeLines(&b, []Row{{Scenario: "s", Case: "c", Version: "1", Peer: "p", Skipped: "why"}}); err != nil {
		t.Fatal(err)
	}
	if want := `{"scenario":"s","case":"c","version":"1","peer":"p","skipped":"why"}` + "\n"; b.String() != want {
		t.Errorf("got  %swant %s", b.String(), want)
	}
}

func testTable() []*scenario {
	version := func() string { return "v" }
	works := func(r *run, cases []string, peers []peer) error {
		for _, c := range cases {
			for _, p := range peers {
				row := Row{Scenario: "alpha", Case: c, Unit: "ns/op", Better: lower, Peer: p.name, PeerVersion: p.version()}
				row.compare([]float64{1, 1}, []float64{3, 3})
				r.emit(row)
			}
		}
		return nil
	}
	return []*scenario{
		{name: "alpha", cases: []string{"x/1", "x/2", "xy/1"}, quick: []string{"x/1"}, measure: works,
			peers: []peer{{name: "here", version: version}, {name: "absent", version: version, missing: func() string { return "not installed" }}}},
		{name: "beta", cases: []string{"z"}, measure: works, missing: func() string { return "wrong system" },
			peers: []peer{{name: "here", version: version}}},
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		args  string
		quick bool
		want  string // cases, or part of the error after "!"
	}{
		{"alpha", false, "alpha:x/1,x/2,xy/1"},
		{"alpha", true, "alpha:x/1"},
		{"alpha/x", false, "alpha:x/1,x/2"},
		{"alpha/x/2 alpha/x", true, "alpha:x/2,x/1"},
		{"beta alpha/xy", false, "alpha:xy/1 beta:z"},
		{"alpha/q", false, "!no case"},
		{"gamma", false, "!no scenario"},
	} {
		got, err := choose(testTable(), strings.Fields(c.args), c.quick)
		if part, isErr := strings.CutPrefix(c.want, "!"); isErr {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v", c.args, err)
			}
			continue
		}
		var list []string
		for _, s := range got {
			list = append(list, s.name+":"+strings.Join(s.cases, ","))
		}
		if have := strings.Join(list, " "); err != nil || have != c.want {
			t.Errorf("%s: %q, %v", c.args, have, err)
		}
	}
}

func TestEveryPeerGetsARow(t *testing.T) {
	table := testTable()
	picked, err := choose(table, []string{"alpha/x", "beta"}, false)
	if err != nil {
		t.Fatal(err)
	}
	all, err := choosePeers(table, "")
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if status := measure(options{json: "-"}, picked, all, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, &errs)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		var r Row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		outcome := "measured"
		if r.Skipped != "" {
			outcome = r.Skipped
		} else if r.Ratio != 3 || r.Version != developing {
			t.Errorf("%+v", r)
		}
		got = append(got, r.Scenario+" "+r.Case+" "+r.Peer+": "+outcome)
	}
	want := []string{
		"alpha x/1 absent: not installed", "alpha x/2 absent: not installed",
		"alpha x/1 here: measured", "alpha x/2 here: measured", "beta z here: wrong system",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	for _, part := range []string{"3.00x", "skipped: not installed", "skipped: wrong system"} {
		if !strings.Contains(errs.String(), part) {
			t.Errorf("the table lacks %q:\n%s", part, &errs)
		}
	}
}

func TestPeersFilter(t *testing.T) {
	table := testTable()
	only, err := choosePeers(table, "absent")
	if err != nil {
		t.Fatal(err)
	}
	if ps := only(table[0].peers); len(ps) != 1 || ps[0].name != "absent" {
		t.Fatal(ps)
	}
	if _, err := choosePeers(table, "here,nobody"); err == nil {
		t.Fatal("an unknown peer was accepted")
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"-help", 0, "steer"},
		{"-list", 0, "pion-bare"},
		{"", 2, "usage"},
		{"-nonsense srtp", 2, "nonsense"},
		{"-peers nobody srtp", 2, "nobody"},
		{"-save a/b srtp", 2, "version"},
	} {
		var out, errs bytes.Buffer
		status := bench(strings.Fields(c.args), &out, &errs)
		if text := out.String() + errs.String(); status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%q: status %d\n%s", c.args, status, text)
		}
	}
}

// The contract's scenarios are all there.
func TestNoScenarioIsForgotten(t *testing.T) {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	slices.Sort(names)
	want := strings.Fields("connect crypto datachannel fanout handshake memory micro sctp sockets srtp steer")
	if !slices.Equal(names, want) {
		t.Fatal(names)
	}
}

func TestInterleaveTakesTurns(t *testing.T) {
	var order []string
	prepared := 0
	make := func(name string) contender {
		return contender{name: name, prepare: func() { prepared++ }, run: func() int {
			if n := len(order); n == 0 || order[n-1] != name {
				order = append(order, name)
			}
			return 5
		}}
	}
	times := interleave([]contender{make("a"), make("b")}, 4)
	if len(times) != 2 || len(times[0]) != 4 || len(times[1]) != 4 || prepared == 0 {
		t.Fatalf("%d contenders, %v, prepared %d times", len(times), times, prepared)
	}
	// Warm-up, then rounds that begin with each in turn; neighbours merge.
	if got := strings.Join(order, ""); got != "abababa" {
		t.Fatalf("order %s", got)
	}
}

func TestAllocsCountsPerOperation(t *testing.T) {
	var sink []*int
	c := contender{run: func() int {
		for range 10 {
			sink = append(sink[:0], new(int), new(int), new(int))
		}
		return 10
	}}
	if n := allocs(c); n != 3 {
		t.Errorf("%d allocations, want 3", n)
	}
	if n := allocs(contender{run: func() int { return 10 }}); n != 0 {
		t.Errorf("%d allocations, want 0", n)
	}
}

// Each case of the scenario works: what is protected equals the peer's packet,
// and what is unprotected authenticates. Nothing is timed.
func TestSRTPContendersAgree(t *testing.T) {
	s := srtpScenario()
	for _, path := range s.cases {
		c, err := parseSRTP(path)
		if err != nil {
			t.Fatal(err)
		}
		// Those in this process; see TestSRTPPeersAgree.
		cs, _, err := srtpContenders(c, path, []peer{goStdlib, srtpPionPeer, noExtension}, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, k := range cs {
			for range 3 {
				if k.prepare != nil {
					k.prepare()
				}
				if n := k.run(); n != srtpRun {
					t.Fatalf("%s: %s did %d packets", path, k.name, n)
				}
			}
		}
	}
	if len(s.cases) != 96 {
		t.Errorf("%d cases", len(s.cases))
	}
	for _, path := range []string{"protect/gcm128/100B", "protect/rc4/100B/one", "protect/gcm128/B/one", "protect/gcm128/100B/two"} {
		if _, err := parseSRTP(path); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
}
