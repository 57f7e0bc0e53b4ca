// Package sctpnet is SCTP over any net.PacketConn, such as a UDP socket
// (RFC 6951): associations with many streams, each of which is a net.Conn and
// has methods for messages with their payload protocol identifiers and partial
// reliability.
//
// Nothing is encrypted or authenticated beyond SCTP's own cookies, tags and
// CRC32c. Use it on networks you trust, or over a
// net.PacketConn which protects its datagrams.
//
// An Endpoint has one goroutine, which reads, and a timer for each association.
// All methods may be called from any goroutine. Callbacks there are none.
//
// It does not do multihoming, and does not follow a peer to another IP address,
// only to another port of the same (RFC 6951 §5.4).
package sctpnet
