package dtls

import (
	"fmt"
	"runtime"
	"testing"

	aead "github.com/sluicertc/sluice/crypto"
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

// A handshake of DTLS 1.2 costs both ends less than 200 allocations, which but for a
// dozen are crypto's: 111 are ecdsa's for two signatures, 20 for verifying them, 14 for
// the keys of two certificates, 28 for P-256, 4 for AES-GCM. X25519 takes 12 less, DTLS
// 1.3 its key schedule and keys for two epochs more.
func TestHandshakeAllocations(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	key, _ := aead.NewGCMKey(make([]byte, 16))
	perKey := testing.AllocsPerRun(20, func() { key, _ = aead.NewGCMKey(make([]byte, 16)) })
	for i, most := range []float64{188, 200, 296, 309} {
		c := costCases[i]
		if runtime.GOARCH != "amd64" {
			most = 2 * 200 // elsewhere crypto's share is another
		}
		if perKey > 1 { // without kernels each key has more parts
			most += 8 * perKey
		}
		n := testing.AllocsPerRun(20, func() { pairOf(t, c.version, c.groups...) })
		if n > most {
			t.Errorf("%x with %v: %v allocations at both ends, more than %v", c.version, c.groups[0], n, most)
		}
		t.Logf("%x with %v: %v allocations at both ends", c.version, c.groups[0], n)
	}
	runtime.KeepAlive(key)
}
