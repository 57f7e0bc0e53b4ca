package dtls

import (
	"errors"
	"testing"
	"time"
)

func anonymous(_, s *Config) { s.AnonymousClients, s.RemoteFingerprints = true, nil }

// A server may do without its clients' certificates, also after it has moved to
// another process; the client verifies it as ever.
func TestAnonymousClients(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		w := newWorldOf(t, 1, v, anonymous)
		w.handshake()
		w.checkSecrets()
		if n := len(w.server.State().PeerCertificates); n != 0 {
			t.Errorf("%d certificates of a client that was asked for none", n)
		}
		if len(w.client.State().PeerCertificates) == 0 {
			t.Error("the server's certificate is missing")
		}
		w.server.SetRemoteFingerprints(fps(testCerts["other"])) // without effect
		w.settle()
		w.move(w.server)
		w.checkData()
	})
}

// Twins: the server's certificate is held against the fingerprint still, a
// certificate that nobody asked for is refused, and the configurations that make no
// sense.
func TestClass04_AnonymousClientsAreNoneElsewhere(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		w := newWorldOf(t, 1, v, func(c, s *Config) {
			anonymous(c, s)
			c.RemoteFingerprints = fps(testCerts["other"])
		})
		w.start()
		w.run(10*time.Second, nil)
		if !isAlert(w.client.closedErr(), AlertBadCertificate, true) || w.server.connected() {
			t.Error(w.client.events, w.server.events)
		}
		w = newWorldOf(t, 1, v, anonymous)
		w.start()
		w.client.hs.requested = true // it says what was not asked
		w.client.hs.scheme = schemeFor13(allSchemes, w.client.cfg.Certificate.signer.Public(), allSchemes)
		w.run(10*time.Second, nil)
		if !isAlert(w.server.closedErr(), AlertUnexpectedMessage, true) {
			t.Error(w.server.events)
		}
	})
	for name, c := range map[string]Config{
		"client":       {Role: Client, AnonymousClients: true},
		"fingerprints": {Role: Server, AnonymousClients: true, RemoteFingerprints: fps(testCerts["other"])},
		"awaited":      {Role: Server, AnonymousClients: true, AwaitFingerprints: true},
	} {
		c.Certificate = testCerts["client"]
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
