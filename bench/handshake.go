package main

import (
	"errors"
	"fmt"
	"strings"
)

// A handshakeCase is a path of the scenario, taken apart.
type handshakeCase struct {
	side  string // pair, server or client
	group string // x25519 or p256
}

var errOneGroup = errors.New("needs a side that can be told its group: package dtls cannot, and pion/dtls as server takes the first of the client's, x25519")

func handshakeScenario() *scenario {
	s := &scenario{
		name: "handshake", about: "DTLS 1.2 handshakes in memory, certificates of both sides, per CPU-second of the side",
		peers: []peer{
			{name: "pion/dtls", version: module("github.com/pion/dtls/v3")},
			{name: "openssl", version: func() string { return "" }, missing: func() string {
				return "bench has no harness for OpenSSL in memory yet"
			}},
		},
		missing: fanoutMissing, measure: measureHandshake,
	}
	for _, side := range []string{"pair", "server", "client"} {
		for _, group := range []string{"x25519", "p256"} {
			s.cases = append(s.cases, strings.Join([]string{side, "1.2", "ecdsa-p256", group}, "/"))
		}
	}
	return s
}

func parseHandshake(path string) (c handshakeCase, err error) {
	parts := strings.Split(path, "/")
	if len(parts) != 4 || parts[1] != "1.2" || parts[2] != "ecdsa-p256" {
		return c, fmt.Errorf("%q is no case of handshake", path)
	}
	return handshakeCase{parts[0], parts[3]}, nil
}
