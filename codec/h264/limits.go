package h264

const (
	// MaxFrame is the longest buffer, in bytes, that a Depacketizer makes: one
	// key frame a second at 64 Mb/s. A unit that would exceed it is dropped.
	MaxFrame = 8 << 20

	// DefaultPayload is the longest payload, in bytes, that a Packetizer makes
	// unless told otherwise: 1200 bytes of datagram, less 12 of header, 12 of
	// extensions and 16 of authentication tag.
	DefaultPayload = 1160

	// maxPayload is what the 16-bit lengths of an aggregation can say. A larger
	// limit is lowered to it.
	maxPayload = 1<<16 - 1

	// minPayload holds a fragment of one byte. A smaller limit is raised to it.
	minPayload = fuHeader + 1
)
