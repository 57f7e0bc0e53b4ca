package main

import (
	"fmt"
	"slices"
	"strings"
)

// A scenario is one family of measurements.
type scenario struct {
	name     string
	about    string
	cases    []string // paths, most general part first
	quick    []string // what -quick runs; nil means all
	peers    []peer
	children bool // its contenders are processes, which profile themselves
	// missing tells why the scenario cannot run here; empty: it can.
	missing func() string
	// measure runs the cases against the peers, emits a row for each pair, or
	// returns an error for what could be neither measured nor skipped.
	measure func(r *run, cases []string, peers []peer) error
}

// A peer is what Sluice is compared with.
type peer struct {
	name    string
	version func() string
	missing func() string // why it cannot run here; nil or empty: it can
}

func (p peer) whyNot() string {
	if p.missing == nil {
		return ""
	}
	return p.missing()
}

func (s *scenario) whyNot() string {
	if s.missing == nil {
		return ""
	}
	return s.missing()
}

// scenarios is the table. A new one is a file with a constructor, and a line
// here.
func scenarios() []*scenario {
	return []*scenario{microScenario(), cryptoScenario(), srtpScenario(), socketsScenario(), fanoutScenario(), sctpScenario(), dataScenario(), handshakeScenario(), connectScenario(), memoryScenario(), steerScenario()}
}

// A selection is a scenario and those of its cases that were asked for.
type selection struct {
	*scenario
	cases []string
}

// choose finds the scenarios named by args, each "scenario" or
// "scenario/prefix-of-cases", in the order of the table. Without a prefix,
// quick means the scenario's own choice.
func choose(table []*scenario, args []string, quick bool) ([]selection, error) {
	picked := map[string][]string{}
	for _, arg := range args {
		name, prefix, _ := strings.Cut(strings.Trim(arg, "/"), "/")
		i := slices.IndexFunc(table, func(s *scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no scenario %q; -list shows them", name)
		}
		s := table[i]
		from := s.cases
		if prefix == "" && quick && s.quick != nil {
			from = s.quick
		}
		n := len(picked[name])
		for _, c := range from {
			if under(c, prefix) && !slices.Contains(picked[name], c) {
				picked[name] = append(picked[name], c)
			}
		}
		if n == len(picked[name]) && !slices.ContainsFunc(from, func(c string) bool { return under(c, prefix) }) {
			return nil, fmt.Errorf("scenario %q has no case %q; -list shows them", name, prefix)
		}
	}
	var list []selection
	for _, s := range table {
		if len(picked[s.name]) > 0 {
			list = append(list, selection{s, picked[s.name]})
		}
	}
	return list, nil
}

// under reports whether path is prefix or lies below it.
func under(path, prefix string) bool {
	return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

// choosePeers keeps those named, all if names is empty. A name that no
// scenario of the table knows is an error.
func choosePeers(table []*scenario, names string) (func([]peer) []peer, error) {
	if names == "" {
		return func(ps []peer) []peer { return ps }, nil
	}
	wanted := strings.Split(names, ",")
	for _, name := range wanted {
		known := slices.ContainsFunc(table, func(s *scenario) bool {
			return slices.ContainsFunc(s.peers, func(p peer) bool { return p.name == name })
		})
		if !known {
			return nil, fmt.Errorf("no peer %q; -list shows them", name)
		}
	}
	return func(ps []peer) []peer {
		var kept []peer
		for _, p := range ps {
			if slices.Contains(wanted, p.name) {
				kept = append(kept, p)
			}
		}
		return kept
	}, nil
}
