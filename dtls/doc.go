// Package dtls is DTLS 1.3 (RFC 9147) and 1.2 (RFC 6347) for WebRTC, both roles,
// without I/O: no socket, no goroutine, no clock.
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
// Key agreement with X25519MLKEM768 (1.3 only), X25519, P-256 or P-384;
// AES-128-GCM, AES-256-GCM or ChaCha20-Poly1305; certificates with ECDSA P-256 or
// P-384, Ed25519 or RSA keys on both sides, mutual where we are the server unless
// Config.AnonymousClients says otherwise (RFC 8827 §6.5); use_srtp (RFC 5764, RFC
// 7714); exporters (RFC 5705, RFC 8446 §7.5); cookies; messages fragmented and
// reassembled, a ClientHello too. In 1.2 extended master secret (RFC 7627); in 1.3
// HelloRetryRequest, acknowledgements and repetition of what is missing only, key
// update. Where Config asks for it, in both: ALPN (RFC 7301, RFC 8833), record size limits (RFC 8449), padding, connection
// IDs (RFC 9146, RFC 9147 §9) and the return routability check (RFC 9853), for which
// see Records.Newest and Conn.CheckPath.
//
// Export and Import move an association to another process, in the midst of it.
//
// Config.MinVersion and MaxVersion choose. One hello offers both versions; a
// version that somebody on the way has taken out of it ends the handshake.
//
// In 1.2 both sides are Connected once each has verified the other. In 1.3 the
// client is, half a round trip earlier, when it has verified the server and proved
// itself: a server that refuses its certificate closes the association after that
// (RFC 8446 §2).
//
// # Where things are
//
// Files that end in 12 or 13 know one version; hellos.go parts them. conn.go is
// the machine, flight.go what it sends and repeats, reassembly.go what it
// receives; records.go is Records, batch.go many of them, protection.go the keys.
// options.go has what both sides may do without, cid.go and path.go connection IDs
// and the check of paths, state.go Export, ephemeral.go keys made beforehand, carry.go
// what another protocol needs that carries the handshake.
//
// # What is believed
//
// Whatever arrives before the handshake is done may be forged. The address must
// have been validated (by ICE) before its packets come here; beyond that:
//
//   - records that do not parse or do not authenticate are counted and dropped (RFC
//     6347 §4.1.2.7);
//   - ACKs in the clear are ignored;
//   - a server that has accepted no ClientHello yet answers what cannot be one with an
//     alert and goes on waiting; once it has accepted one it drops every other: they
//     cannot displace the handshake under way;
//   - a message in sequence that is wrong, in another epoch than its own, cut, too
//     long, or in fragments that disagree, ends the handshake, with an alert;
//   - a ServerHello of 1.3 counts when a record opens with the keys that it makes; until
//     then four are held for possible. If the server repeats one, again and again, and
//     nothing opens, the handshake ends: the two have different ClientHellos;
//   - an authentic record that breaks the protocol ends the association at any time;
//   - a plaintext alert ends the handshake after 2 s without progress, and is
//     ignored once connected;
//   - when connected, nothing in the clear changes anything. A client that repeats
//     its last flight gets ours again, at a bounded rate.
//
// # What it does not do
//
// No DTLS 1.0, no session resumption or 0-RTT (tickets are acknowledged and
// forgotten), no renegotiation (refused), no post-handshake authentication, no
// static RSA, PSK, CBC or CCM suites, no compression, no MKI, no validation of
// certificate chains, names and dates (Config.VerifyPeer may), no path MTU discovery.
// Sockets, net.Conn and net.Listener are package dtlsnet's.
package dtls
