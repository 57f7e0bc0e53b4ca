package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
)

// profileKinds are what -profiles takes. All but cpu cost the contenders time
// of their own, so the figures of such a run are not to be quoted.
var profileKinds = []string{"cpu", "allocs", "mutex", "block"}

// parseKinds takes the argument of -profiles apart.
func parseKinds(list string) ([]string, error) {
	kinds := strings.Split(list, ",")
	for _, k := range kinds {
		if !slices.Contains(profileKinds, k) {
			return nil, fmt.Errorf("-profiles: %q is none of %s", k, strings.Join(profileKinds, ", "))
		}
	}
	return kinds, nil
}

// profileBase begins the names of the profiles of a case; the directory exists.
func (r *run) profileBase(scenario, kase, who string) string {
	name := strings.ReplaceAll(scenario+"/"+kase, "/", "_")
	return filepath.Join(r.profile, name+"."+strings.ReplaceAll(who, "/", "_"))
}

// profiled runs f, profiling this process if -cpuprofile was given. The samples
// carry the label "contender".
func (r *run) profiled(scenario, kase string, f func() error) error {
	if r.profile == "" {
		return f()
	}
	p, err := startProfiler(r.profileBase(scenario, kase, "all"), r.kinds)
	if err != nil {
		return err
	}
	err = f()
	if e := p.stop(); err == nil {
		err = e
	}
	return err
}

// profiler is what runs between a start and a stop in one process.
type profiler struct {
	base  string
	kinds []string
	cpu   *os.File
}

// profileFile is where a kind of profile goes.
func profileFile(base, kind string) string {
	if kind == "cpu" {
		return base + ".pprof"
	}
	return base + "." + kind + ".pprof"
}

func startProfiler(base string, kinds []string) (*profiler, error) {
	p := &profiler{base: base, kinds: kinds}
	for _, kind := range kinds {
		var err error
		switch kind {
		case "cpu":
			if p.cpu, err = os.Create(profileFile(base, kind)); err == nil {
				err = pprof.StartCPUProfile(p.cpu)
			}
		case "allocs":
			err = writeProfile(kind, base+".allocs.before.pprof")
		case "mutex":
			runtime.SetMutexProfileFraction(1)
		case "block":
			runtime.SetBlockProfileRate(1)
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *profiler) stop() error {
	for _, kind := range p.kinds {
		if kind == "cpu" {
			pprof.StopCPUProfile()
			if err := p.cpu.Close(); err != nil {
				return err
			}
			continue
		}
		if err := writeProfile(kind, profileFile(p.base, kind)); err != nil {
			return err
		}
	}
	runtime.SetMutexProfileFraction(0)
	runtime.SetBlockProfileRate(0)
	return nil
}

func writeProfile(kind, name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	err = pprof.Lookup(kind).WriteTo(f, 0)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
