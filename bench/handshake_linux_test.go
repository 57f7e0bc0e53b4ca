package main

import (
	"testing"
)

// Each case completes one handshake of each side. Nothing is timed.
func TestHandshakesComplete(t *testing.T) {
	for _, path := range handshakeScenario().cases {
		c, err := parseHandshake(path)
		if err != nil {
			t.Fatal(err)
		}
		h, err := newHandshaker()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.sluices(c, 1); err != nil {
			t.Errorf("%s: ours: %v", path, err)
		}
		if c.cannot(pionDTLS) != "" {
			continue
		}
		if _, err := h.pions(c, 1); err != nil {
			t.Errorf("%s: Pion's: %v", path, err)
		}
	}
	for _, path := range []string{"pair/1.3/rsa", "pair/1.2/ecdsa-p256/x448", "both/1.2/ecdsa-p256/x25519"} {
		if _, err := parseHandshake(path); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
}

func TestHandshakesOfOpenSSL(t *testing.T) {
	needsProcesses(t)
	needsPeer(t, openssl.name, openssl.peer().whyNot())
	for _, path := range handshakeScenario().cases {
		c, err := parseHandshake(path)
		if err != nil {
			t.Fatal(err)
		}
		if c.cannot(openssl.peer()) != "" {
			continue
		}
		w, err := c.startOpenSSL()
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if a, err := w.ask([]byte("run 2")); err != nil || a.NS <= 0 {
			t.Errorf("%s: %+v, %v", path, a, err)
		}
		w.stop()
	}
}
