package bpf

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const guarded = 5004

// hour lets n datagrams of a kind pass and then none.
func hour(n int) bucket {
	return bucket{every: uint64(time.Hour), slack: uint64(time.Hour) * uint64(n-1)}
}

// A bench is a program that is given packets one by one.
type testFilter struct {
	filterSet
	t  testing.TB
	tc bool
}

func newTestFilter(t testing.TB, g guard, tc bool) *testFilter {
	t.Helper()
	s, err := loadFilter(g, nil, 16, 1024, tc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close(nil) })
	return &testFilter{s, t, tc}
}

// passes shows the program a packet.
func (f *testFilter) passes(b []byte) bool {
	f.t.Helper()
	pass, shown := f.verdict(b)
	if !shown {
		f.t.Fatalf("%d bytes: the kernel does not show them", len(b))
	}
	return pass
}

// verdict does so, if the kernel shows such packets: of an IP packet without
// its header it says itself that it is none.
func (f *testFilter) verdict(b []byte) (passes, shown bool) {
	f.t.Helper()
	got, err := f.prog.Run(&ebpf.RunOptions{Data: slices.Clone(b)})
	if f.tc && errors.Is(err, unix.EINVAL) && len(b) < 14+40 {
		return true, false
	}
	if err != nil {
		f.t.Fatalf("%d bytes: %v", len(b), err)
	}
	pass, drop := uint32(2), uint32(1)
	if f.tc {
		pass, drop = ^uint32(0), 2
	}
	if got != pass && got != drop {
		f.t.Fatalf("verdict %d", got)
	}
	return got == pass, true
}

func (f *testFilter) counts() FilterStats {
	f.t.Helper()
	st, err := f.stats()
	if err != nil {
		f.t.Fatal(err)
	}
	return st
}

// Parts of packets.
func ethernet(kind uint16, rest []byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 12), kind), rest...)
}

func tag(kind uint16, rest []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0, 7}, kind), rest...)
}

func ip4(from string, options int, fragment uint16, rest []byte) []byte {
	b := make([]byte, 20+4*options)
	b[0] = 0x40 | byte(5+options)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+len(rest)))
	binary.BigEndian.PutUint16(b[6:], fragment)
	b[8], b[9] = 64, 17
	a := netip.MustParseAddr(from).As4()
	copy(b[12:], a[:])
	copy(b[16:], []byte{192, 0, 2, 1})
	return append(b, rest...)
}

func ip6(from string, next byte, rest []byte) []byte {
	b := make([]byte, 40)
	b[0], b[6], b[7] = 0x60, next, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(rest)))
	a := netip.MustParseAddr(from).As16()
	copy(b[8:], a[:])
	b[24] = 0x20
	return append(b, rest...)
}

