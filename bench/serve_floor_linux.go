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
	viewers []netip.AddrPort
}

func (f *floor) publish(string, string) (string, error) { return f.addr.String(), nil }

func (f *floor) view(addr string) (string, error) {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.viewers = append(f.viewers, a)
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
	f := &floor{addr: c.LocalAddr().(*net.UDPAddr).AddrPort()}
	go func() {
		b := make([]byte, 2048)
		for {
			n, _, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			f.mu.Lock()
			for _, v := range f.viewers {
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
	f := &floor{conn: c, addr: c.LocalAddr()}
	go f.forward(c)
	return f, nil
}

func (f *floor) forward(c sockets.Conn) {
	in := make([]sockets.Message, 32)
	for i := range in {
		in[i].Buf = make([]byte, 2048)
	}
	var run []byte
	var out []sockets.Message
	for {
		n, err := c.ReadBatch(in)
		if err != nil {
			return
		}
		// The packets of one publisher are of one size, so a batch is a run.
		run = run[:0]
		for i := range n {
			run = append(run, in[i].Buf...)
			in[i].Buf = in[i].Buf[:cap(in[i].Buf)]
		}
		if n == 0 {
			continue
		}
		size := len(run) / n
		f.mu.Lock()
		out = out[:0]
		for _, v := range f.viewers {
			out = append(out, sockets.Message{Buf: run, Addr: v, Seg: uint16(size)})
		}
		f.mu.Unlock()
		for len(out) > 0 {
			k, err := c.WriteBatch(out)
			out = out[k:]
			if err != nil {
				break // full: lost, as on any network
			}
		}
	}
}
