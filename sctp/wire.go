package sctp

import (
	"encoding/binary"
	"hash/crc32"
)

// Packet and chunk framing, RFC 9260 §3.

const (
	headerLen      = 12
	chunkHeaderLen = 4
	paramHeaderLen = 4
)

type chunkType uint8

const (
	typeData             chunkType = 0
	typeInit             chunkType = 1
	typeInitAck          chunkType = 2
	typeSack             chunkType = 3
	typeHeartbeat        chunkType = 4
	typeHeartbeatAck     chunkType = 5
	typeAbort            chunkType = 6
	typeShutdown         chunkType = 7
	typeShutdownAck      chunkType = 8
	typeError            chunkType = 9
	typeCookieEcho       chunkType = 10
	typeCookieAck        chunkType = 11
	typeECNE             chunkType = 12
	typeCWR              chunkType = 13
	typeShutdownComplete chunkType = 14
	typeReconfig         chunkType = 130 // RFC 6525 §3.1
	typeIData            chunkType = 64  // RFC 8260 §2.1
	typePad              chunkType = 132 // RFC 4820
	typeForwardTSN       chunkType = 192 // RFC 3758 §3.2
	typeIForwardTSN      chunkType = 194 // RFC 8260 §2.3.1
)

// flagT of ABORT and SHUTDOWN COMPLETE: the tag is the receiver's peer's own,
// reflected (RFC 9260 §8.5.1).
const flagT = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var zeros [4]byte // never written; a local one would be allocated

type header struct {
	src, dst uint16
	tag      uint32
}

// checksum of a whole packet, its checksum field taken as zero.
func checksum(b []byte) uint32 {
	sum := crc32.Update(0, castagnoli, b[:8])
	sum = crc32.Update(sum, castagnoli, zeros[:])
	return crc32.Update(sum, castagnoli, b[headerLen:])
}

// parseHeader reads the common header and checks length and checksum. If zero
// is set, a checksum of zero stands for what the layer below has checked
// (RFC 9653 §5.3), but in the packets which make an association.
func parseHeader(b []byte, zero bool) (header, error) {
	if len(b) < headerLen+chunkHeaderLen {
		return header{}, ErrShortPacket
	}
	sum := binary.LittleEndian.Uint32(b[8:])
	if first := chunkType(b[headerLen]); sum != 0 || !zero || first == typeInit || first == typeCookieEcho {
		if sum != checksum(b) {
			return header{}, ErrChecksum
		}
	}
	return header{
		src: binary.BigEndian.Uint16(b),
		dst: binary.BigEndian.Uint16(b[2:]),
		tag: binary.BigEndian.Uint32(b[4:]),
	}, nil
}

func appendHeader(b []byte, h header) []byte {
	b = binary.BigEndian.AppendUint16(b, h.src)
	b = binary.BigEndian.AppendUint16(b, h.dst)
	b = binary.BigEndian.AppendUint32(b, h.tag)
	return append(b, 0, 0, 0, 0)
}

// seal writes the checksum into a complete packet.
func seal(pkt []byte) { binary.LittleEndian.PutUint32(pkt[8:], checksum(pkt)) }

type chunk struct {
	typ   chunkType
	flags uint8
	value []byte // without header and padding
	raw   []byte // with header, without padding
}

// nextChunk splits the first chunk off b. It fails when the chunk is cut off:
// RFC 9260 §6.10 has a partial chunk dropped.
func nextChunk(b []byte) (c chunk, rest []byte, ok bool) {
	if len(b) < chunkHeaderLen {
		return chunk{}, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < chunkHeaderLen || n > len(b) {
		return chunk{}, nil, false
	}
	c = chunk{typ: chunkType(b[0]), flags: b[1], value: b[chunkHeaderLen:n], raw: b[:n]}
	return c, b[min(pad4(n), len(b)):], true
}

func pad4(n int) int { return (n + 3) &^ 3 }

// beginChunk appends a chunk's header; endChunk, given the length before it,
// fills in the length and pads.
func beginChunk(b []byte, t chunkType, flags uint8) []byte {
	return append(b, byte(t), flags, 0, 0)
}

func endChunk(b []byte, start int) []byte {
	n := len(b) - start
	binary.BigEndian.PutUint16(b[start+2:], uint16(n))
	for ; n&3 != 0; n++ {
		b = append(b, 0)
	}
	return b
}

func appendChunk(b []byte, t chunkType, flags uint8, value []byte) []byte {
	start := len(b)
	return endChunk(append(beginChunk(b, t, flags), value...), start)
}

// param is a parameter or an error cause: the same shape (§3.2.1, §3.3.10).
type param struct {
	typ   uint16
	value []byte
	raw   []byte
}

// nextParam splits the first parameter off b, which must not be empty. The
// last one's padding may be missing (§3.2: it belongs to the chunk).
func nextParam(b []byte) (p param, rest []byte, ok bool) {
	if len(b) < paramHeaderLen {
		return param{}, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < paramHeaderLen || n > len(b) {
		return param{}, nil, false
	}
	p = param{typ: binary.BigEndian.Uint16(b), value: b[paramHeaderLen:n], raw: b[:n]}
	return p, b[min(pad4(n), len(b)):], true
}

func beginParam(b []byte, t uint16) []byte {
	return append(b, byte(t>>8), byte(t), 0, 0)
}

func appendParam(b []byte, t uint16, value []byte) []byte {
	start := len(b)
	return endChunk(append(beginParam(b, t), value...), start)
}
