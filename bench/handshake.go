package main

import (
	"fmt"
	"slices"
	"strings"
)

// A handshakeCase is a path of the scenario, taken apart.
type handshakeCase struct {
	side    string // pair, server or client
	version string // 1.2 or 1.3
	group   string // x25519, p256 or mlkem768, which is X25519MLKEM768
}

var (
	pionDTLS = peer{name: "pion/dtls", version: module("github.com/pion/dtls/v3")}
	// sluice12 is our own DTLS 1.2 with X25519: nobody else whom bench can reach
	// in memory has 1.3.
	sluice12 = peer{name: "sluice-1.2", version: func() string { return developing }}
)

func handshakeScenario() *scenario {
	s := &scenario{
		name: "handshake", about: "DTLS handshakes in memory, certificates of both sides, per CPU-second of the side",
		peers: []peer{pionDTLS, openssl.peer(), sluice12}, missing: fanoutMissing, measure: measureHandshake,
	}
	for _, side := range []string{"pair", "server", "client"} {
		for _, group := range []string{"x25519", "p256"} {
			s.cases = append(s.cases, strings.Join([]string{side, "1.2", "ecdsa-p256", group}, "/"))
		}
	}
	for _, group := range []string{"mlkem768", "x25519", "p256"} {
		s.cases = append(s.cases, strings.Join([]string{"pair", "1.3", "ecdsa-p256", group}, "/"))
	}
	return s
}

func parseHandshake(path string) (c handshakeCase, err error) {
	if !slices.Contains(handshakeScenario().cases, path) {
		return c, fmt.Errorf("%q is no case of handshake", path)
	}
	parts := strings.Split(path, "/")
	return handshakeCase{parts[0], parts[1], parts[3]}, nil
}

// cannot tells why a peer has no part in the case, empty: it has.
func (c handshakeCase) cannot(p peer) string {
	switch {
	case p.name == sluice12.name && c.version == "1.2":
		return "is what is measured"
	case p.name != sluice12.name && c.version == "1.3":
		return p.name + " has no DTLS 1.3"
	}
	return ""
}
