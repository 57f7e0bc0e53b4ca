package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/bpf"
	"github.com/sluicertc/sluice/sockets"
)

// The case vethCase: one datagram for each of many receivers, as audio has it,
// over a virtual Ethernet pair whose other end drops and counts: what it costs
// to send, down to the interface, and nothing of what it costs to receive.
const (
	vethReceivers = 500
	vethSize      = 100 // bytes: RTP with 20 ms of Opus, and the tag
	vethPort      = 5004
)

// vethOne measures on a thread with a network of its own.
func vethOne(r *run, path string, peers []peer, rounds int) error {
	skip := func(why error) {
		for _, p := range peers {
			r.emit(Row{Scenario: "sockets", Case: path, Peer: p.name, PeerVersion: p.version(), Skipped: why.Error()})
		}
	}
	if err := bpf.FilterSupported(); err != nil {
		skip(fmt.Errorf("%w; run as root", err))
		return nil
	}
	if _, err := exec.LookPath("ip"); err != nil {
		skip(fmt.Errorf("%w; install iproute2", err))
		return nil
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends, and its network with it
		done <- func() error {
			w, err := newVeth()
			if w != nil {
				defer w.close()
			}
			if errors.Is(err, sockets.ErrNoXDP) || errors.Is(err, bpf.ErrNotSupported) {
				skip(err)
				return nil
			}
			if err != nil {
				return err
			}
			for _, p := range peers {
				if err := w.against(r, path, p, rounds); err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
			}
			return nil
		}()
	}()
	return <-done
}

// veth is the pair, the sink, and those who send.
type veth struct {
	sink     *bpf.Filter
	ring     sockets.Conn // with the interface's ring
	socket   sockets.Conn
	net      *net.UDPConn
	to       []netip.AddrPort
	payload  []byte
	messages []sockets.Message
}

func newVeth() (w *veth, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("unshare: %w", err)
	}
	for _, args := range [][]string{
		{"link", "add", "v0", "type", "veth", "peer", "name", "v1"},
		{"link", "set", "v1", "address", "02:00:00:00:00:02"},
		{"addr", "add", "10.9.0.1/24", "dev", "v0"},
		{"link", "set", "v0", "up"},
		{"link", "set", "v1", "up"},
		{"neigh", "replace", "10.9.0.2", "lladdr", "02:00:00:00:00:02", "dev", "v0", "nud", "permanent"},
		{"route", "add", "10.10.0.0/16", "via", "10.9.0.2"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	w = &veth{payload: make([]byte, vethSize), messages: make([]sockets.Message, vethReceivers)}
	w.payload[0] = 0xff // no packet of WebRTC, so the sink drops it
	for i := range vethReceivers {
		w.to = append(w.to, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 10, byte(i >> 8), byte(i)}), vethPort))
	}
	// Behind the interface, where dropping costs least.
	if w.sink, err = bpf.AttachFilter(bpf.FilterConfig{Interface: "v1", Ports: []uint16{vethPort}, Mode: bpf.FilterTC}); err != nil {
		return w, err
	}
	if err := sockets.XDPWorks("v0"); err != nil {
		return w, err
	}
	own := netip.MustParseAddrPort("10.9.0.1:0")
	if w.ring, err = sockets.Listen(sockets.Config{Addr: own, XDP: "v0"}); err != nil {
		return w, err
	}
	if w.socket, err = sockets.Listen(sockets.Config{Addr: own}); err != nil {
		return w, err
	}
	w.net, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(own))
	return w, err
}

func (w *veth) close() {
	for _, c := range []sockets.Conn{w.ring, w.socket} {
		if c != nil {
			c.Close()
		}
	}
	if w.net != nil {
		w.net.Close()
	}
	if w.sink != nil {
		w.sink.Close()
	}
}

// vethSender is one of those who send, and what came of it.
type vethSender struct {
	*veth
	write              func() error
	offered, delivered uint64
}

func (w *veth) sender(name string) *vethSender {
	s := &vethSender{veth: w}
	c := w.ring
	switch name {
	case goNet.name:
		s.write = func() error {
			for _, a := range w.to {
				if _, err := w.net.WriteToUDPAddrPort(w.payload, a); err != nil {
					return err
				}
			}
			return nil
		}
		return s
	case sendmmsg.name:
		c = w.socket
	}
	s.write = func() error {
		for i, a := range w.to {
			w.messages[i] = sockets.Message{Buf: w.payload, Addr: a}
		}
		_, err := c.WriteBatch(w.messages)
		return err
	}
	return s
}

// turn works for d of processor time. The kernel's part is in it, since it runs
// when the call that sends raises it; kernels with IRQ_TIME_ACCOUNTING leave it
// out, for all.
func (s *vethSender) turn(d time.Duration) (float64, error) {
	used, n := time.Duration(0), 0
	before, err := s.sink.Stats()
	for used < d && err == nil {
		begun := threadCPU()
		err = s.write()
		used += threadCPU() - begun
		n += len(s.to)
	}
	if err != nil {
		return 0, err
	}
	after, err := s.sink.Stats()
	s.offered += uint64(n)
	s.delivered += after.Foreign - before.Foreign
	if err == nil && after.Foreign == before.Foreign {
		err = errors.New("nothing arrived")
	}
	return float64(used) / float64(n), err
}

func (w *veth) against(r *run, path string, p peer, rounds int) error {
	ours, theirs := w.sender("sluice"), w.sender(p.name)
	cs := []contender{{name: "sluice", turn: ours.turn}, {name: p.name, turn: theirs.turn}}
	for _, k := range cs {
		// Warms up: the ways to the receivers become known, some with each call.
		for range vethReceivers / 8 {
			if _, err := k.turn(1); err != nil {
				return err
			}
		}
	}
	sent := w.ring.Stats()
	ours.offered, ours.delivered, theirs.offered, theirs.delivered = 0, 0, 0, 0
	times, err := turns(cs, rounds)
	if err != nil {
		return err
	}
	after := w.ring.Stats()
	row := Row{Scenario: "sockets", Case: path, Unit: "ns CPU/datagram", Better: lower, Peer: p.name, PeerVersion: p.version()}
	row.Also = map[string]float64{
		"delivered_pct": 100 * float64(ours.delivered) / float64(ours.offered),
		"by_ring_pct":   100 * float64(after.XDPSent-sent.XDPSent) / float64(after.Sent-sent.Sent),
	}
	row.PeerAlso = map[string]float64{"delivered_pct": 100 * float64(theirs.delivered) / float64(theirs.offered)}
	row.compare(times[0], times[1])
	r.emit(row)
	return nil
}
