package rtp

const (
	// MaxPacket is the longest packet Parse accepts, in bytes: what a UDP
	// datagram's 16-bit length can say. Longer ones are refused. It also
	// keeps a rewritten extension block, at most doubled in size, within
	// the 65,535 words of its length field.
	MaxPacket = 1<<16 - 1

	// MaxCSRC is the number of contributing sources a header can hold
	// (RFC 3550 §5.1: a 4-bit count). Header.Append ignores more.
	MaxCSRC = 15

	// MaxExtra is the number of extension elements a Rewrite adds: mid,
	// rid, abs-send-time and transport-cc.
	MaxExtra = 4

	// MaxExtensionData is the longest extension element, in bytes, and that
	// of the two-byte form only (RFC 8285 §4.3). Longer ones are dropped.
	MaxExtensionData = 255
)
