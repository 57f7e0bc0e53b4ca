// Package av1 looks into AV1's RTP payloads ("RTP Payload Format For AV1",
// v1.0, Alliance for Open Media) as far as forwarding them needs: whether a
// packet starts a coded video sequence.
//
// It decodes nothing, puts no units together, and does not read the dependency
// descriptor, which is a header extension.
package av1

// Bits of the aggregation header (§4.4).
const (
	continues = 0x80 // Z: the first element continues one of the packet before
	newCoded  = 0x08 // N: first packet of a coded video sequence

	countShift, countMask = 4, 3 // W: number of elements, 0 if each has a length
)

const (
	// OBU_SEQUENCE_HEADER, AV1 specification §6.2.2. Above the type's four
	// bits is the forbidden one.
	typeSequenceHeader = 1

	maxLEB = 8 // bytes, AV1 specification §4.10.5
)

// IsKeyframe reports whether a decoder can start at the RTP payload: it is
// marked as the first of a coded video sequence, or starts a sequence header,
// which precedes a key frame.
func IsKeyframe(payload []byte) bool {
	if len(payload) < 2 {
		return false
	}
	head, b := payload[0], payload[1:]
	cont := head&continues != 0
	if head&newCoded != 0 {
		return !cont // §4.4: N and Z exclude each other
	}
	count := int(head >> countShift & countMask)
	for i := 1; len(b) > 0; i++ {
		n := len(b)
		if i != count { // §4.4: only the last of W elements has no length
			size, used := leb128(b)
			b = b[used:]
			if used == 0 || size > uint64(len(b)) {
				return false
			}
			n = int(size)
		}
		if n > 0 && !cont && b[0]>>3 == typeSequenceHeader {
			return true
		}
		if i == count {
			return false
		}
		b, cont = b[n:], false
	}
	return false
}

// leb128 reads a length and returns how many bytes it took, or 0 if it has no
// end.
func leb128(b []byte) (v uint64, n int) {
	for i, c := range b[:min(len(b), maxLEB)] {
		v |= uint64(c&0x7f) << (7 * i)
		if c&0x80 == 0 {
			return v, i + 1
		}
	}
	return 0, 0
}
