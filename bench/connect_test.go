package main

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestConnectCases(t *testing.T) {
	for path, want := range map[string]connectCase{
		"wall/pair/rtt0":            {measure: "wall"},
		"cpu/server":                {measure: "cpu", server: true},
		"roundtrips/server/rtt100":  {measure: "roundtrips", server: true, rtt: 100},
		"roundtrips/channel/rtt100": {measure: "roundtrips", channel: true, rtt: 100},
		"roundtrips/sped/rtt100":    {measure: "roundtrips", channel: true, sped: true, rtt: 100},
	} {
		if got, err := parseConnect(path); err != nil || got != want {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	for _, path := range []string{"wall", "wall/pair", "cpu/pair/rtt0", "roundtrips/pair/rtt0", "wall/client/rtt0", "disk/pair", "wall/sped/rtt0", "cpu/channel", "roundtrips/sped"} {
		if _, err := parseConnect(path); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
	for _, path := range connectScenario().cases {
		if c, err := parseConnect(path); err != nil || c.unit() == "" {
			t.Error(path, err)
		}
	}
}

// Each end sees the other's packets come from the address that the other's
// description names, and nothing but that address.
func TestRelayIsTheOtherEndsAddress(t *testing.T) {
	r, err := newRelay(0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	var ends [2]*net.UDPConn
	var seen [2]netip.AddrPort
	for i := range ends {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ends[i] = c
		addr := c.LocalAddr().(*net.UDPAddr).AddrPort()
		text, err := r.pass(i, "v=0\r\na=candidate:1 1 tcp 99 127.0.0.1 9 typ host tcptype active\r\na=candidate:2 1 udp 98 ::1 5 typ host\r\n"+
			"a=candidate:3 1 udp 97 127.0.0.1 "+strings.TrimPrefix(addr.String(), "127.0.0.1:")+" typ host generation 0\r\na=candidate:4 1 udp 1 127.0.0.1 7 typ host\r\na=mid:0\r\n")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n")
		f := strings.Fields(lines[1])
		if len(lines) != 3 || lines[0] != "v=0" || lines[2] != "a=mid:0" || len(f) != 10 || f[0] != "a=candidate:3" || f[9] != "0" {
			t.Fatalf("%q", text)
		}
		seen[i] = netip.MustParseAddrPort(f[4] + ":" + f[5])
	}
	for i, end := range ends {
		if _, err := end.WriteToUDPAddrPort([]byte{byte(i)}, seen[1-i]); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 10)
		ends[1-i].SetReadDeadline(time.Now().Add(10 * time.Second))
		n, from, err := ends[1-i].ReadFromUDPAddrPort(b)
		if err != nil || n != 1 || b[0] != byte(i) || from != seen[i] {
			t.Errorf("end %d got %v from %v, %v, want it from %v", 1-i, b[:n], from, err, seen[i])
		}
	}
}

func TestRelayWantsACandidate(t *testing.T) {
	r, err := newRelay(0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for _, text := range []string{"", "v=0\r\n", "a=candidate:1 1 udp 98 ::1 5 typ host\r\n", "a=candidate:1 1 udp 98\r\n", "a=candidate:1 2 udp 98 127.0.0.1 5 typ host\r\n"} {
		if _, err := r.pass(0, text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}
