package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	pionrtcp "github.com/pion/rtcp"
	pionrtp "github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"github.com/sluicertc/sluice/codec/vp8"
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
			var ok bool
			op := func() {
				if v, ok = rtp.Parse(b); !ok {
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
		buf := make([]byte, 0, 1500)
		op := func() {
			v, ok := rtp.Parse(b)
			if !ok {
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
	for _, name := range []string{"xr-rrtr-serialize", "xr-dlrr-serialize", "xr-round-trip"} {
		list = append(list, microCase{path: "rtcp/" + name, why: map[string]string{"sluice": "package rtcp has no bodies of extended reports (RFC 3611) yet"}})
	}
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

func microCodecs() []microCase {
	list := []microCase{
		vp8Case("vp8/depacketize-simple", []byte{0x10}),
		// A descriptor with a picture id of 15 bits, TL0PICIDX, TID and key index.
		vp8Case("vp8/depacketize-extended", []byte{0x90, 0xf0, 0x92, 0x34, 0x12, 0x65}),
	}
	for _, name := range []string{"single-nal", "stap-a", "fu-a-start"} {
		list = append(list, microCase{path: "h264/depacketize-" + name, module: pionRTP,
			why: map[string]string{"sluice": "package h264 finds key frames and takes no packets apart"}})
	}
	return list
}

func vp8Case(path string, descriptor []byte) microCase {
	b := append([]byte(nil), descriptor...)
	b = append(b, 0x10, 2, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0)
	b = append(b, make([]byte, 1000)...)
	show := func(start bool, id, n int) string {
		s := 0
		if start {
			s = 1
		}
		return fmt.Sprint(s, id, n)
	}
	return microCase{
		path: path, module: pionRTP, input: packetInput(b),
		sluice: func() microWork {
			var d vp8.Descriptor
			var payload []byte
			op := func() {
				d, _ = vp8.Parse(b)
				payload = b[d.Len:]
			}
			return repeat(op, func() string { op(); return show(d.Start, d.PictureID, len(payload)) })
		},
		pion: func() microWork {
			var payload []byte
			var p codecs.VP8Packet
			op := func() {
				p = codecs.VP8Packet{}
				var err error
				payload, err = p.Unmarshal(b)
				must(err)
			}
			return repeat(op, func() string {
				op()
				id := -1
				if p.I == 1 {
					id = int(p.PictureID)
				}
				return show(p.S == 1, id, len(payload))
			})
		},
	}
}
