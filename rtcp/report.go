package rtcp

import "encoding/binary"

const blockLen = 24

// ReportBlock is a receiver's report about one source (RFC 3550 §6.4.1).
type ReportBlock struct {
	SSRC         uint32
	FractionLost uint8  // in 1/256 since the previous report
	Lost         int32  // packets, 24 bits, signed
	Highest      uint32 // extended highest sequence number received
	Jitter       uint32 // in timestamp units
	LastSR       uint32 // CompactNTP of the last sender report, 0 if none
	Delay        uint32 // since that, in 1/65536 s
}

// ReportBlocks is a list of report blocks.
type ReportBlocks struct{ b []byte }

// Len returns the number of blocks, 0 to 31.
func (r ReportBlocks) Len() int { return len(r.b) / blockLen }

// At returns block i.
func (r ReportBlocks) At(i int) ReportBlock {
	b := r.b[i*blockLen : (i+1)*blockLen]
	return ReportBlock{
		SSRC:         binary.BigEndian.Uint32(b),
		FractionLost: b[4],
		Lost:         int32(binary.BigEndian.Uint32(b[4:])<<8) >> 8,
		Highest:      binary.BigEndian.Uint32(b[8:]),
		Jitter:       binary.BigEndian.Uint32(b[12:]),
		LastSR:       binary.BigEndian.Uint32(b[16:]),
		Delay:        binary.BigEndian.Uint32(b[20:]),
	}
}

// SenderInfo is what a sender reports about itself (RFC 3550 §6.4.1).
type SenderInfo struct {
	NTP     uint64 // NTPTime of the moment RTP stands for
	RTP     uint32 // the same moment in timestamp units
	Packets uint32 // sent so far, modulo 2^32
	Octets  uint32 // of payload sent so far, modulo 2^32
}

// SenderReport is a parsed SR.
type SenderReport struct {
	SSRC   uint32
	Info   SenderInfo
	Blocks ReportBlocks
}

// ReceiverReport is a parsed RR.
type ReceiverReport struct {
	SSRC   uint32
	Blocks ReportBlocks
}

// ParseSR reads a sender report. It reports false if p is none or is shorter
// than its count says. Profile-specific extensions at the end are left out.
func ParseSR(p Packet) (SenderReport, bool) {
	n := 24 + int(p.Count)*blockLen
	if p.Type != TypeSR || len(p.Body) < n {
		return SenderReport{}, false
	}
	b := p.Body
	return SenderReport{
		SSRC: binary.BigEndian.Uint32(b),
		Info: SenderInfo{
			NTP:     binary.BigEndian.Uint64(b[4:]),
			RTP:     binary.BigEndian.Uint32(b[12:]),
			Packets: binary.BigEndian.Uint32(b[16:]),
			Octets:  binary.BigEndian.Uint32(b[20:]),
		},
		Blocks: ReportBlocks{b[24:n]},
	}, true
}

// ParseRR reads a receiver report, as ParseSR does a sender's.
func ParseRR(p Packet) (ReceiverReport, bool) {
	n := 4 + int(p.Count)*blockLen
	if p.Type != TypeRR || len(p.Body) < n {
		return ReceiverReport{}, false
	}
	return ReceiverReport{SSRC: binary.BigEndian.Uint32(p.Body), Blocks: ReportBlocks{p.Body[4:n]}}, true
}

// AppendSR appends a sender report with up to MaxBlocks blocks.
func AppendSR(b []byte, ssrc uint32, info SenderInfo, blocks []ReportBlock) []byte {
	start, blocks := len(b), blocks[:min(len(blocks), MaxBlocks)]
	b = open(b, TypeSR, uint8(len(blocks)))
	b = binary.BigEndian.AppendUint32(b, ssrc)
	b = binary.BigEndian.AppendUint64(b, info.NTP)
	b = binary.BigEndian.AppendUint32(b, info.RTP)
	b = binary.BigEndian.AppendUint32(b, info.Packets)
	b = binary.BigEndian.AppendUint32(b, info.Octets)
	return closePacket(appendBlocks(b, blocks), start)
}

// AppendRR appends a receiver report with up to MaxBlocks blocks.
func AppendRR(b []byte, ssrc uint32, blocks []ReportBlock) []byte {
	start, blocks := len(b), blocks[:min(len(blocks), MaxBlocks)]
	b = open(b, TypeRR, uint8(len(blocks)))
	b = binary.BigEndian.AppendUint32(b, ssrc)
	return closePacket(appendBlocks(b, blocks), start)
}

func appendBlocks(b []byte, blocks []ReportBlock) []byte {
	for i := range blocks {
		r := &blocks[i]
		// RFC 3550 §A.3: the count of lost packets is clamped, not wrapped.
		lost := min(max(r.Lost, -1<<23), 1<<23-1)
		b = binary.BigEndian.AppendUint32(b, r.SSRC)
		b = binary.BigEndian.AppendUint32(b, uint32(r.FractionLost)<<24|uint32(lost)&0xffffff)
		b = binary.BigEndian.AppendUint32(b, r.Highest)
		b = binary.BigEndian.AppendUint32(b, r.Jitter)
		b = binary.BigEndian.AppendUint32(b, r.LastSR)
		b = binary.BigEndian.AppendUint32(b, r.Delay)
	}
	return b
}
