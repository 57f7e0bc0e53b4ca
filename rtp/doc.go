// Package rtp reads RTP packets (RFC 3550) as views over their bytes and
// writes their headers: header extensions in both forms of RFC 8285, the
// rewriting of a header for each receiver of a forwarded packet, arithmetic on
// sequence numbers, and retransmission payloads (RFC 4588).
//
// Parse returns a View, a few integers beside the packet's own bytes, and
// nothing here allocates but what append does to a full slice. A View borrows
// the packet: it is valid as long as the bytes are.
//
// The package keeps no session: it knows neither jitter nor loss, reorders
// nothing, looks into no codec's payload and does no RTCP.
package rtp
