package main

import "testing"

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
		if _, _, err := h.once(c.side); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := parseHandshake("pair/1.3/rsa"); err == nil {
		t.Error("an unknown case was accepted")
	}
}
