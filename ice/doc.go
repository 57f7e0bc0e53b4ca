// Package ice is an ICE agent (RFC 8445) with trickle (RFC 8838), consent
// freshness (RFC 7675) and the lite role, as a state machine without sockets,
// goroutines or clocks.
//
// One Agent serves one transport: one component, because rtcp-mux and BUNDLE
// are assumed. It is owned by one goroutine. After each call which changes it
// (HandlePacket, HandleTimeout, AddRemoteCandidate, ...) the owner drains
// Transmit and Event, then arms a timer for Timeout:
//
//	a, err := ice.New(ice.Config{Hosts: hosts})
//	ufrag, pwd := a.LocalCredentials()              // to the peer
//	a.Gather(now)
//	a.SetRemoteCredentials(now, theirUfrag, theirPwd)
//	a.AddRemoteCandidate(now, c)                    // any number, any time
//	for {
//		for n, p := a.Transmit(now, buf); n > 0; n, p = a.Transmit(now, buf) { send(buf[:n], p) }
//		for e, ok := a.Event(); ok; e, ok = a.Event() { ... }
//		select { packet: a.HandlePacket(now, b, p); timer at a.Timeout(): a.HandleTimeout(now) }
//	}
//
// Media may go where Selected points. DTLS should be read only from addresses
// for which Validated is true; it may begin on the first path of EventUsable,
// a round trip before a nomination (RFC 8445 §12.1). For true round-trip times
// give Transmit and HandlePacketAt the instants at which packets leave and
// arrive.
//
// With Config.Carry checks and their answers carry the datagrams of a handshake
// that would have to wait for a path (DTLS in STUN, draft-hancke-webrtc-sped): the
// owner gives them to Carry, gets the peer's from EventCarried, and drains Event
// before Transmit, so that the answer to a check carries the answer to what the
// check carried. See carry.go.
//
// The package does not: open sockets, list interfaces, resolve names (a
// candidate with a ".local" or other name is accepted and left alone: the
// peer's checks arrive and make it peer-reflexive), speak TCP (RFC 6544:
// candidates are parsed and left alone) or TURN (RFC 8656), or check lite
// against lite, where nobody could test a pair.
package ice
