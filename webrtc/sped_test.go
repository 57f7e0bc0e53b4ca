package webrtc

import (
	"slices"
	"testing"

	"github.com/sluicertc/sluice/dtls"
)

// carriedBy is what a connection's checks have carried.
func carriedBy(t *testing.T, pc *PeerConnection) *TransportStats {
	t.Helper()
	return only[*TransportStats](t, must(pc.GetStats())(t))
}

func TestHandshakeGoesInChecks(t *testing.T) {
	for _, version := range []uint16{dtls.VersionDTLS12, dtls.VersionDTLS13} {
		for _, role := range []DTLSRole{DTLSServer, DTLSClient} {
			for _, lite := range []bool{false, true} {
				o := DTLSOptions{MinVersion: version, MaxVersion: version}
				a := newPC(t, Config{Engine: newEngine(t, 1), SPED: true, SNAP: true, DTLS: o})
				b := newPC(t, Config{Engine: newEngine(t, 2), SPED: true, SNAP: true, DTLS: o, DTLSRole: role, ICELite: lite})
				dc, _ := link(t, a, b, "first", nil)
				echo(t, b, dc)
				// A server may have a path by the time it is asked, and a lite agent has
				// one when it is: what they say need not be carried.
				client, server := carriedBy(t, a), carriedBy(t, b)
				if role == DTLSClient {
					client, server = server, client
				}
				if lite && role == DTLSClient {
					continue
				}
				if client.DTLSInSTUNSent == 0 || server.DTLSInSTUNReceived == 0 {
					t.Errorf("%x, role %d, lite %v: the client's checks carried %d datagrams, and the server got %d", version, role, lite, client.DTLSInSTUNSent, server.DTLSInSTUNReceived)
				}
			}
		}
	}
}

// Only who is asked to carries, and only to who does so too.
func TestHandshakeGoesInChecksOnlyByAgreement(t *testing.T) {
	for _, x := range []struct{ offerer, answerer bool }{{true, false}, {false, true}, {false, false}} {
		a := newPC(t, Config{Engine: newEngine(t, 1), SPED: x.offerer})
		b := newPC(t, Config{Engine: newEngine(t, 2), SPED: x.answerer})
		dc, _ := link(t, a, b, "first", nil)
		echo(t, b, dc)
		for i, pc := range []*PeerConnection{a, b} {
			options := localSDP(t, pc).Media[0].ICEOptions
			if said := slices.Contains(options, "sped") || slices.Contains(options, "googspedv1"); said != (x.offerer && i == 0) {
				t.Errorf("%+v: end %d says %q", x, i, options)
			}
			if s := carriedBy(t, pc); s.DTLSInSTUNReceived != 0 || s.DTLSInSTUNSent != 0 {
				t.Errorf("%+v: end %d: %d datagrams sent in checks, %d received", x, i, s.DTLSInSTUNSent, s.DTLSInSTUNReceived)
			}
		}
	}
}
