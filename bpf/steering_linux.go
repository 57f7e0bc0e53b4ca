package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Steering is a program attached to a group of sockets, and its maps. Its
// methods are for any goroutine.
type Steering struct {
	set
	n int // of sockets
}

// set is what the kernel was given.
type set struct {
	sockets, flows, counts *ebpf.Map
	prog                   *ebpf.Program
}

// flowKey is a remote address, IPv4 as IPv4-mapped IPv6, and its port, all in
// network order.
type flowKey struct {
	addr [16]byte
	port [2]byte
	_    [2]byte
}

func keyOf(a netip.AddrPort) (k flowKey) {
	k.addr = a.Addr().As16()
	k.port = [2]byte{byte(a.Port() >> 8), byte(a.Port())}
	return k
}

// Supported reports whether programs can be loaded here: nil, or an error that
// wraps ErrNotSupported. It tries once in the life of the process.
var Supported = sync.OnceValue(func() error {
	s, err := load(2, 1)
	if err != nil {
		return err
	}
	return s.Close()
})

// New steers among socks, which are of one SO_REUSEPORT group and bound. A
// socket's number is its place in socks.
func New(socks []syscall.RawConn, cfg Config) (*Steering, error) {
	if len(socks) < 2 || len(socks) > MaxSockets {
		return nil, ErrSockets
	}
	if err := Supported(); err != nil {
		return nil, err
	}
	if cfg.Flows <= 0 {
		cfg.Flows = DefaultFlows
	}
	maps, err := load(len(socks), cfg.Flows)
	if err != nil {
		return nil, err
	}
	s := &Steering{set: maps, n: len(socks)}
	for i, c := range socks {
		if err = s.fill(i, c); err != nil {
			s.Close()
			return nil, err
		}
	}
	// Last: from here on every socket that the program may choose is there.
	if err = s.attach(socks[0]); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func unsupported(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrNotSupported, what, err)
}

// load makes the maps and the program.
func load(sockets, flows int) (s set, err error) {
	for _, m := range []struct {
		dst  **ebpf.Map
		spec ebpf.MapSpec
	}{
		{&s.sockets, ebpf.MapSpec{Name: "sluice_sockets", Type: ebpf.ReusePortSockArray, KeySize: 4, ValueSize: 8, MaxEntries: uint32(sockets)}},
		{&s.flows, ebpf.MapSpec{Name: "sluice_flows", Type: ebpf.Hash, KeySize: flowKeySize, ValueSize: 4, MaxEntries: uint32(flows), Flags: unix.BPF_F_NO_PREALLOC}},
		{&s.counts, ebpf.MapSpec{Name: "sluice_counts", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: numCounts}},
	} {
		if *m.dst, err = ebpf.NewMap(&m.spec); err != nil {
			s.Close()
			return set{}, unsupported("a map", err)
		}
	}
	s.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "sluice_steer", Type: ebpf.SkReuseport, License: "MIT",
		Instructions: program(s.sockets.FD(), s.flows.FD(), s.counts.FD()),
	})
	if err != nil {
		s.Close()
		return set{}, unsupported("the program", err)
	}
	return s, nil
}

// control runs f with c's descriptor.
func control(c syscall.RawConn, f func(fd int) error) error {
	var err error
	if e := c.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return fmt.Errorf("bpf: socket to steer to: %w", e)
	}
	return err
}

func (s *Steering) fill(i int, c syscall.RawConn) error {
	return control(c, func(fd int) error {
		if err := s.sockets.Put(uint32(i), uint64(fd)); err != nil {
			return unsupported("a socket of the group", err)
		}
		return nil
	})
}

func (s *Steering) attach(c syscall.RawConn) error {
	return control(c, func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_EBPF, s.prog.FD()); err != nil {
			return unsupported("SO_ATTACH_REUSEPORT_EBPF", err)
		}
		return nil
	})
}

// Set sends everything from remote to a socket, in place of where it went
// before. It returns ErrFull when there is no room; the kernel's hash then
// decides.
func (s *Steering) Set(remote netip.AddrPort, socket int) error {
	if socket < 0 || socket >= s.n {
		return ErrSockets
	}
	err := s.flows.Put(keyOf(remote), uint32(socket))
	if errors.Is(err, unix.E2BIG) {
		return ErrFull
	}
	return err
}

// Delete forgets an address. One that is not there is no error.
func (s *Steering) Delete(remote netip.AddrPort) error {
	err := s.flows.Delete(keyOf(remote))
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

// Stats reads the program's counters.
func (s *Steering) Stats() (Stats, error) {
	var n [numCounts]uint64
	for i := range n {
		var perCPU []uint64
		if err := s.counts.Lookup(uint32(i), &perCPU); err != nil {
			return Stats{}, err
		}
		for _, v := range perCPU {
			n[i] += v
		}
	}
	return Stats{Flow: n[countFlow], Ufrag: n[countUfrag], Hash: n[countHash], Errors: n[countErrors]}, nil
}

// Close gives up the maps. The sockets stay steered as they are until they
// are closed.
func (s set) Close() error {
	var errs []error
	for _, m := range []*ebpf.Map{s.sockets, s.flows, s.counts} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	if s.prog != nil {
		errs = append(errs, s.prog.Close())
	}
	return errors.Join(errs...)
}
