// Package dtls is DTLS 1.2 for WebRTC (RFC 6347), both roles, without I/O: no
// socket, no goroutine, no clock.
//
// There are two parts. Conn is the handshake machine: it negotiates, retransmits,
// verifies the peer's certificate against the signalled fingerprints, and exports
// SRTP keys. Records is the record layer it makes: it seals and opens records,
// and nothing else, so that it can run where the packets are.
//
// # Driving a Conn
//
// From one goroutine: give it datagrams (HandlePacket), call HandleTimeout when
// Timeout says so, and after each call drain Transmit, then Event:
//
//	c, err := dtls.New(dtls.Config{Role: dtls.Server, Certificate: cert, RemoteFingerprints: fps})
//	c.Start(now)
//	for {
//		for n := c.Transmit(now, buf); n > 0; n = c.Transmit(now, buf) {
//			send(buf[:n])
//		}
//		for e, ok := c.Event(); ok; e, ok = c.Event() { ... }
//		// wait for a datagram, c.HandlePacket(now, b), or until c.Timeout(), c.HandleTimeout(now)
//	}
//
// After Connected, Records hands the record layer over; Conn stays for what is
// rare: see Conn.Records.
//
// # What is spoken
//
// ECDHE with X25519, P-256 or P-384; AES-128-GCM or AES-256-GCM; certificates with
// ECDSA P-256 or P-384, Ed25519 or RSA keys on both sides, always mutual where we
// are the server (RFC 8827 §6.5); extended master secret (RFC 7627); use_srtp (RFC
// 5764, RFC 7714); the exporter (RFC 5705); HelloVerifyRequest; messages fragmented
// and reassembled, a ClientHello too. A peer which offers DTLS 1.3 as well is
// answered with 1.2.
//
// # What is believed
//
// Whatever arrives before the handshake is done may be forged. The address must
// have been validated (by ICE) before its packets come here; beyond that:
//
//   - records and fragments that do not parse, and records that do not
//     authenticate, are counted and dropped (RFC 6347 §4.1.2.7);
//   - a server drops ClientHellos that do not parse, and once it has accepted one
//     every other: they cannot displace the handshake under way;
//   - a whole message in sequence that is wrong ends the handshake, with an alert;
//   - a plaintext alert ends the handshake after 2 s without progress, and is
//     ignored once connected;
//   - when connected, nothing in the clear changes anything. A client that repeats
//     its last flight gets ours again, at a bounded rate.
//
// # What it does not do
//
// No DTLS 1.3 or 1.0, no session resumption, no renegotiation (refused), no
// connection IDs, no static RSA, PSK, CBC, CCM or ChaCha20 suites, no compression,
// no MKI, no validation of certificate chains, names and dates (Config.VerifyPeer
// may), no path MTU discovery, no stream or socket interface.
package dtls