func datagram(from, to uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

func hello(epoch, kind byte) []byte {
	return append([]byte{22, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 0, 0, 50, kind}, make([]byte, 49)...)
}

// filterPackets are what a filter meets, and what it does the first time.
var filterPackets = []struct {
	name string
	b    []byte
	want class
}{
	{"RTP", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, []byte{128, 96}))), through},
	{"the last of RTP", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, []byte{191}))), through},
	{"STUN", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, check(1)))), stunKind},
	{"STUN, type 3xxx", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, append([]byte{3}, check(1)[1:]...)))), stunKind},
	{"STUN without its cookie", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, make([]byte, 20)))), foreign},
	{"STUN without its header", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, check(1)[:19]))), foreign},
	{"neither STUN nor ZRTP", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, []byte{4, 5, 6}))), foreign},
	{"the last before ZRTP", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, []byte{15}))), foreign},
	{"ZRTP", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, []byte{16}))), through},
	{"ClientHello", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, hello(0, 1)))), helloKind},
	{"another handshake message", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, hello(0, 11)))), through},
	{"handshake of a later epoch", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, hello(1, 1)))), through},
	{"half a record", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, hello(0, 1)[:13]))), through},
	{"DTLS 1.3", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, []byte{63, 1}))), through},
	{"TURN channel", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, []byte{64, 0, 0, 0}))), through},
	{"QUIC", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, []byte{192, 0, 0, 0, 1}))), foreign},
	{"text", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, []byte("hello")))), foreign},
	{"nothing", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, nil))), foreign},
	{"nothing, and padding of Ethernet", ethernet(0x0800, append(ip4("10.0.0.1", 0, 0, datagram(9, guarded, nil)), 128, 128)), foreign},
	{"another port", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded+1, []byte("hello")))), unseen},
	{"from the port", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(guarded, 9, []byte("hello")))), unseen},
	{"the second port", ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, 443, []byte("hello")))), foreign},
	{"ARP", ethernet(0x0806, make([]byte, 28)), unseen},
	{"TCP", ethernet(0x0800, func() []byte { b := ip4("10.0.0.1", 0, 0, datagram(9, guarded, []byte("hello"))); b[9] = 6; return b }()), unseen},
	{"IPv4 with options", ethernet(0x0800, ip4("10.0.0.1", 10, 0, datagram(9, guarded, []byte("hello")))), foreign},
	{"IPv4 of four words", ethernet(0x0800, func() []byte { b := ip4("10.0.0.1", 0, 0, datagram(9, guarded, []byte("x"))); b[0] = 0x44; return b }()), unseen},
	{"IPv4 that is version 6", ethernet(0x0800, ip6("2001:db8::1", 17, datagram(9, guarded, []byte("x")))), unseen},
	{"first fragment", ethernet(0x0800, ip4("10.0.0.1", 0, 0x2000, datagram(9, guarded, []byte("hello")))), foreign},
	{"later fragment", ethernet(0x0800, ip4("10.0.0.1", 0, 0x2001, datagram(9, guarded, []byte("hello")))), unseen},
	{"last fragment", ethernet(0x0800, ip4("10.0.0.1", 0, 1, datagram(9, guarded, []byte("hello")))), unseen},
	{"not to be fragmented", ethernet(0x0800, ip4("10.0.0.1", 0, 0x4000, datagram(9, guarded, []byte("hello")))), foreign},
	{"VLAN", ethernet(0x8100, tag(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, []byte("hello"))))), foreign},
	{"VLAN in VLAN", ethernet(0x88A8, tag(0x8100, tag(0x86DD, ip6("2001:db8::1", 17, datagram(9, guarded, []byte("hello")))))), foreign},
	{"three tags", ethernet(0x8100, tag(0x8100, tag(0x8100, tag(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, []byte("hello"))))))), unseen},
	{"IPv6", ethernet(0x86DD, ip6("2001:db8::1", 17, datagram(9, guarded, []byte("hello")))), foreign},
	{"IPv6 STUN", ethernet(0x86DD, ip6("2001:db8::1", 17, datagram(9, guarded, check(0)))), stunKind},
	{"IPv6 ClientHello", ethernet(0x86DD, ip6("2001:db8::1", 17, datagram(9, guarded, hello(0, 1)))), helloKind},
	{"IPv6 RTP", ethernet(0x86DD, ip6("2001:db8::1", 17, datagram(9, guarded, []byte{128}))), through},
	{"IPv6 with options", ethernet(0x86DD, ip6("2001:db8::1", 0, append([]byte{60, 0, 0, 0, 0, 0, 0, 0, 17, 1}, append(make([]byte, 14), datagram(9, guarded, []byte("hello"))...)...))), foreign},
	{"IPv6 with routing", ethernet(0x86DD, ip6("2001:db8::1", 43, append([]byte{17, 0, 0, 0, 0, 0, 0, 0}, datagram(9, guarded, []byte("hello"))...))), foreign},
	{"IPv6, first fragment", ethernet(0x86DD, ip6("2001:db8::1", 44, append([]byte{17, 0, 0, 1, 0, 0, 0, 0}, datagram(9, guarded, []byte("hello"))...))), foreign},
	{"IPv6, later fragment", ethernet(0x86DD, ip6("2001:db8::1", 44, append([]byte{17, 0, 0, 9, 0, 0, 0, 0}, datagram(9, guarded, []byte("hello"))...))), unseen},
	{"IPv6, TCP", ethernet(0x86DD, ip6("2001:db8::1", 6, datagram(9, guarded, []byte("hello")))), unseen},
	{"IPv6, too many headers", ethernet(0x86DD, ip6("2001:db8::1", 60, append(append(append(append(append([]byte{60, 0, 0, 0, 0, 0, 0, 0}, 60, 0, 0, 0, 0, 0, 0, 0), 60, 0, 0, 0, 0, 0, 0, 0), 60, 0, 0, 0, 0, 0, 0, 0), 17, 0, 0, 0, 0, 0, 0, 0), datagram(9, guarded, []byte("hello"))...))), unseen},
	{"options longer than the packet", ethernet(0x86DD, ip6("2001:db8::1", 0, []byte{17, 255, 0, 0, 0, 0, 0, 0})), unseen},
	{"UDP shorter than its header", ethernet(0x0800, ip4("10.0.0.1", 0, 0, []byte{0, 9, guarded >> 8, guarded & 255, 0, 7, 0, 0, 'x'})), unseen},
	{"UDP longer than the packet", ethernet(0x0800, ip4("10.0.0.1", 0, 0, append([]byte{0, 9, guarded >> 8, guarded & 255, 0, 99, 0, 0}, check(0)[:6]...))), unseen},
}

