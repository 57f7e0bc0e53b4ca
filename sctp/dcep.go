package sctp

import "encoding/binary"

// The data channel establishment protocol, RFC 8832 §5, and the payload
// protocol identifiers of RFC 8831 §8.

const (
	ppidDCEP        = 50
	ppidText        = 51
	ppidBinary      = 53
	ppidTextEmpty   = 56
	ppidBinaryEmpty = 57

	dcepAck  = 2
	dcepOpen = 3

	channelReliable  = 0
	channelRexmit    = 1
	channelTimed     = 2
	channelUnordered = 0x80

	openFixedLen = 12
)

// parseOpen reads a DATA_CHANNEL_OPEN, RFC 8832 §5.1.
func parseOpen(b []byte) (p ChannelParams, ok bool) {
	if len(b) < openFixedLen || b[0] != dcepOpen {
		return p, false
	}
	p.Priority = binary.BigEndian.Uint16(b[2:])
	value := binary.BigEndian.Uint32(b[4:])
	label := int(binary.BigEndian.Uint16(b[8:]))
	protocol := int(binary.BigEndian.Uint16(b[10:]))
	if len(b) != openFixedLen+label+protocol {
		return p, false
	}
	// W3C keeps the parameter in 16 bits; more is as good as the most.
	limit := uint16(min(value, 65535))
	switch b[1] &^ channelUnordered {
	case channelReliable: // the parameter is to be ignored
	case channelRexmit:
		p.MaxRetransmits = &limit
	case channelTimed:
		p.MaxPacketLifeTime = &limit
	default:
		return p, false
	}
	p.Unordered = b[1]&channelUnordered != 0
	p.Label = string(b[openFixedLen : openFixedLen+label])
	p.Protocol = string(b[openFixedLen+label:])
	return p, true
}

func appendOpen(b []byte, p *ChannelParams) []byte {
	typ, value := byte(channelReliable), uint16(0)
	switch {
	case p.MaxRetransmits != nil:
		typ, value = channelRexmit, *p.MaxRetransmits
	case p.MaxPacketLifeTime != nil:
		typ, value = channelTimed, *p.MaxPacketLifeTime
	}
	if p.Unordered {
		typ |= channelUnordered
	}
	b = append(b, dcepOpen, typ)
	b = binary.BigEndian.AppendUint16(b, p.Priority)
	b = binary.BigEndian.AppendUint32(b, uint32(value))
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.Label)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.Protocol)))
	b = append(b, p.Label...)
	return append(b, p.Protocol...)
}
