package dtls

import (
	"fmt"
	"testing"

	"github.com/sluicertc/sluice/internal/mono"
)

// pairOf shakes hands between two Conns without a network.
func pairOf(tb testing.TB, version uint16, group ...Group) { connectedPair(tb, version, group...) }

func connectedPair(tb testing.TB, version uint16, group ...Group) (ends [2]*Conn) {
	for i, role := range []Role{Client, Server} {
		c, err := New(Config{
			Role: role, Certificate: testCerts[role.String()], RemoteFingerprints: costPrints[1-i],
			MinVersion: version, MaxVersion: version, Groups: group,
		})
		if err != nil {
			tb.Fatal(err)
		}
		ends[i] = c
	}
	const now mono.Time = 1e9
	ends[0].Start(now)
	ends[1].Start(now)
	var buf [DefaultMTU]byte
	for up := 0; up < 2; {
		for i, e := range ends {
			for n := e.Transmit(now, buf[:]); n > 0; n = e.Transmit(now, buf[:]) {
				_ = ends[1-i].HandlePacket(now, buf[:n])
			}
		}
		for _, e := range ends {
			for ev, ok := e.Event(); ok; ev, ok = e.Event() {
				if _, ok := ev.(Connected); !ok {
					tb.Fatal(ev)
				}
				up++
			}
		}
	}
	for range 2 { // what acknowledges the last flight
		for i, e := range ends {
			for n := e.Transmit(now, buf[:]); n > 0; n = e.Transmit(now, buf[:]) {
				_ = ends[1-i].HandlePacket(now, buf[:n])
			}
		}
	}
	return ends
}

var costPrints = [2][]Fingerprint{fps(testCerts["client"]), fps(testCerts["server"])}

var costCases = []struct {
	version uint16
	groups  []Group
}{
	{VersionDTLS12, []Group{GroupX25519, GroupP256}},
	{VersionDTLS12, []Group{GroupP256}},
	{VersionDTLS13, []Group{GroupX25519}},
	{VersionDTLS13, []Group{GroupX25519MLKEM768}},
}

func BenchmarkHandshake(b *testing.B) {
	for _, c := range costCases {
		b.Run(fmt.Sprintf("%x/%v", c.version, c.groups[0]), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				pairOf(b, c.version, c.groups...)
			}
		})
	}
}

// A handshake costs each end fewer than 200 allocations. Most of them are crypto's:
// of the 256 of both ends in DTLS 1.2, 118 are ecdsa's for two signatures, 20 for
// verifying them, 42 for key agreement, certificates' keys and AES-GCM.
func TestHandshakeAllocations(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	for _, c := range costCases {
		n := testing.AllocsPerRun(20, func() { pairOf(t, c.version, c.groups...) })
		if n > 2*200 {
			t.Errorf("%x with %v: %v allocations at both ends", c.version, c.groups[0], n)
		}
		t.Logf("%x with %v: %v allocations at both ends", c.version, c.groups[0], n)
	}
}