var bothHooks = []struct {
	name string
	tc   bool
}{{"xdp", false}, {"tc", true}}

// verdict is what the filter does when it sees a packet for the first time, and
// what the counters then say.
func (c class) counted() FilterStats {
	switch c {
	case through:
		return FilterStats{Passed: 1}
	case foreign:
		return FilterStats{Foreign: 1}
	case stunKind, helloKind:
		return FilterStats{Admitted: 1}
	}
	return FilterStats{}
}

func TestFilterTellsPacketsApart(t *testing.T) {
	needFilter(t)
	g := guard{ports: []uint16{443, guarded}, stun: hour(1), hello: hour(1)}
	for _, hook := range bothHooks {
		for _, c := range filterPackets {
			if got, _, _, _ := classify(c.b, g.ports, false); got != c.want {
				t.Errorf("%s: the model says %d, want %d", c.name, got, c.want)
			}
			f := newTestFilter(t, g, hook.tc)
			if got := f.passes(c.b); got == (c.want == foreign) {
				t.Errorf("%s, %s: passes is %v", hook.name, c.name, got)
			}
			if got := f.counts(); got != c.want.counted() {
				t.Errorf("%s, %s: %+v", hook.name, c.name, got)
			}
			if got := f.passes(c.b); got != (c.want == unseen || c.want == through) {
				t.Errorf("%s, %s: passes a second time is %v", hook.name, c.name, got)
			}
			// Cut anywhere, it is what the model says. The kernel shows programs no
			// packet that ends with the Ethernet header.
			for n := 15; n < len(c.b); n++ {
				want, _, _, _ := classify(c.b[:n], g.ports, false)
				f := f
				if want == stunKind || want == helloKind {
					f = newTestFilter(t, g, hook.tc)
				}
				if got, _ := f.verdict(c.b[:n]); got == (want == foreign) {
					t.Errorf("%s, %s, %d bytes: passes is %v, class %d", hook.name, c.name, n, got, want)
				}
			}
		}
	}
}

