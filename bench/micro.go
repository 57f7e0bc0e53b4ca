package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// microRun is how many operations a contender does between two looks at the
// clock.
const microRun = 64

// microWork is one operation done by one contender.
type microWork struct {
	contender
	// out does the operation and shows its result, to be compared with that of
	// the others; nil: results are not comparable as text.
	out func() string
	// close ends what goes on beside it; nil: nothing does.
	close func()
}

// A microCase is one operation of the scenario.
type microCase struct {
	path   string
	sluice func() microWork // nil: why tells what we lack
	pion   func() microWork // nil: why tells
	stdlib func() microWork // nil: not a peer of this case
	module string           // the one of Pion's that is measured
	slow   bool             // to prepare: fewer rounds
	input  map[string]string
	why    map[string]string // by contender, why there is none
}

// repeat makes work of one operation.
func repeat(op func(), out func() string) microWork {
	return microWork{contender: contender{run: func() int {
		for range microRun {
			op()
		}
		return microRun
	}}, out: out}
}

var microPion = peer{name: "pion", version: module("github.com/pion/webrtc/v4")}

func microScenario() *scenario {
	s := &scenario{
		name: "micro", about: "single operations on packets, descriptions and candidates (those of webrtc_dart's performance tests)",
		peers: []peer{microPion, weriftPeer, goStdlib}, measure: measureMicro,
	}
	for _, c := range microCases() {
		s.cases = append(s.cases, c.path)
	}
	return s
}

func microCases() []microCase {
	var list []microCase
	for _, part := range [][]microCase{microRTP(), microRTCP(), microSTUN(), microSDP(), microICE(), microCodecs(), microReplay(), microSRTP(), microSCTP()} {
		list = append(list, part...)
	}
	return list
}

// whyNot tells why a contender is not measured in this case, and whether it
// belongs to the case at all.
func (c *microCase) whyNot(name string) (why string, member bool) {
	if name == goStdlib.name && c.stdlib == nil {
		return "", false
	}
	if why := c.why["sluice"]; why != "" {
		return why, true
	}
	return c.why[name], true
}

// version is that of the module measured.
func (c *microCase) version(p peer) string {
	if p.name == microPion.name && c.module != "" {
		return c.module[len("github.com/"):] + " " + module(c.module)()
	}
	return p.version()
}

func measureMicro(r *run, paths []string, peers []peer) error {
	wanted := map[string]bool{}
	for _, path := range paths {
		wanted[path] = true
	}
	var node *nodePeer
	for _, p := range peers {
		if p.name != weriftPeer.name {
			continue
		}
		var err error
		if node, err = startNode(weriftDir, "micro.mjs"); err != nil {
			return err
		}
		defer node.stop()
	}
	done := 0
	for _, c := range microCases() {
		if !wanted[c.path] {
			continue
		}
		done++
		r.table.status("micro %d/%d %s", done, len(paths), c.path)
		if err := c.measure(r, peers, node); err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
	}
	return nil
}

func (c *microCase) measure(r *run, peers []peer, node *nodePeer) error {
	rounds := 401
	if r.quick {
		rounds = 31
	} else if c.slow {
		rounds = 61
	}
	for _, p := range peers {
		why, member := c.whyNot(p.name)
		if !member {
			continue
		}
		row := Row{Scenario: "micro", Case: c.path, Peer: p.name}
		if why != "" {
			row.Skipped = why
			r.emit(row)
			continue
		}
		row.Unit, row.Better, row.PeerVersion = "ns/op", lower, c.version(p)
		ours := c.sluice()
		ours.name = "sluice"
		var mine, theirs []float64
		if p.name == weriftPeer.name {
			var err error
			if mine, theirs, err = c.againstNode(ours, node, rounds/4+1); err != nil {
				return err
			}
		} else {
			make := c.pion
			if p.name == goStdlib.name {
				make = c.stdlib
			}
			rival := make()
			rival.name = p.name
			if err := agree(ours, rival); err != nil {
				return err
			}
			times := interleave([]contender{ours.contender, rival.contender}, rounds)
			mine, theirs = times[0], times[1]
			if n := allocs(rival.contender); n > 0 {
				row.PeerAlso = map[string]float64{"allocs": float64(n)}
			}
			if rival.close != nil {
				rival.close()
			}
		}
		n := allocs(ours.contender)
		row.Allocs = &n
		row.compare(mine, theirs)
		r.emit(row)
	}
	return nil
}

func agree(ours, rival microWork) error {
	if ours.out == nil || rival.out == nil {
		return nil
	}
	if a, b := ours.out(), rival.out(); a != b {
		return fmt.Errorf("sluice and %s disagree: %q and %q", rival.name, a, b)
	}
	return nil
}

// againstNode takes turns with a process: slices of ours, then as long there.
func (c *microCase) againstNode(ours microWork, node *nodePeer, rounds int) (mine, theirs []float64, err error) {
	a, err := node.load(c.path, c.input)
	if err != nil {
		return nil, nil, err
	}
	if a.Missing {
		return nil, nil, fmt.Errorf("the script does not know the case")
	}
	if ours.out != nil && a.Result != "" {
		if b := ours.out(); a.Result != b {
			return nil, nil, fmt.Errorf("sluice and werift disagree: %q and %q", b, a.Result)
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	slice(ours.contender, 0)
	clock := clockCost()
	for range rounds {
		mine = append(mine, slice(ours.contender, clock))
		ns, err := node.run(sliceTime * 5)
		if err != nil {
			return nil, nil, err
		}
		theirs = append(theirs, ns)
		runtime.GC()
	}
	return mine, theirs, nil
}
