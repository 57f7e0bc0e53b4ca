package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A handshakeCase is a path of the scenario, taken apart.
type handshakeCase struct {
	side  string // pair, server or client
	group string // x25519 or p256
}

var errOneGroup = errors.New("needs a side that can be told its group: package dtls cannot, and pion/dtls as server takes the first of the client's, x25519")

var pionDTLS = peer{name: "pion/dtls", version: module("github.com/pion/dtls/v3")}

func handshakeScenario() *scenario {
	s := &scenario{
		name: "handshake", about: "DTLS 1.2 handshakes in memory, certificates of both sides, per CPU-second of the side",
		peers: []peer{pionDTLS, openssl.peer()}, missing: fanoutMissing, measure: measureHandshake,
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
	c = handshakeCase{parts[0], parts[3]}
	if !slices.Contains([]string{"pair", "server", "client"}, c.side) || !slices.Contains([]string{"x25519", "p256"}, c.group) {
		return c, fmt.Errorf("%q is no case of handshake", path)
	}
	return c, nil
}
