// Package dataplane moves packets. An Engine runs shards, one per core: each
// has a socket, a slab of buffers, a data lane (one goroutine that receives,
// decrypts, routes, encrypts and sends) and a ctl lane (one goroutine for
// everything else, on which the endpoints of package webrtc live).
//
// A Transport is the data lane's half of one connection; a Stream is one
// inbound RTP stream, or one written by the application; a Route copies a
// Stream to Legs, each on some Transport, rewriting SSRC, payload type,
// sequence number, timestamp and extension identifiers. Handles may be used
// from any goroutine: their methods post Updates, which the data lane applies
// in order between batches. Fields belong to the lane that the comment names.
//
// Where the process may load BPF programs (package bpf), the kernel brings each
// datagram to the shard of its transport; elsewhere its hash spreads them, and
// shards hand over to each other what is not theirs.
//
// It knows no SDP, runs no ICE and no DTLS handshake, keeps no queue towards a
// slow receiver and makes no decision about layers: it is programmed.
package dataplane
