// Package sctp is SCTP as WebRTC uses it, as sans-IO state machines:
// Association speaks RFC 9260 with partial reliability (RFC 3758, RFC 7496)
// and stream reset (RFC 6525); Channels puts data channels on top (RFC 8831,
// RFC 8832).
//
// Both have the five verbs: HandlePacket, HandleTimeout, Timeout, Transmit and
// Event. Call one of the first two, or a method which changes something, then
// drain Transmit and Event. All calls come from one goroutine, the data lane.
// Packets are complete SCTP packets, as they go into DTLS (RFC 8261).
//
// The package opens no socket, reads no clock and starts no goroutine. It does
// not do multihoming, address reconfiguration (RFC 5061), authentication
// (RFC 4895; DTLS does that), message interleaving (RFC 8260) or path MTU
// discovery, and it ignores ECN.
package sctp
