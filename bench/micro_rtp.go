package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	pionrtcp "github.com/pion/rtcp"
	pionrtp "github.com/pion/rtp"

	"github.com/sluicertc/sluice/rtcp"
	"github.com/sluicertc/sluice/rtp"
)

const (
	pionRTP  = "github.com/pion/rtp"
	pionRTCP = "github.com/pion/rtcp"
)

func microHeader(ext bool) rtp.Header {
	h := rtp.Header{Marker: true, PayloadType: 96, Seq: 12345, Timestamp: 3000000000, SSRC: 0x12345678}
	if ext {
		h.Extensions = []rtp.ExtPair{{ID: 1, Data: []byte{0x85}}, {ID: 2, Data: []byte{1, 2, 3}}, {ID: 3, Data: []byte{0, 9}}}
	}
	return h
}

// microPacket is an RTP packet with a payload of n bytes.
func microPacket(ext bool, n int) []byte {
	h := microHeader(ext)
	b := h.Append(nil)
	for i := range n {
		b = append(b, byte(i))
	}
	return b
}

func packetInput(b []byte) map[string]string {
	return map[string]string{"packet": hex.EncodeToString(b)}
}

func microRTP() []microCase {
	parse := func(b []byte) (ours, pion func() microWork) {
		text := func(seq uint16, ts, ssrc uint32, n int) string { return fmt.Sprint(seq, ts, ssrc, n) }
		ours = func() microWork {
			var v rtp.View
			op := func() {
				if !v.Parse(b) {
					panic(errOwnPacket)
				}
			}
			return repeat(op, func() string { op(); return text(v.Seq, v.Timestamp, v.SSRC, len(v.Payload())) })
		}
		pion = func() microWork {
			var p pionrtp.Packet
			op := func() { must(p.Unmarshal(b)) }
			return repeat(op, func() string { op(); return text(p.SequenceNumber, p.Timestamp, p.SSRC, len(p.Payload)) })
		}
		return ours, pion
	}
	plain, extended := microPacket(false, 1200), microPacket(true, 1200)
	list := []microCase{
		{path: "rtp/parse", module: pionRTP, input: packetInput(plain)},
		{path: "rtp/serialize", module: pionRTP, input: packetInput(plain), sluice: sluiceSerialize(plain), pion: pionSerialize(plain)},
		{path: "rtp/parse-extensions", module: pionRTP, input: packetInput(extended)},
		{path: "rtp/round-trip", module: pionRTP, input: packetInput(plain), sluice: sluiceRoundTrip(plain), pion: pionRoundTrip(plain)},
	}
	list[0].sluice, list[0].pion = parse(plain)
	list[2].sluice, list[2].pion = parse(extended)
	return list
}

var errOwnPacket = errors.New("bench: our own packet does not parse")

func parsed(b []byte) rtp.View {
	v, ok := rtp.Parse(b)
	if !ok {
		panic(errOwnPacket)
	}
	return v
}

func sluiceSerialize(b []byte) func() microWork {
	return func() microWork {
		h, payload, buf := microHeader(false), parsed(b).Raw[12:], make([]byte, 0, 1500)
		op := func() { buf = append(h.Append(buf[:0]), payload...) }
		return repeat(op, func() string { op(); return hex.EncodeToString(buf) })
	}
}

func pionSerialize(b []byte) func() microWork {
	return func() microWork {
		var p pionrtp.Packet
		must(p.Unmarshal(b))
		buf, n := make([]byte, 1500), 0
		op := func() {
			var err error
			n, err = p.MarshalTo(buf)
			must(err)
		}
		return repeat(op, func() string { op(); return hex.EncodeToString(buf[:n]) })
	}
}

