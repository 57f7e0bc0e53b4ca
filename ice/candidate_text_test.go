package ice

import (
	"net/netip"
	"strconv"
	"testing"
)

func TestNumbersAreAppended(t *testing.T) {
	prefix := []byte("x")
	check := func(n uint32) {
		if got, want := string(appendNumber(prefix, n)), "x"+strconv.FormatUint(uint64(n), 10); got != want {
			t.Fatalf("%d became %q", n, got)
		}
	}
	for n := range uint32(1 << 17) {
		check(n)
	}
	for n := uint64(1); n <= 1<<32; n *= 10 {
		check(uint32(n - 1))
		check(uint32(n))
	}
	check(1<<32 - 1)
	for n := range 256 {
		ip := netip.AddrFrom4([4]byte{byte(n), byte(n + 1), byte(n * 7), byte(n)})
		if got, want := string(appendAddr(prefix, ip)), "x"+ip.String()+" "; got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
}

// What is there stays, whatever room there is behind it, and nothing behind the
// line is told.
func TestCandidatesAreAppendedToAnyBuffer(t *testing.T) {
	c := Candidate{Foundation: "7", Component: 1, Priority: 10, Addr: ap("192.0.2.1:80"), Related: ap("[2001:db8::1]:9"), Type: TypePeerReflexive,
		Host: "", Extensions: []Attribute{{"generation", "0"}}, UsernameFragment: "abcd"}
	const want = "candidate:7 1 udp 10 192.0.2.1 80 typ prflx raddr 2001:db8::1 rport 9 generation 0 ufrag abcd"
	for room := range 2 * len(want) {
		b := append(make([]byte, 0, 2+room), "a="...)
		if got := string(c.Append(b)); got != "a="+want {
			t.Fatalf("%d bytes of room: %q", room, got)
		}
	}
	named := Candidate{Foundation: "7", Component: 2, Transport: TCP, Host: "a.local", Addr: netip.AddrPortFrom(netip.Addr{}, 9), TCPType: "passive"}
	if got := named.String(); got != "candidate:7 2 tcp 0 a.local 9 typ host tcptype passive" {
		t.Error(got)
	}
}

func TestCandidatesAreWrittenWithoutAllocating(t *testing.T) {
	c, err := ParseCandidate("candidate:842163049 1 udp 1677729535 192.0.2.3 45664 typ srflx raddr 10.0.0.1 rport 8998")
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { buf = c.Append(buf[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
