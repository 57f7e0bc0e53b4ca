// Package stun reads and writes STUN messages (RFC 8489) as views over bytes.
//
// Parse validates a datagram once and gives a Message, a small value which
// points into it; accessors then read attributes in place. A Builder appends
// a message to the caller's buffer. A Key is the reusable HMAC state of one
// password, so that checking and signing a message allocate nothing.
//
// The package does not: keep transactions or retransmit (package ice does),
// interpret TURN attributes (RFC 8656: they are named, and read raw with Get),
// compute MESSAGE-INTEGRITY-SHA256, or frame messages over TCP.
package stun