// Packets of an interface without Ethernet.
func TestFilterWithoutEthernet(t *testing.T) {
	needFilter(t)
	g := guard{ports: []uint16{443, guarded}, stun: hour(1), hello: hour(1), bare: true}
	for _, c := range filterPackets {
		if kind := binary.BigEndian.Uint16(c.b[12:]); kind != 0x0800 && kind != 0x86DD || c.name == "IPv4 that is version 6" {
			continue
		}
		f := newTestFilter(t, g, false)
		if got := f.passes(c.b[14:]); got == (c.want == foreign) || f.counts() != c.want.counted() {
			t.Errorf("%s: passes is %v, %+v", c.name, got, f.counts())
		}
	}
}

// Each kind has a rate of its own, each source too, and who is known has none.
func TestFilterLimitsBySource(t *testing.T) {
	needFilter(t)
	for _, hook := range bothHooks {
		f := newTestFilter(t, guard{ports: []uint16{guarded}, stun: hour(3), hello: hour(2)}, hook.tc)
		want := FilterStats{}
		show := func(what string, b []byte, passes int, of *uint64) {
			t.Helper()
			for i := range 5 {
				if got := f.passes(b); got != (i < passes) {
					t.Errorf("%s, %s, %d: passes is %v", hook.name, what, i, got)
				}
			}
			want.Admitted += uint64(passes)
			*of += uint64(5 - passes)
		}
		packet4 := func(from string, port uint16, p []byte) []byte {
			return ethernet(0x0800, ip4(from, 0, 0, datagram(port, guarded, p)))
		}
		packet6 := func(from string, p []byte) []byte {
			return ethernet(0x86DD, ip6(from, 17, datagram(1, guarded, p)))
		}
		show("STUN", packet4("10.0.0.1", 1, check(0)), 3, &want.STUN)
		show("STUN from another port", packet4("10.0.0.1", 2, check(0)), 0, &want.STUN)
		show("ClientHellos of the same source", packet4("10.0.0.1", 1, hello(0, 1)), 2, &want.Hello)
		show("another source", packet4("10.0.0.2", 1, check(0)), 3, &want.STUN)
		show("IPv6", packet6("2001:db8::1", hello(0, 1)), 2, &want.Hello)
		show("the same network", packet6("2001:db8::ffff:1", hello(0, 1)), 0, &want.Hello)
		show("STUN of that network", packet6("2001:db8::2", check(0)), 3, &want.STUN)
		show("another network", packet6("2001:db8:0:1::1", hello(0, 1)), 2, &want.Hello)
		if got := f.counts(); got != want {
			t.Errorf("%s: %+v, want %+v", hook.name, got, want)
		}
		for _, from := range []string{"10.0.0.1:2", "[2001:db8::1]:1"} {
			if err := f.flows.Put(keyOf(netip.MustParseAddrPort(from)), uint32(1)); err != nil {
				t.Fatal(err)
			}
		}
		for _, b := range [][]byte{packet4("10.0.0.1", 2, check(0)), packet4("10.0.0.1", 2, hello(0, 1)), packet6("2001:db8::1", hello(0, 1))} {
			if !f.passes(b) {
				t.Errorf("%s: %x from a known address was dropped", hook.name, b)
			}
		}
		if f.passes(packet4("10.0.0.1", 1, check(0))) {
			t.Errorf("%s: the neighbour of a known address was let through", hook.name)
		}
		want.Known, want.STUN = 3, want.STUN+1
		if got := f.counts(); got != want {
			t.Errorf("%s: %+v, want %+v", hook.name, got, want)
		}
	}
}

// A bucket fills again with time: here faster than a packet can be shown.
func TestFilterBucketsFillAgain(t *testing.T) {
	needFilter(t)
	for _, hook := range bothHooks {
		f := newTestFilter(t, guard{ports: []uint16{guarded}, stun: bucket{every: 1}, hello: bucket{}}, hook.tc)
		b := ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(1, guarded, check(0))))
		for range 100 {
			if !f.passes(b) {
				t.Fatal(hook.name, "a packet a nanosecond was too much")
			}
		}
		if f.passes(ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(1, guarded, hello(0, 1))))) {
			t.Error(hook.name, "a rate of none let something through")
		}
	}
}

