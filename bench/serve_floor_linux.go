package main

import (
	"net"
	"net/netip"
	"sync"

	"github.com/sluicertc/sluice/sockets"
)

// A floor is the input and output of forwarding and nothing else: no keys, no
// headers, no state. No server is cheaper on the same system calls.
type floor struct {
	conn    sockets.Conn // nil where package net is used
	addr    netip.AddrPort
	mu      sync.Mutex
	last    netip.AddrPort                      // the last publisher
	viewers map[netip.AddrPort][]netip.AddrPort // by publisher
	out     []sockets.Message                   // scratch
}

func (f *floor) publish(_, addr string) (string, error) {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = a
	return f.addr.String(), nil
}

func (f *floor) view(addr string) (string, error) {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.viewers[f.last] = append(f.viewers[f.last], a)
	return f.addr.String(), nil
}

func (f *floor) counters() map[string]float64 {
	if f.conn == nil {
		return nil
	}
	return socketCounters(f.conn.Stats())
}

// newFloorSendto sends datagram by datagram, as package net does.
func newFloorSendto() (forwarder, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	f := &floor{addr: c.LocalAddr().(*net.UDPAddr).AddrPort(), viewers: map[netip.AddrPort][]netip.AddrPort{}}
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			f.mu.Lock()
			for _, v := range f.viewers[from] {
				_, _ = c.WriteToUDPAddrPort(b[:n], v)
			}
			f.mu.Unlock()
		}
	}()
	return f, nil
}

// newFloorGSO sends what one read brought as one run to each viewer.
func newFloorGSO() (forwarder, error) {
	c, err := sockets.Listen(sockets.Config{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		return nil, err
	}
	f := &floor{conn: c, addr: c.LocalAddr(), viewers: map[netip.AddrPort][]netip.AddrPort{}}
	go f.forward(c)
	return f, nil
}

func (f *floor) forward(c sockets.Conn) {
	in := make([]sockets.Message, 32)
	for i := range in {
		in[i].Buf = make([]byte, 2048)
	}
	var run []byte
	for {
		n, err := c.ReadBatch(in)
		if err != nil {
			return
		}
		// The packets of one publisher are of one size, so those that arrived
		// together are a run.
		for i := 0; i < n; {
			from, size := in[i].Addr, len(in[i].Buf)
			run = run[:0]
			for ; i < n && in[i].Addr == from && len(in[i].Buf) == size; i++ {
				run = append(run, in[i].Buf...)
				in[i].Buf = in[i].Buf[:cap(in[i].Buf)]
			}
			f.send(c, from, run, size)
		}
	}
}

func (f *floor) send(c sockets.Conn, from netip.AddrPort, run []byte, size int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out = f.out[:0]
	for _, v := range f.viewers[from] {
		f.out = append(f.out, sockets.Message{Buf: run, Addr: v, Seg: uint16(size)})
	}
	for out := f.out; len(out) > 0; {
		k, err := c.WriteBatch(out)
		out = out[k:]
		if err != nil {
			return // full: lost, as on any network
		}
	}
}
