package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/sockets"
)

func measureSockets(r *run, cases []string, peers []peer) error {
	rounds := 401
	if r.quick {
		rounds = 61
	}
	for i, path := range cases {
		r.table.status("sockets %d/%d %s", i+1, len(cases), path)
		c, err := parseSocket(path)
		if err != nil {
			return err
		}
		able := slices.DeleteFunc(slices.Clone(peers), func(p peer) bool { return !c.plays(p) })
		if c.veth {
			if err := vethOne(r, path, able, rounds); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			continue
		}
		for _, p := range able {
			if err := socketsOne(r, path, c, p, rounds); err != nil {
				return fmt.Errorf("%s: %s: %w", path, p.name, err)
			}
		}
	}
	return nil
}

func socketsOne(r *run, path string, c socketCase, p peer, rounds int) error {
	ours, err := newSocketWork(c, "sluice")
	if err != nil {
		return err
	}
	defer ours.close()
	theirs, err := newSocketWork(c, p.name)
	if err != nil {
		return err
	}
	defer theirs.close()
	cs := []contender{{name: "sluice", turn: ours.turn}, {name: p.name, turn: theirs.turn}}
	for _, k := range cs { // warms up
		if _, err := k.turn(remoteTime); err != nil {
			return err
		}
	}
	ours.offered, ours.delivered, theirs.offered, theirs.delivered = 0, 0, 0, 0
	times, err := turns(cs, rounds)
	if err != nil {
		return err
	}
	row := Row{Scenario: "sockets", Case: path, Unit: "ns CPU/datagram", Better: lower, Peer: p.name, PeerVersion: p.version(), terse: true}
	row.Also, row.PeerAlso = ours.also(), theirs.also()
	count := ours.allocs()
	row.Allocs, row.PeerAlso["allocs"] = &count, float64(theirs.allocs())
	row.compare(times[0], times[1])
	r.emit(row)
	return nil
}

// socketWork is rounds of datagrams in one thread: what counts in one half of
// a round, the rest in the other.
type socketWork struct {
	c                  socketCase
	far                []int // raw sockets: the receivers, or the senders, of the other half
	near               []sluiceOrNet
	counted            func() error
	others             func() (int, error) // returns how many were delivered
	sendFirst          bool
	offered, delivered int
	buf                []byte
}

// sluiceOrNet is one of either.
type sluiceOrNet struct {
	conn sockets.Conn
	udp  *net.UDPConn
	all  bool // of udp: with ancillary data
}

func (s sluiceOrNet) close() error {
	if s.conn != nil {
		return s.conn.Close()
	}
	return s.udp.Close()
}

func (s sluiceOrNet) addr() netip.AddrPort {
	if s.conn != nil {
		return s.conn.LocalAddr()
	}
	return s.udp.LocalAddr().(*net.UDPAddr).AddrPort()
}

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

func listenAs(name string) (s sluiceOrNet, err error) {
	if name != goNet.name && name != goNetAll.name {
		s.conn, err = sockets.Listen(sockets.Config{Addr: loopback, NoGSO: name == sendmmsg.name, NoGRO: name == recvmmsg.name})
		return s, err
	}
	if s.udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback)); err != nil || name == goNet.name {
		return s, err
	}
	s.all = true
	raw, err := s.udp.SyscallConn()
	if err != nil {
		return s, err
	}
	return s, errors.Join(raw.Control(func(fd uintptr) {
		err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTOS, 1))
	}), err)
}

