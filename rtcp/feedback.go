package rtcp

import "encoding/binary"

const feedbackLen = 8 // two sources: RFC 4585 §6.1

// feedback splits a feedback message into its sources and its control
// information.
func feedback(p Packet, typ, format uint8) (sender, media uint32, fci []byte, ok bool) {
	if p.Type != typ || p.Count != format || len(p.Body) < feedbackLen {
		return 0, 0, nil, false
	}
	return binary.BigEndian.Uint32(p.Body), binary.BigEndian.Uint32(p.Body[4:]), p.Body[feedbackLen:], true
}

func openFeedback(b []byte, typ, format uint8, sender, media uint32) []byte {
	b = open(b, typ, format)
	b = binary.BigEndian.AppendUint32(b, sender)
	return binary.BigEndian.AppendUint32(b, media)
}

// PLI is a picture loss indication (RFC 4585 §6.3.1).
type PLI struct{ Sender, Media uint32 }

// ParsePLI reads a picture loss indication. It reports false if p is none.
func ParsePLI(p Packet) (PLI, bool) {
	sender, media, _, ok := feedback(p, TypePSFB, FormatPLI)
	return PLI{sender, media}, ok
}

// AppendPLI appends a picture loss indication.
func AppendPLI(b []byte, sender, media uint32) []byte {
	start := len(b)
	return closePacket(openFeedback(b, TypePSFB, FormatPLI, sender, media), start)
}

// FIREntry asks one source for a full intra picture. A repeated request
// repeats Seq, a new one increments it (RFC 5104 §4.3.1.1).
type FIREntry struct {
	SSRC uint32
	Seq  uint8
}

// FIR is a parsed full intra request. Its entries name the media sources.
type FIR struct {
	Sender uint32
	fci    []byte
}

// ParseFIR reads a full intra request (RFC 5104 §4.3.1). It reports false if p
// is none or has no whole entry.
func ParseFIR(p Packet) (FIR, bool) {
	sender, _, fci, ok := feedback(p, TypePSFB, FormatFIR)
	if !ok || len(fci) < 8 || len(fci)%8 != 0 {
		return FIR{}, false
	}
	return FIR{sender, fci}, true
}

// Len returns the number of entries, at least 1.
func (f FIR) Len() int { return len(f.fci) / 8 }

// At returns entry i.
func (f FIR) At(i int) FIREntry {
	b := f.fci[8*i : 8*i+8]
	return FIREntry{SSRC: binary.BigEndian.Uint32(b), Seq: b[4]}
}

// AppendFIR appends a full intra request with up to MaxList entries. The media
// source of the packet itself is zero (RFC 5104 §4.3.1.2).
func AppendFIR(b []byte, sender uint32, entries []FIREntry) []byte {
	start := len(b)
	b = openFeedback(b, TypePSFB, FormatFIR, sender, 0)
	for _, e := range entries[:min(len(entries), MaxList)] {
		b = binary.BigEndian.AppendUint32(b, e.SSRC)
		b = append(b, e.Seq, 0, 0, 0)
	}
	return closePacket(b, start)
}

// REMB is a parsed receiver estimated maximum bitrate
// (draft-alvestrand-rmcat-remb-03 §2.2).
type REMB struct {
	Sender uint32
	Bits   uint64 // per second, over all of SSRCs; saturated
	SSRCs  SSRCs
}

const rembID = 0x52454d42 // "REMB"

// ParseREMB reads an estimate. It reports false if p is none or is shorter
// than its count of sources says.
func ParseREMB(p Packet) (REMB, bool) {
	sender, _, fci, ok := feedback(p, TypePSFB, FormatREMB)
	if !ok || len(fci) < 8 || binary.BigEndian.Uint32(fci) != rembID {
		return REMB{}, false
	}
	end := 8 + 4*int(fci[4])
	if len(fci) < end {
		return REMB{}, false
	}
	exp, mantissa := fci[5]>>2, uint64(fci[5]&3)<<16|uint64(fci[6])<<8|uint64(fci[7])
	bits := mantissa << exp
	if bits>>exp != mantissa { // 63 and 18 bits can say more than 64 bits hold
		bits = 1<<64 - 1
	}
	return REMB{sender, bits, SSRCs{fci[8:end]}}, true
}

// AppendREMB appends an estimate of bits per second for up to MaxList sources.
// The value is rounded down to the 18 significant bits there are.
func AppendREMB(b []byte, sender uint32, bits uint64, ssrcs []uint32) []byte {
	start, ssrcs := len(b), ssrcs[:min(len(ssrcs), MaxList)]
	b = openFeedback(b, TypePSFB, FormatREMB, sender, 0)
	b = binary.BigEndian.AppendUint32(b, rembID)
	exp := uint8(0)
	for bits>>exp >= 1<<18 {
		exp++
	}
	mantissa := bits >> exp
	b = append(b, uint8(len(ssrcs)), exp<<2|uint8(mantissa>>16), uint8(mantissa>>8), uint8(mantissa))
	for _, s := range ssrcs {
		b = binary.BigEndian.AppendUint32(b, s)
	}
	return closePacket(b, start)
}
