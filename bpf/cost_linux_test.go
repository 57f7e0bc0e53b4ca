package bpf

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkSteering compares what a datagram costs to deliver over the loopback
// network by flow map and by hash, in turns of one round of 64 flows, and
// reports the median of the rounds' ratios: above 1, steering is dearer.
func BenchmarkSteering(b *testing.B) {
	if err := Supported(); err != nil {
		b.Skip(err)
	}
	hash, flow := newGroup(b, "udp4", "127.0.0.1:0", 2), newGroup(b, "udp4", "127.0.0.1:0", 2)
	s, err := New(flow.raws, Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	type side struct {
		g   *group
		out []int
	}
	sides := [2]side{{g: hash}, {g: flow}}
	for k := range sides {
		d := &sides[k]
		for i := range 64 {
			c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), d.g.addr.Port())))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			if k == 1 {
				if err := s.Set(c.LocalAddr().(*net.UDPAddr).AddrPort(), i%2); err != nil {
					b.Fatal(err)
				}
			}
			raw, err := c.SyscallConn()
			if err != nil {
				b.Fatal(err)
			}
			raw.Control(func(fd uintptr) { d.out = append(d.out, int(fd)) })
		}
	}
	payload, buf := make([]byte, 1200), make([]byte, 2048)
	turn := func(d *side) time.Duration {
		begun := time.Now()
		for _, fd := range d.out {
			if _, err := unix.Write(fd, payload); err != nil {
				b.Fatal(err)
			}
		}
		for _, raw := range d.g.raws {
			raw.Control(func(fd uintptr) {
				for {
					if _, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT); err != nil {
						return
					}
				}
			})
		}
		return time.Since(begun)
	}
	var ratios []float64
	for i := range b.N {
		first, second := &sides[i&1], &sides[1-i&1]
		x, y := turn(first), turn(second)
		if i&1 == 1 {
			x, y = y, x
		}
		ratios = append(ratios, float64(y)/float64(x))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "flow/hash")
}
