package sockets

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// A probe of the path's MTU leaves by itself, unfragmented, and what comes
// before and behind it as ever.
func TestWholeDatagramsAreNotFragmented(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		t.Run(addr, func(t *testing.T) {
			f := &faults{}
			a, err := open(Config{Addr: netip.MustParseAddrPort(addr), ReadBuffer: DefaultBuffer, WriteBuffer: DefaultBuffer}, f)
			if err != nil {
				t.Skip("no IPv6 here: ", err)
			}
			defer a.Close()
			to := a.LocalAddr()
			if to.Addr().IsUnspecified() {
				to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port())
			}
			type call struct{ messages, four, six int }
			var calls []call
			option := func(level, option int) int {
				v, err := unix.GetsockoptInt(int(a.file.Fd()), level, option)
				if err != nil {
					return -1
				}
				return v
			}
			look := func(n int) call {
				return call{n, option(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER), option(unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER)}
			}
			f.send = func(hs []mmsghdr) (int, unix.Errno, bool) {
				calls = append(calls, look(len(hs)))
				return 0, 0, false
			}
			before := look(0)
			var ms []Message
			for i, text := range []string{"a", "b", "probe", "c", "probe", "d"} {
				ms = append(ms, Message{Buf: []byte(text), Addr: to, Whole: i == 2 || i == 4})
			}
			if n, err := a.WriteBatch(ms); n != len(ms) || err != nil {
				t.Fatal(n, err)
			}
			want := []int{2, 1, 1, 1, 1}
			if len(calls) != len(want) {
				t.Fatalf("%+v", calls)
			}
			for i, c := range calls {
				plain := call{want[i], before.four, before.six}
				probe := call{want[i], unix.IP_PMTUDISC_PROBE, -1}
				if a.family == unix.AF_INET6 {
					probe.six = unix.IPV6_PMTUDISC_PROBE
				}
				if expected := map[bool]call{true: probe, false: plain}[i == 1 || i == 3]; c != expected {
					t.Errorf("call %d: %+v, want %+v", i, c, expected)
				}
			}
			if after := look(0); after != before {
				t.Errorf("%+v became %+v", before, after)
			}
			for i, m := range receive(t, a, len(ms)) {
				if string(m.Buf) != string(ms[i].Buf) {
					t.Errorf("datagram %d is %q", i, m.Buf)
				}
			}
		})
	}
}