func newSocketWork(c socketCase, name string) (w *socketWork, err error) {
	w = &socketWork{c: c, buf: make([]byte, 1<<16)}
	n := 1
	if !c.send {
		n = socketReaders
	}
	for range n {
		s, err := listenAs(name)
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.near = append(w.near, s)
	}
	if c.send {
		err = w.sends()
	} else {
		err = w.reads()
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *socketWork) close() error {
	var errs []error
	for _, fd := range w.far {
		errs = append(errs, unix.Close(fd))
	}
	for _, s := range w.near {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// sends makes the receivers, and what is written to them.
func (w *socketWork) sends() error {
	run := make([]byte, w.c.burst*socketSize)
	var to []netip.AddrPort
	for range socketReceivers {
		fd, err := rawSocket()
		if err != nil {
			return err
		}
		w.far = append(w.far, fd)
		if !w.c.plain {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1); err != nil {
				return fmt.Errorf("UDP_GRO: %w", err)
			}
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback.Addr().As4()}); err != nil {
			return err
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			return err
		}
		to = append(to, netip.AddrPortFrom(loopback.Addr(), uint16(name.(*unix.SockaddrInet4).Port)))
	}
	w.sendFirst = true
	w.others = w.drain
	s := w.near[0]
	if s.udp != nil {
		w.counted = func() error {
			for _, a := range to {
				for i := 0; i < len(run); i += socketSize {
					if _, err := s.udp.WriteToUDPAddrPort(run[i:i+socketSize], a); err != nil {
						return err
					}
				}
			}
			return nil
		}
		return nil
	}
	ms := make([]sockets.Message, len(to))
	w.counted = func() error {
		for i, a := range to {
			ms[i] = sockets.Message{Buf: run, Seg: socketSize, Addr: a}
		}
		_, err := s.conn.WriteBatch(ms)
		return err
	}
	return nil
}

func rawSocket() (int, error) {
	return unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

// drain empties the receivers and counts datagrams: all have the same size,
// also those that arrive as one run.
func (w *socketWork) drain() (n int, err error) {
	for _, fd := range w.far {
		for {
			k, err := unix.Read(fd, w.buf)
			if errors.Is(err, unix.EAGAIN) {
				break
			}
			if err != nil {
				return n, err
			}
			n += k / socketSize
		}
	}
	return n, nil
}

// segment is the ancillary data that makes a run of a buffer.
func segment() []byte {
	b := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(b[unix.CmsgLen(0):], socketSize)
	return b
}

// reads makes a sender for each socket, and what reads from it.
func (w *socketWork) reads() error {
	for _, s := range w.near {
		fd, err := rawSocket()
		if err != nil {
			return err
		}
		w.far = append(w.far, fd)
		a := s.addr()
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(a.Port()), Addr: loopback.Addr().As4()}); err != nil {
			return err
		}
	}
	run, cut := make([]byte, w.c.burst*socketSize), segment()
	w.others = func() (int, error) {
		for _, fd := range w.far {
			for i := 0; i < len(run) && !w.c.merged; i += socketSize {
				if _, err := unix.Write(fd, run[i:i+socketSize]); err != nil {
					return 0, err
				}
			}
			if w.c.merged {
				if _, err := unix.SendmsgN(fd, run, cut, nil, 0); err != nil {
					return 0, err
				}
			}
		}
		return len(w.far) * w.c.burst, nil // or the reader waits for what is missing, and says so
	}
	control := make([]byte, 128)
	ms := make([]sockets.Message, w.c.burst)
	for i := range ms {
		ms[i].Buf = make([]byte, 1500)
	}
	w.counted = func() error {
		for _, s := range w.near {
			for n := 0; n < w.c.burst; {
				k, err := 1, error(nil)
				if s.all {
					_, _, _, _, err = s.udp.ReadMsgUDPAddrPort(w.buf, control)
				} else if s.udp != nil {
					_, _, err = s.udp.ReadFromUDPAddrPort(w.buf)
				} else {
					k, err = s.conn.ReadBatch(ms)
				}
				if err != nil {
					return err
				}
				n += k
			}
		}
		return nil
	}
	return nil
}

// round returns the processor time of the counted half.
func (w *socketWork) round(clock time.Duration) (used time.Duration, err error) {
	n := 0
	if !w.sendFirst {
		if n, err = w.others(); err != nil {
			return 0, err
		}
	}
	begun := threadCPU()
	err = w.counted()
	used = max(threadCPU()-begun-clock, 1)
	if err == nil && w.sendFirst {
		n, err = w.others()
	}
	w.delivered += n
	w.offered += w.c.burst * max(len(w.far), len(w.near))
	return used, err
}

// turn works for d of processor time, which threadCPU counts to the nanosecond
// where getrusage rounds to the microsecond.
func (w *socketWork) turn(d time.Duration) (float64, error) {
	clock := time.Hour
	for range 20 {
		t := threadCPU()
		clock = min(clock, threadCPU()-t)
	}
	before, used := w.delivered, time.Duration(0)
	for used < d {
		u, err := w.round(clock)
		if err != nil {
			return 0, err
		}
		used += u
	}
	if w.delivered == before {
		return 0, errors.New("nothing arrived")
	}
	return float64(used) / float64(w.delivered-before), nil
}

func (w *socketWork) also() map[string]float64 {
	return map[string]float64{"delivered_pct": 100 * float64(w.delivered) / float64(w.offered)}
}

// allocs are those of a datagram.
func (w *socketWork) allocs() int {
	return allocs(contender{run: func() int {
		_, err := w.round(0)
		must(err)
		return w.c.burst * max(len(w.far), len(w.near))
	}})
}
