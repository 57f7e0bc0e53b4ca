package webrtc

import (
	"testing"
	"time"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/internal/mono"
)

// trips is a time in round trips.
func trips(d time.Duration) float64 { return float64(d) / float64(2*spedDelay) }

// What DTLS in STUN and SCTP in SDP are for: from the offer's departure to the
// open channel.
func TestRoundTripsFromOfferToOpenChannel(t *testing.T) {
	both := [2]bool{true, true}
	for _, x := range []struct {
		name             string
		how              spedHow
		offerer, slowest float64 // until it is open there; at both ends
	}{
		{"without, 1.3", spedHow{version: dtls.VersionDTLS13}, 5, 5},
		{"without, 1.2", spedHow{version: dtls.VersionDTLS12}, 5, 5.5},
		{"SPED and SNAP, 1.3", spedHow{carry: both, snap: true, version: dtls.VersionDTLS13}, 2, 2.5},
		{"SPED and SNAP, 1.3, answerer active", spedHow{carry: both, snap: true, active: true, version: dtls.VersionDTLS13}, 2, 2},
		{"SPED and SNAP, 1.3, lite", spedHow{carry: both, snap: true, lite: true, version: dtls.VersionDTLS13}, 2, 2.5},
		{"SPED and SNAP, 1.2", spedHow{carry: both, snap: true, version: dtls.VersionDTLS12}, 3, 3},
		{"SPED and SNAP, 1.2, answerer active", spedHow{carry: both, snap: true, active: true, version: dtls.VersionDTLS12}, 2, 2.5},
	} {
		w := newSPEDWorld(t, 1, x.how)
		start := w.now
		w.negotiate()
		w.mustOpen(10 * time.Second)
		at := func(m mono.Time) float64 { return trips(m.Sub(start)) }
		a, b := w.ends[0], w.ends[1]
		t.Logf("%s: connected after %.2f and %.2f round trips, open after %.2f and %.2f, %d datagrams", x.name, at(a.upAt), at(b.upAt), at(a.openAt), at(b.openAt), w.sent)
		if at(a.openAt) != x.offerer || max(at(a.openAt), at(b.openAt)) != x.slowest {
			t.Errorf("%s: open after %.2f and %.2f round trips, want %.1f and %.1f at the latest", x.name, at(a.openAt), at(b.openAt), x.offerer, x.slowest)
		}
		client, server := a, b
		if x.how.active {
			client, server = b, a
		}
		// A hello with post-quantum keys is longer than a check.
		hello := uint64(0)
		if x.how.carry == both {
			hello = 1
			if x.how.version == dtls.VersionDTLS13 {
				hello = 2
			}
		}
		sent, received := client.agent.CarryStats().Sent, server.agent.CarryStats().Received
		if sent < hello || received < hello || hello == 0 && sent+received > 0 {
			t.Errorf("%s: the client's checks carried %d datagrams, and the server got %d, want %d", x.name, sent, received, hello)
		}
		if g := client.conn.State().Group; x.how.version == dtls.VersionDTLS13 && g != dtls.GroupX25519MLKEM768 {
			t.Errorf("%s: keys of %v", x.name, g)
		}
	}
}
