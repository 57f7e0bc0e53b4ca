package sctp

import "encoding/binary"

// INIT and INIT ACK, RFC 9260 §3.3.2 and §3.3.3, with the parameters of
// RFC 3758 §3.1, RFC 5061 §4.2.7 and RFC 9653 §4, and error causes, §3.3.10.

const (
	paramHeartbeatInfo uint16 = 1
	paramStateCookie   uint16 = 7
	paramUnrecognized  uint16 = 8
	paramExtensions    uint16 = 0x8008
	paramForwardTSN    uint16 = 0xc000
	paramZeroChecksum  uint16 = 0x8001
	initFixedLen              = 16
	paramIPv4          uint16 = 5
	paramIPv6          uint16 = 6
	paramPreservative  uint16 = 9
	paramAddressTypes  uint16 = 12
	causeInvalidStream uint16 = 1
	causeMissingParam  uint16 = 2
	causeStaleCookie   uint16 = 3
	causeNoResource    uint16 = 4
	causeUnrecognized  uint16 = 6
	causeInvalidParam  uint16 = 7
	causeUnknownParams uint16 = 8
	causeNoUserData    uint16 = 9
	causeShuttingDown  uint16 = 10
	causeUserAbort     uint16 = 12
	causeProtocol      uint16 = 13
)

// methodDTLS is the error detection method of RFC 9653 §6: SCTP over DTLS.
const methodDTLS = 1

// initChunk is what an INIT or INIT ACK says.
type initChunk struct {
	tag, window, tsn uint32
	out, in          uint16 // streams offered and accepted
	forwardTSN       bool
	reconfig         bool
	interleave       bool   // I-DATA
	zeroChecksum     bool   // what DTLS has checked needs no checksum
	pad              bool   // knows PAD chunks (RFC 4820)
	cookie           []byte // INIT ACK only; a view
	unknown          []byte // parameters to report, raw and padded, at most maxEcho
}

// parseInit reads the chunk. A parameter which is cut off makes it malformed;
// unknown ones are treated as their two highest bits say (§3.2.1).
func parseInit(c chunk) (i initChunk, ok bool) {
	v := c.value
	if len(v) < initFixedLen {
		return i, false
	}
	i.tag = binary.BigEndian.Uint32(v)
	i.window = binary.BigEndian.Uint32(v[4:])
	i.out = binary.BigEndian.Uint16(v[8:])
	i.in = binary.BigEndian.Uint16(v[10:])
	i.tsn = binary.BigEndian.Uint32(v[12:])
	for v = v[initFixedLen:]; len(v) > 0; {
		p, rest, ok := nextParam(v)
		if !ok {
			return i, false
		}
		v = rest
		switch p.typ {
		case paramStateCookie:
			i.cookie = p.value
		case paramForwardTSN:
			i.forwardTSN = true
		case paramExtensions:
			for _, t := range p.value {
				i.forwardTSN = i.forwardTSN || chunkType(t) == typeForwardTSN
				i.reconfig = i.reconfig || chunkType(t) == typeReconfig
				i.interleave = i.interleave || chunkType(t) == typeIData
				i.pad = i.pad || chunkType(t) == typePad
			}
		case paramZeroChecksum:
			i.zeroChecksum = len(p.value) == 4 && binary.BigEndian.Uint32(p.value) == methodDTLS
		case paramIPv4, paramIPv6, paramPreservative, paramAddressTypes, paramUnrecognized:
			// RFC 8261 §6.1: DTLS has no addresses to speak of.
		default:
			if p.typ&0x4000 != 0 && len(i.unknown)+pad4(len(p.raw)) <= maxEcho {
				start := len(i.unknown)
				i.unknown = endChunk(append(i.unknown, p.raw...), start)
			}
			if p.typ&0x8000 == 0 {
				return i, true
			}
		}
	}
	return i, true
}

// appendInit appends an INIT or INIT ACK.
func appendInit(b []byte, t chunkType, i *initChunk) []byte {
	start := len(b)
	b = beginChunk(b, t, 0)
	b = binary.BigEndian.AppendUint32(b, i.tag)
	b = binary.BigEndian.AppendUint32(b, i.window)
	b = binary.BigEndian.AppendUint16(b, i.out)
	b = binary.BigEndian.AppendUint16(b, i.in)
	b = binary.BigEndian.AppendUint32(b, i.tsn)
	last := 0 // length of the last parameter
	add := func(t uint16, v []byte) {
		b, last = appendParam(b, t, v), paramHeaderLen+len(v)
	}
	if i.cookie != nil {
		add(paramStateCookie, i.cookie)
	}
	var ext []byte
	if i.forwardTSN {
		add(paramForwardTSN, nil)
		ext = append(ext, byte(typeForwardTSN))
	}
	if i.reconfig {
		ext = append(ext, byte(typeReconfig))
	}
	if i.interleave {
		ext = append(ext, byte(typeIData))
		if i.forwardTSN {
			ext = append(ext, byte(typeIForwardTSN))
		}
	}
	if i.pad {
		ext = append(ext, byte(typePad))
	}
	if i.zeroChecksum {
		add(paramZeroChecksum, be32(methodDTLS))
	}
	if ext != nil {
		add(paramExtensions, ext)
	}
	for u := i.unknown; len(u) > 0; {
		p, rest, ok := nextParam(u)
		if !ok {
			break
		}
		u = rest
		add(paramUnrecognized, p.raw)
	}
	// The padding of the last parameter does not count (§3.2).
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start-(pad4(last)-last)))
	return b
}

// appendError appends an ERROR or ABORT chunk with one cause; cause 0: none.
func appendError(b []byte, t chunkType, flags uint8, cause uint16, info []byte) []byte {
	start := len(b)
	b = beginChunk(b, t, flags)
	if cause != 0 {
		b = append(beginParam(b, cause), info...)
		binary.BigEndian.PutUint16(b[start+6:], uint16(len(b)-start-4))
	}
	return endChunk(b, start)
}
