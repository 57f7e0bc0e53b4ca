package dtls

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// Each cipher suite and signature scheme is negotiated where one side, either, has no
// other, and by the server's order where both have several.
func TestAlgorithmsAreConfigurable(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		ids := []uint16{AES128_GCM_SHA256, AES256_GCM_SHA384, CHACHA20_POLY1305_SHA256}
		if v == VersionDTLS12 {
			ids = []uint16{ECDHE_ECDSA_AES128_GCM_SHA256, ECDHE_ECDSA_AES256_GCM_SHA384, ECDHE_ECDSA_CHACHA20_POLY1305_SHA256}
		}
		for _, id := range ids {
			for _, byServer := range []bool{true, false} {
				w := newWorldOf(t, 1, v, func(c, s *Config) {
					c.MinVersion, c.MaxVersion, s.MinVersion, s.MaxVersion = v, v, v, v
					c.CipherSuites, s.CipherSuites = ids, []uint16{id}
					if !byServer {
						c.CipherSuites, s.CipherSuites = s.CipherSuites, c.CipherSuites
					}
				})
				w.handshake()
				w.checkData()
				if got := w.server.State().CipherSuite; got != id {
					t.Errorf("%04x, by the server %v: %04x", id, byServer, got)
				}
			}
		}
		w := newWorldOf(t, 1, v, func(c, s *Config) {
			c.MinVersion, c.MaxVersion, s.MinVersion, s.MaxVersion = v, v, v, v
			s.CipherSuites = []uint16{ids[2], ids[1]}
			s.SignatureSchemes = []SignatureScheme{ECDSAWithP256AndSHA256}
		})
		w.handshake()
		if s := w.client.State(); s.CipherSuite != ids[2] || s.SignatureScheme != ECDSAWithP256AndSHA256 {
			t.Errorf("%+v", s)
		}
	})
}

// Twins: nothing in common, and a signature of a scheme that was not offered.
func TestAlgorithmsThatDoNotMeet(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		suites := [2][]uint16{{ECDHE_ECDSA_AES128_GCM_SHA256}, {ECDHE_ECDSA_AES256_GCM_SHA384}}
		if v == VersionDTLS13 {
			suites = [2][]uint16{{AES128_GCM_SHA256}, {AES256_GCM_SHA384}}
		}
		for name, tune := range map[string]func(c, s *Config){
			"suites":  func(c, s *Config) { c.CipherSuites, s.CipherSuites = suites[0], suites[1] },
			"schemes": func(c, s *Config) { c.SignatureSchemes = []SignatureScheme{PSSWithSHA256} },
			"ours":    func(c, s *Config) { s.SignatureSchemes = []SignatureScheme{PSSWithSHA256} },
		} {
			w := newWorldOf(t, 1, v, func(c, s *Config) {
				c.MinVersion, c.MaxVersion, s.MinVersion, s.MaxVersion = v, v, v, v
				tune(c, s)
			})
			w.start()
			w.run(10*time.Second, nil)
			if !isAlert(w.server.closedErr(), AlertHandshakeFailure, true) || !isAlert(w.client.closedErr(), AlertHandshakeFailure, false) {
				t.Errorf("%s: %v, %v", name, w.server.events, w.client.events)
			}
		}
		for _, byServer := range []bool{true, false} {
			w := newWorldOf(t, 1, v, func(c, s *Config) {
				c.MinVersion, c.MaxVersion, s.MinVersion, s.MaxVersion = v, v, v, v
				s.Certificate, c.RemoteFingerprints = testCerts["rsa"], fps(testCerts["rsa"])
			})
			w.start()
			// It takes less than it said: what the peer signs with was not offered, then.
			if byServer {
				w.client.cfg.SignatureSchemes = []SignatureScheme{ECDSAWithP256AndSHA256}
			} else {
				w.run(time.Second, func() bool { return w.server.hs.state != stateClientHello })
				w.server.cfg.SignatureSchemes = []SignatureScheme{PSSWithSHA256}
			}
			w.run(10*time.Second, nil)
			victim := w.client
			if !byServer {
				victim = w.server
			}
			if !isAlert(victim.closedErr(), AlertIllegalParameter, true) {
				t.Errorf("by the server %v: %v", byServer, victim.events)
			}
		}
	})
	for name, c := range map[string]Config{
		"unknown suite":  {CipherSuites: []uint16{1}},
		"suite twice":    {CipherSuites: append(slices.Clone(allSuites), allSuites[0])},
		"none of 1.3":    {CipherSuites: []uint16{ECDHE_ECDSA_AES128_GCM_SHA256}},
		"none of 1.2":    {CipherSuites: []uint16{AES128_GCM_SHA256}},
		"no suites":      {CipherSuites: []uint16{}},
		"unknown scheme": {SignatureSchemes: []SignatureScheme{0x0201}},
		"scheme twice":   {SignatureSchemes: []SignatureScheme{Ed25519, Ed25519}},
		"no schemes":     {SignatureSchemes: []SignatureScheme{}},
	} {
		c.Certificate, c.AwaitFingerprints = testCerts["client"], true
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
