package main

import (
	"encoding/hex"
	"fmt"

	"github.com/pion/rtp/codecs"

	"github.com/sluicertc/sluice/codec/h264"
	"github.com/sluicertc/sluice/codec/vp8"
)

func microCodecs() []microCase {
	list := []microCase{
		vp8Case("vp8/depacketize-simple", []byte{0x10}),
		// A descriptor with a picture id of 15 bits, TL0PICIDX, TID and key index.
		vp8Case("vp8/depacketize-extended", []byte{0x90, 0xf0, 0x92, 0x34, 0x12, 0x65}),
	}
	return append(list, microH264()...)
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
				if !d.Parse(b) {
					panic(errOwnPacket)
				}
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

// microH264 puts NAL units of 500 bytes together, as a stream of Annex B: one
// packet of one unit, one of three, and the two of a unit in fragments.
func microH264() []microCase {
	unit := make([]byte, 500)
	unit[0] = 0x65
	for i := range unit[1:] {
		unit[i+1] = byte(i)
	}
	stap := []byte{0x78}
	for _, n := range []int{24, 8, 66} {
		stap = append(stap, 0, byte(n))
		stap = append(stap, unit[:n]...)
	}
	start := append([]byte{0x7c, 0x85}, unit[1:250]...)
	end := append([]byte{0x7c, 0x45}, unit[250:]...)
	return []microCase{
		h264Case("h264/depacketize-single-nal", unit),
		h264Case("h264/depacketize-stap-a", stap),
		h264Case("h264/depacketize-fu-a-start", start, end),
	}
}

func h264Case(path string, packets ...[]byte) microCase {
	input := map[string]string{"packet": hex.EncodeToString(packets[0])}
	if len(packets) > 1 {
		input["next"] = hex.EncodeToString(packets[1])
	}
	return microCase{
		path: path, module: pionRTP, input: input,
		sluice: func() microWork {
			var d h264.Depacketizer
			seq, b := uint16(0), make([]byte, 0, 1024)
			op := func() {
				b = b[:0]
				for _, p := range packets {
					var err error
					seq++
					b, err = d.Append(b, seq, p)
					must(err)
				}
			}
			return repeat(op, func() string { op(); return hex.EncodeToString(b) })
		},
		pion: func() microWork {
			var p codecs.H264Packet
			var b []byte
			op := func() {
				for _, packet := range packets {
					var err error
					b, err = p.Unmarshal(packet)
					must(err)
				}
			}
			return repeat(op, func() string { op(); return hex.EncodeToString(b) })
		},
	}
}
