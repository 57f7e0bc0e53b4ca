// Package sctp is SCTP as WebRTC uses it, as sans-IO state machines:
// Association speaks RFC 9260 with partial reliability (RFC 3758, RFC 7496),
// stream reset (RFC 6525), message interleaving (RFC 8260) and no checksums
// over DTLS (RFC 9653); Channels puts data channels on top (RFC 8831,
// RFC 8832).
//
// Both have the five verbs: HandlePacket, HandleTimeout, Timeout, Transmit and
// Event. Call one of the first two, or a method which changes something, then
// drain Transmit and Event. All calls come from one goroutine, the data lane.
// Packets are complete SCTP packets, as they go into DTLS (RFC 8261).
//
// Congestion is controlled as in the TCP and QUIC stacks of today: CUBIC
// (RFC 9438) or NewReno, slow start by HyStart++ (RFC 9406), loss detection by
// RACK-TLP (RFC 8985), proportional rate reduction (RFC 6937), and pacing in
// bursts which suit segmentation offload, driven by Timeout and Transmit.
//
// In steady state nothing is allocated per packet, and each message received
// once. Buffers of an idle association are given back.
//
// The package opens no socket, reads no clock and starts no goroutine. It does
// not do multihoming, address reconfiguration (RFC 5061), authentication
// (RFC 4895; DTLS does that), and ignores ECN.
package sctp
