package bpf

import "encoding/binary"

// A class is what the model makes of a packet.
type class int

const (
	unseen   class = iota // not for the ports, or not to be read: passes, uncounted
	through               // passes
	foreign               // dropped
	stunKind              // limited by source
	helloKind
)

// classify is the filter written once more, from the RFCs, over a packet.
func classify(b []byte, ports []uint16, bare bool) (c class, from [16]byte, port uint16, v4 bool) {
	kind := uint16(0)
	if bare {
		if len(b) == 0 {
			return
		}
		kind = map[byte]uint16{4: 0x0800, 6: 0x86DD}[b[0]>>4]
	} else {
		if len(b) < 14 {
			return
		}
		kind, b = binary.BigEndian.Uint16(b[12:]), b[14:]
		for tags := 0; kind == 0x8100 || kind == 0x88A8; tags++ {
			if len(b) < 4 || tags == maxTags {
				return
			}
			kind, b = binary.BigEndian.Uint16(b[2:]), b[4:]
		}
	}
	var udp []byte
	switch kind {
	case 0x0800:
		if len(b) < 20 || b[0]>>4 != 4 || b[0]&15 < 5 || b[9] != 17 || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 || len(b) < int(b[0]&15)*4 {
			return
		}
		from[10], from[11], v4 = 0xff, 0xff, true
		copy(from[12:], b[12:16])
		udp = b[int(b[0]&15)*4:]
	case 0x86DD:
		if len(b) < 24 || b[0]>>4 != 6 {
			return
		}
		copy(from[:], b[8:24])
		next := b[6]
		if len(b) < 40 {
			return
		}
		udp = b[40:]
		for n := 0; next != 17; n++ {
			size := 8
			switch {
			case n == maxExtensions || len(udp) < 2:
				return
			case next == 44:
				if len(udp) < 8 || binary.BigEndian.Uint16(udp[2:])>>3 != 0 {
					return
				}
			case next == 0 || next == 43 || next == 60:
				size = (int(udp[1]) + 1) * 8
			default:
				return
			}
			next = udp[0]
			if len(udp) < size {
				return
			}
			udp = udp[size:]
		}
	default:
		return
	}
	if len(udp) < 8 {
		return
	}
	port = binary.BigEndian.Uint16(udp)
	to, length := binary.BigEndian.Uint16(udp[2:]), int(binary.BigEndian.Uint16(udp[4:]))
	guarded := false
	for _, p := range ports {
		guarded = guarded || p == to
	}
	if !guarded || length < 8 {
		return
	}
	return payload(udp[8:], length-8), from, port, v4
}

// payload tells what a datagram of n bytes is, of which b is there.
func payload(b []byte, n int) class {
	switch {
	case n == 0:
		return foreign
	case len(b) == 0:
		return unseen
	}
	switch f := b[0]; {
	case f <= 3:
		switch {
		case n < 20:
			return foreign
		case len(b) < 8:
			return unseen
		case binary.BigEndian.Uint32(b[4:]) != 0x2112A442:
			return foreign
		}
		return stunKind
	case f == 22 && n >= 14:
		if len(b) < 14 {
			return unseen
		}
		if b[3] == 0 && b[4] == 0 && b[13] == 1 {
			return helloKind
		}
		return through
	case f >= 16 && f <= 79, f >= 128 && f <= 191:
		return through
	}
	return foreign
}
