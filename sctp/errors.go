package sctp

import "errors"

// What the methods called by an application return.
var (
	ErrClosed          = errors.New("sctp: association closed")
	ErrSendBufferFull  = errors.New("sctp: send buffer full: wait for EventWritable")
	ErrMessageTooLarge = errors.New("sctp: message larger than the peer accepts")
	ErrMessageOpen     = errors.New("sctp: stream waits for the rest of a message written in parts")
	ErrEmptyMessage    = errors.New("sctp: SCTP cannot carry an empty message")
	ErrInvalidStream   = errors.New("sctp: stream id out of range")
	ErrNoStreamReset   = errors.New("sctp: peer does not support stream reset")
)

// Why a packet was dropped, whole or from some chunk on. Such packets are also
// counted in Stats.
var (
	ErrShortPacket = errors.New("sctp: packet shorter than its header")
	ErrPort        = errors.New("sctp: packet for other ports")
	ErrChecksum    = errors.New("sctp: wrong checksum")
	ErrTag         = errors.New("sctp: wrong verification tag")
	ErrMalformed   = errors.New("sctp: malformed chunk")
	ErrUnexpected  = errors.New("sctp: chunk not expected in this state")
)

// Why an association ended: Event.Err of EventClosed.
var (
	ErrAborted       = errors.New("sctp: aborted by this side")
	ErrPeerAborted   = errors.New("sctp: aborted by the peer")
	ErrTimeout       = errors.New("sctp: peer does not answer")
	ErrProtocol      = errors.New("sctp: peer violated the protocol")
	ErrPeerMessage   = errors.New("sctp: peer sent a message, or unfinished ones together, beyond the limits")
	ErrResetDenied   = errors.New("sctp: peer refused the stream reset")
	ErrRestarted     = errors.New("sctp: peer restarted the association")
	ErrStreamRefused = errors.New("sctp: peer does not accept that many streams")
)