func FuzzFilter(f *testing.F) {
	needFilter(f)
	for _, c := range filterPackets {
		f.Add(c.b)
	}
	g := guard{ports: []uint16{443, guarded}, stun: hour(2), hello: hour(1)}
	programs := []*testFilter{newTestFilter(f, g, false), newTestFilter(f, g, true)}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 15 || len(b) > 1500 {
			return
		}
		want, from, _, v4 := classify(b, g.ports, false)
		source := from[:8]
		if v4 {
			source = append([]byte{255, 255, 255, 255}, from[12:]...)
		}
		for _, x := range programs {
			x.t = t
			allowed := map[class]int{unseen: 3, through: 3, stunKind: 2, helloKind: 1}[want]
			first, shown := x.verdict(b)
			if !shown {
				continue
			}
			if first != (allowed > 0) {
				t.Fatalf("tc %v: passes is %v, class %d", x.tc, first, want)
			}
			for i := 1; i < 3; i++ { // it has been shown once
				if got := x.passes(b); got != (i < allowed) {
					t.Fatalf("tc %v, time %d: passes is %v, class %d", x.tc, i, got, want)
				}
			}
			if want == stunKind || want == helloKind {
				if err := x.sources.Delete(source); err != nil {
					t.Fatalf("tc %v: source %x: %v", x.tc, source, err)
				}
			}
		}
	})
}

func TestFilterConfigs(t *testing.T) {
	for name, cfg := range map[string]FilterConfig{
		"no ports":       {Interface: "lo"},
		"port zero":      {Interface: "lo", Ports: []uint16{0}},
		"too many ports": {Interface: "lo", Ports: make([]uint16, MaxPorts+1)},
		"no such mode":   {Interface: "lo", Ports: []uint16{1}, Mode: 9},
		"no interface":   {Ports: []uint16{1}},
		"not there":      {Interface: "sluice-none", Ports: []uint16{1}},
	} {
		if f, err := AttachFilter(cfg); !errors.Is(err, ErrFilter) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	for _, c := range []struct {
		rate Rate
		want bucket
	}{
		{Rate{}, bucket{1e6, 1999e6}},
		{Rate{PerSecond: 10}, bucket{1e8, 1999e8}},
		{Rate{Burst: 1}, bucket{1e6, 0}},
		{Rate{PerSecond: -1}, bucket{}},
		{Rate{PerSecond: 2e9, Burst: 3}, bucket{1, 2}},
	} {
		if got := c.rate.bucket(DefaultSTUN); got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.rate, got, c.want)
		}
	}
	for m, want := range map[FilterMode]string{FilterAuto: "auto", FilterDriver: "xdp driver", FilterGeneric: "xdp generic", FilterTC: "tcx ingress"} {
		if m.String() != want {
			t.Error(m.String())
		}
	}
}

// needFilter is needPrograms for those of an interface.
func needFilter(t testing.TB) {
	t.Helper()
	need(t, FilterSupported())
}

// Where the kernel has merged packets before it shows them, as it does before
// traffic control, each counts.
func TestFilterCountsMergedPackets(t *testing.T) {
	needFilter(t)
	f := newTestFilter(t, guard{ports: []uint16{guarded}, stun: hour(3), hello: hour(1)}, true)
	b := ethernet(0x0800, ip4("10.0.0.1", 0, 0, datagram(9, guarded, check(1))))
	skb := make([]byte, 192) // struct __sk_buff
	binary.NativeEndian.PutUint32(skb[skbSegments:], 3)
	if got, err := f.prog.Run(&ebpf.RunOptions{Data: b, Context: skb}); err != nil || got != ^uint32(0) {
		t.Fatalf("three of three: verdict %d, %v", int32(got), err)
	}
	if f.passes(b) {
		t.Error("a fourth was let through")
	}
}
