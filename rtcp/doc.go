// Package rtcp reads and writes RTCP: sender and receiver reports, source
// descriptions and goodbyes (RFC 3550 §6), generic NACK, picture loss and full
// intra requests (RFC 4585, RFC 5104), REMB, extended reports with the seven
// blocks of RFC 3611, and transport-wide congestion control feedback with the
// recorder of arrivals that produces it.
//
// Reading iterates: Next splits a compound into packets, ParseX gives a view
// of one, and views walk their lists by index or by iterator. Writing appends:
// AppendX adds one packet to a slice, and a compound is a slice to which
// several were appended. Nothing allocates but what append does to a full
// slice. Views borrow the bytes they were parsed from.
//
// Packets of types it does not know, APP among them, come out of Next whole, for
// the caller to skip (RFC 3550 §6.1) or to read, and so do blocks of XR.
//
// The package has no timers, decides nothing about when to send or what to
// report, and keeps no statistics.
package rtcp
