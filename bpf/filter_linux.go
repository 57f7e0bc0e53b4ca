package bpf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Filter is a program on the way in of a network interface, and its maps. Its
// methods are for any goroutine.
type Filter struct {
	filterSet
	link   link.Link
	mode   FilterMode
	shared bool // the addresses that are known are a Steering's
}

// filterSet is what the kernel was given.
type filterSet struct {
	flows, sources, counts *ebpf.Map
	prog                   *ebpf.Program
}

// FilterSupported reports whether such programs can be loaded here: nil, or an
// error that wraps ErrNotSupported. It tries once in the life of the process;
// an interface may refuse one nevertheless.
var FilterSupported = sync.OnceValue(func() error {
	s, err := loadFilter(guard{ports: []uint16{1}, stun: bucket{1, 1}, hello: bucket{1, 1}}, nil, 1, 1, false)
	if err != nil {
		return err
	}
	return s.close(nil)
})

// AttachFilter drops on an interface what is for the ports and no packet of
// WebRTC (RFC 7983), and what a source sends too much of before it is known. It
// ends with Close, or with the process.
//
// It bounds what one source can do, and no flood with invented ones.
func AttachFilter(cfg FilterConfig) (*Filter, error) {
	g, err := cfg.guard()
	if err != nil {
		return nil, err
	}
	in, err := net.InterfaceByName(cfg.Interface)
	if err != nil {
		return nil, fmt.Errorf("%w: interface %q: %w", ErrFilter, cfg.Interface, err)
	}
	if g.bare, err = bare(cfg.Interface); err != nil {
		return nil, err
	}
	if err := FilterSupported(); err != nil {
		return nil, err
	}
	modes := []FilterMode{FilterDriver, FilterGeneric, FilterTC}
	if cfg.Mode != FilterAuto {
		modes = []FilterMode{cfg.Mode}
	}
	var errs []error
	for _, m := range modes {
		f, err := attachFilter(cfg, g, in.Index, m)
		if err == nil {
			return f, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func attachFilter(cfg FilterConfig, g guard, index int, m FilterMode) (*Filter, error) {
	if cfg.Sources <= 0 {
		cfg.Sources = DefaultSources
	}
	if cfg.Flows <= 0 {
		cfg.Flows = DefaultFlows
	}
	var known *ebpf.Map
	if cfg.Steering != nil {
		known = cfg.Steering.flows
	}
	s, err := loadFilter(g, known, cfg.Flows, cfg.Sources, m == FilterTC)
	if err != nil {
		return nil, err
	}
	f := &Filter{filterSet: s, mode: m, shared: known != nil}
	switch m {
	case FilterTC:
		f.link, err = link.AttachTCX(link.TCXOptions{Interface: index, Program: s.prog, Attach: ebpf.AttachTCXIngress})
	case FilterDriver:
		f.link, err = link.AttachXDP(link.XDPOptions{Interface: index, Program: s.prog, Flags: link.XDPDriverMode})
	default:
		f.link, err = link.AttachXDP(link.XDPOptions{Interface: index, Program: s.prog, Flags: link.XDPGenericMode})
	}
	if err != nil {
		return nil, errors.Join(unsupported(m.String()+" on this interface", err), s.close(known))
	}
	return f, nil
}

// bare reports whether the packets of an interface begin with the IP header.
func bare(name string) (bool, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, unsupported("a socket", err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, req)
	}
	if err != nil {
		return false, unsupported("the kind of the interface", err)
	}
	switch kind := req.Uint16(); kind {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return false, nil
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP:
		return true, nil
	default:
		return false, unsupported(fmt.Sprintf("an interface of kind %d", kind), errors.ErrUnsupported)
	}
}

// loadFilter makes the program and its maps, known excepted if it is there.
func loadFilter(g guard, known *ebpf.Map, flows, sources int, tc bool) (s filterSet, err error) {
	s.flows = known
	for _, m := range []struct {
		dst  **ebpf.Map
		spec ebpf.MapSpec
	}{
		{&s.flows, ebpf.MapSpec{Name: "sluice_known", Type: ebpf.Hash, KeySize: flowKeySize, ValueSize: 4, MaxEntries: uint32(flows), Flags: unix.BPF_F_NO_PREALLOC}},
		{&s.sources, ebpf.MapSpec{Name: "sluice_sources", Type: ebpf.LRUHash, KeySize: sourceKeySize, ValueSize: sourceStateSize, MaxEntries: uint32(sources)}},
		{&s.counts, ebpf.MapSpec{Name: "sluice_filtered", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: numFilterCounts}},
	} {
		if *m.dst != nil {
			continue
		}
		if *m.dst, err = ebpf.NewMap(&m.spec); err != nil {
			return filterSet{}, errors.Join(unsupported("a map", err), s.close(known))
		}
	}
	kind := ebpf.XDP
	if tc {
		kind = ebpf.SchedCLS
	}
	s.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "sluice_filter", Type: kind, License: "MIT",
		Instructions: filterProgram(g, filterMaps{s.flows.FD(), s.sources.FD(), s.counts.FD()}, tc),
	})
	if err != nil {
		return filterSet{}, errors.Join(unsupported("the program", err), s.close(known))
	}
	return s, nil
}

// close gives all up but a map that is another's.
func (s filterSet) close(known *ebpf.Map) error {
	var errs []error
	for _, m := range []*ebpf.Map{s.flows, s.sources, s.counts} {
		if m != nil && m != known {
			errs = append(errs, m.Close())
		}
	}
	if s.prog != nil {
		errs = append(errs, s.prog.Close())
	}
	return errors.Join(errs...)
}

// Mode is where the filter sits.
func (f *Filter) Mode() FilterMode { return f.mode }

// Add makes an address known: what it sends is not limited. It returns ErrFull
// when there is no room, and the address is then one of its source's. With a
// FilterConfig.Steering it does nothing.
func (f *Filter) Add(remote netip.AddrPort) error {
	if f.shared {
		return nil
	}
	err := f.flows.Put(keyOf(remote), uint32(0))
	if errors.Is(err, unix.E2BIG) {
		return ErrFull
	}
	return err
}

// Delete forgets an address. One that is not there is no error.
func (f *Filter) Delete(remote netip.AddrPort) error {
	if f.shared {
		return nil
	}
	err := f.flows.Delete(keyOf(remote))
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

// Stats reads the program's counters.
func (f *Filter) Stats() (FilterStats, error) { return f.stats() }

func (s filterSet) stats() (FilterStats, error) {
	var n [numFilterCounts]uint64
	for i := range n {
		var perCPU []uint64
		if err := s.counts.Lookup(uint32(i), &perCPU); err != nil {
			return FilterStats{}, err
		}
		for _, v := range perCPU {
			n[i] += v
		}
	}
	return FilterStats{
		Passed: n[countPassed], Known: n[countKnown], Admitted: n[countAdmitted],
		Foreign: n[countForeign], STUN: n[countSTUN], Hello: n[countHello],
	}, nil
}

// Close takes the filter off the interface.
func (f *Filter) Close() error {
	err := f.link.Close()
	var known *ebpf.Map
	if f.shared {
		known = f.flows
	}
	return errors.Join(err, f.close(known))
}