func sluiceRoundTrip(b []byte) func() microWork {
	return func() microWork {
		var v rtp.View
		buf := make([]byte, 0, 1500)
		op := func() {
			if !v.Parse(b) {
				panic(errOwnPacket)
			}
			h := rtp.Header{Marker: v.Marker, PayloadType: v.PayloadType, Seq: v.Seq, Timestamp: v.Timestamp, SSRC: v.SSRC}
			buf = append(h.Append(buf[:0]), v.Payload()...)
		}
		return repeat(op, func() string { op(); return hex.EncodeToString(buf) })
	}
}

func pionRoundTrip(b []byte) func() microWork {
	return func() microWork {
		var p pionrtp.Packet
		buf, n := make([]byte, 1500), 0
		op := func() {
			must(p.Unmarshal(b))
			var err error
			n, err = p.MarshalTo(buf)
			must(err)
		}
		return repeat(op, func() string { op(); return hex.EncodeToString(buf[:n]) })
	}
}

func microRTCP() []microCase {
	small, large := []uint16{100, 101, 105}, []uint16{}
	for i := range uint16(200) {
		large = append(large, 1000+3*i)
	}
	lost := func(seqs []uint16) map[string]string {
		b := rtcp.AppendNACK(nil, 1, 2, rtcp.NACKPairs(nil, seqs))
		return map[string]string{"lost": text(seqs), "packet": hex.EncodeToString(b)}
	}
	list := []microCase{
		{path: "rtcp/nack-serialize-small", input: lost(small), sluice: sluiceNACK(small, true, false), pion: pionNACK(small, true, false)},
		{path: "rtcp/nack-serialize-large", input: lost(large), sluice: sluiceNACK(large, true, false), pion: pionNACK(large, true, false)},
		{path: "rtcp/nack-parse", input: lost(small), sluice: sluiceNACK(small, false, true), pion: pionNACK(small, false, true)},
		{path: "rtcp/nack-round-trip", input: lost(small), sluice: sluiceNACK(small, true, true), pion: pionNACK(small, true, true)},
	}
	list = append(list, microXR()...)
	for i := range list {
		list[i].module = pionRTCP
	}
	return list
}

func text(seqs []uint16) string { return strings.Trim(fmt.Sprint(seqs), "[]") }

// sluiceNACK writes sequence numbers, reads them, or does both.
func sluiceNACK(seqs []uint16, write, read bool) func() microWork {
	return func() microWork {
		pairs := rtcp.NACKPairs(nil, seqs)
		buf := rtcp.AppendNACK(nil, 1, 2, pairs)
		var got []uint16
		op := func() {
			if write {
				pairs = rtcp.NACKPairs(pairs[:0], seqs)
				buf = rtcp.AppendNACK(buf[:0], 1, 2, pairs)
			}
			if read {
				p, _, err := rtcp.Next(buf)
				must(err)
				n, _ := rtcp.ParseNACK(p)
				it := n.Lost()
				got = got[:0]
				for seq, ok := it.Next(); ok; seq, ok = it.Next() {
					got = append(got, seq)
				}
			}
		}
		return repeat(op, func() string {
			op()
			if read {
				return text(got)
			}
			return hex.EncodeToString(buf)
		})
	}
}

func pionNACK(seqs []uint16, write, read bool) func() microWork {
	return func() microWork {
		n := pionrtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: 2, Nacks: pionrtcp.NackPairsFromSequenceNumbers(seqs)}
		buf, err := n.Marshal()
		must(err)
		var got []uint16
		op := func() {
			if write {
				n.Nacks = pionrtcp.NackPairsFromSequenceNumbers(seqs)
				var err error
				buf, err = n.Marshal()
				must(err)
			}
			if read {
				var p pionrtcp.TransportLayerNack
				must(p.Unmarshal(buf))
				got = got[:0]
				for _, pair := range p.Nacks {
					got = append(got, pair.PacketList()...)
				}
			}
		}
		return repeat(op, func() string {
			op()
			if read {
				return text(got)
			}
			return hex.EncodeToString(buf)
		})
	}
}
