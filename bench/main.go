package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// developing is the version of rows that -save gives no other.
const developing = "0.1.0-dev"

// run is what a scenario's measure works with.
type run struct {
	quick   bool
	asked   bool // the peers are named on the command line
	version string
	profile string   // directory, empty: none
	kinds   []string // of profiles
	table   *table
	rows    []Row
}

// emit takes a finished row.
func (r *run) emit(row Row) {
	row.Version, row.Quick = r.version, r.quick
	r.rows = append(r.rows, row)
	r.table.row(row)
}

type options struct {
	peers, json, save, against, profile, profiles string
	kinds                                         []string
	quick, list                                   bool
}

const intro = `bench measures Sluice against its peers, interleaved in one run, and reports
ratios: above 1, Sluice is ahead.

usage: go run ./bench [flags] SCENARIO...
       go run ./bench compare OLD NEW       (saved results; exits 1 when a ratio got worse)
       go run ./bench report                (writes perf/results/report.html, its charts, and the tables of the documents)

A SCENARIO is a name, or a name and the beginning of its cases, such as
srtp/protect/gcm128 or fanout/video/1x50.

%s
flags:
`

func help(w io.Writer, fs *flag.FlagSet) {
	var b strings.Builder
	for _, s := range scenarios() {
		fmt.Fprintf(&b, "  %-10s %s\n", s.name, s.about)
	}
	fmt.Fprintf(w, intro, "scenarios:\n"+b.String())
	fs.SetOutput(w)
	fs.PrintDefaults()
	fmt.Fprint(w, `
examples:
  go run ./bench -list
  go run ./bench -quick srtp fanout
  go run ./bench -peers pion -cpuprofile /tmp/prof fanout/video/1x50

Values are p10 over the rounds, ratios the median of each round's ratio. The
exit status is 0 when each row was measured, or skipped with a reason; 1 when
something failed; 2 when the command line is wrong.
`)
}

func main() {
	if len(os.Args) > 1 && runChild(os.Args[1], os.Args[2:]) {
		return
	}
	os.Exit(bench(os.Args[1:], os.Stdout, os.Stderr))
}

func bench(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "compare":
			return compareResults(args[1:], stdout, stderr)
		case "report":
			return report(args[1:], stdout, stderr)
		}
	}
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.peers, "peers", "", "measure against these `names` only, separated by commas")
	fs.BoolVar(&o.quick, "quick", false, "a smoke run of under a minute a scenario")
	fs.StringVar(&o.json, "json", "", "write the rows to `file`, one JSON object a line; - is standard output")
	fs.StringVar(&o.save, "save", "", "also write the rows to perf/results/`version`.json")
	fs.StringVar(&o.against, "against", "", "hold the ratios against perf/results/`version`.json, or the latest: measure twice more what fell beyond the noise, exit 1 when it fell each time")
	fs.StringVar(&o.profile, "cpuprofile", "", "write a pprof CPU profile of each case into `directory`")
	fs.StringVar(&o.profiles, "profiles", "cpu", "with -cpuprofile, the `kinds`, separated by commas: cpu, allocs, mutex, block")
	fs.BoolVar(&o.list, "list", false, "show scenarios, cases and peers, and whether each can run here")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		help(stdout, fs)
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 2
	}
	table := scenarios()
	if o.list {
		list(stdout, table)
		return 0
	}
	if fs.NArg() == 0 {
		help(stderr, fs)
		return 2
	}
	picked, err := choose(table, fs.Args(), o.quick)
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 2
	}
	only, err := choosePeers(table, o.peers)
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 2
	}
	if strings.ContainsAny(o.save, `/\`) {
		fmt.Fprintf(stderr, "bench: -save wants a version such as %s, not a path\n", developing)
		return 2
	}
	kinds, err := parseKinds(o.profiles)
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 2
	}
	o.kinds = kinds
	return measure(o, picked, only, stdout, stderr)
}

func measure(o options, picked []selection, only func([]peer) []peer, stdout, stderr io.Writer) int {
	show := stdout
	if o.json == "-" {
		show = stderr
	}
	r := &run{quick: o.quick, asked: o.peers != "", version: developing, profile: o.profile, kinds: o.kinds, table: &table{w: show, terminal: isTerminal(show)}}
	if o.save != "" {
		r.version = o.save
	}
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			fmt.Fprintf(stderr, "bench: %v\n", err)
			return 1
		}
	}
	status := 0
	fail := func(err error) {
		r.table.clear()
		fmt.Fprintf(stderr, "bench: %v\n", err)
		status = 1
	}
	for _, s := range picked {
		if err := measureOne(r, s, only(s.peers)); err != nil {
			fail(fmt.Errorf("%s: %w", s.name, err))
		}
	}
	r.table.clear()
	if err := write(o, r.rows, stdout, stderr); err != nil {
		fail(err)
	}
	if o.against != "" {
		worse, err := against(r, o.against, picked, only, show)
		if err != nil {
			fail(fmt.Errorf("-against: %w", err))
		}
		status = max(status, worse)
	}
	return status
}

// measureOne runs a scenario and gives a row to every peer that cannot run.
func measureOne(r *run, s selection, peers []peer) error {
	var able []peer
	for _, p := range peers {
		why := s.whyNot()
		if why == "" {
			why = p.whyNot()
		}
		if why == "" {
			able = append(able, p)
			continue
		}
		for _, c := range s.cases {
			r.emit(Row{Scenario: s.name, Case: c, Peer: p.name, Skipped: why})
		}
	}
	if len(able) == 0 {
		return nil
	}
	if r.profile == "" || s.children {
		return s.measure(r, s.cases, able)
	}
	for _, c := range s.cases {
		if err := r.profiled(s.name, c, func() error { return s.measure(r, []string{c}, able) }); err != nil {
			return err
		}
	}
	return nil
}

func write(o options, rows []Row, stdout, stderr io.Writer) error {
	switch o.json {
	case "":
	case "-":
		if err := writeLines(stdout, rows); err != nil {
			return err
		}
	default:
		f, err := os.Create(o.json)
		if err != nil {
			return err
		}
		if err := errors.Join(writeLines(f, rows), f.Close()); err != nil {
			return err
		}
	}
	if o.save != "" {
		name, err := save(o.save, thisHost(), rows, time.Now())
		if err != nil {
			return err
		}
		fmt.Fprintf(stderr, "saved %s\n", name)
	}
	return nil
}

func list(w io.Writer, table []*scenario) {
	able := func(why string) string {
		if why == "" {
			return "can run here"
		}
		return "cannot run here: " + why
	}
	fmt.Fprintf(w, "sluice %s, %s, %s/%s, %d processors\n", developing, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, s := range table {
		fmt.Fprintf(w, "\n%s: %s\n  %s\n", s.name, s.about, able(s.whyNot()))
		for _, p := range s.peers {
			fmt.Fprintf(w, "  peer %-14s %-12s %s\n", p.name, p.version(), able(p.whyNot()))
		}
		for _, c := range s.cases {
			fmt.Fprintf(w, "  case %s\n", c)
		}
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
