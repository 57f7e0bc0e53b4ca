package interop

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// What is published: frames of several packets, as encoders send them, whose
// payloads tell their number and can be made again from it.
const (
	forwardFrames = 150
	forwardEvery  = 6 * time.Millisecond
	forwardVideo  = 90 * 6 // RTP ticks a frame
	forwardAudio  = 48 * 6
	forwardSize   = 1000 // bytes of a packet but the last
	calmFrames    = 3    // nothing is done to the first
)

// sentPacket is what a viewer must get, but for the numbers.
type sentPacket struct {
	frame   int
	ts      uint32
	marker  bool
	payload []byte
}

// marked makes the payloads of a stream: head, the number, and noise.
func marked(head []byte, seq uint16, size int) []byte {
	b := binary.BigEndian.AppendUint16(slices.Clone(head), seq)
	rng := rand.New(rand.NewPCG(uint64(seq), uint64(len(head))))
	for len(b) < size {
		b = append(b, byte(rng.Uint32()))
	}
	return b
}

// headLen is where the number stands.
var headLen = map[string]int{"video": 14, "audio": 1}

// A roughPath is what a publisher sends through: packets of media are lost, held
// back and repeated on it by seed.
type roughPath struct {
	net.PacketConn
	mu   sync.Mutex
	rng  *rand.Rand
	on   bool
	lost map[uint32]map[uint16]bool // by SSRC
	held []heldPacket
	done map[string]int // what was done how often
}

type heldPacket struct {
	left int // packets until it goes
	to   net.Addr
	b    []byte
}

func (p *roughPath) WriteTo(b []byte, to net.Addr) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on || len(b) < 12 || b[0]>>6 != 2 || b[1]&0x7f >= 64 && b[1]&0x7f < 96 {
		return p.PacketConn.WriteTo(b, to)
	}
	for i := range p.held {
		p.held[i].left--
	}
	ssrc, seq := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint16(b[2:])
	var err error
	switch p.rng.IntN(20) {
	case 0, 1:
		if p.lost[ssrc] == nil {
			p.lost[ssrc] = map[uint16]bool{}
		}
		p.lost[ssrc][seq] = true
		p.done["lost"]++
	case 2, 3, 4:
		p.held = append(p.held, heldPacket{1 + p.rng.IntN(8), to, bytes.Clone(b)})
		p.done["held back"]++
	case 5, 6:
		p.held = append(p.held, heldPacket{p.rng.IntN(8), to, bytes.Clone(b)})
		p.done["repeated"]++
		fallthrough
	default:
		_, err = p.PacketConn.WriteTo(b, to)
	}
	p.release(0)
	return len(b), err
}

// release sends what was held back for long enough.
func (p *roughPath) release(left int) {
	p.held = slices.DeleteFunc(p.held, func(h heldPacket) bool {
		if h.left <= left {
			_, _ = p.PacketConn.WriteTo(h.b, h.to) // lost, as on any path: the test will tell
		}
		return h.left <= left
	})
}

// rough turns it on or off; off, nothing is held back any more.
func (p *roughPath) rough(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on = on; !on {
		p.release(1 << 30)
	}
}

// heardStream is what a viewer got of a stream.
type heardStream struct {
	ssrc     uint32
	packets  map[uint16]bool // by the publisher's number
	seqShift uint16
	tsShift  uint32
	faults   []string
}

// forwardTrial is one publisher and its viewers.
type forwardTrial struct {
	t    *testing.T
	path *roughPath
	pub  *pionPeer
	sent map[string]map[uint16]sentPacket // by kind
}

// The forwarded stream stays as it was, whatever the path to the server does and
// however the server sends: one source, its numbers and times shifted by a
// constant, its payloads untouched, each packet once, nothing missing that came.
func TestForwardedStreamsStayCorrect(t *testing.T) {
	for _, shards := range []int{1, 2} {
		for _, args := range [][]string{nil, {"--no-gso"}} {
			for _, rough := range []bool{false, true} {
				name := fmt.Sprintf("%d shards %s rough %v", shards, strings.Join(args, " "), rough)
				t.Run(name, func(t *testing.T) {
					s := startServer(t, append([]string{"--shards", fmt.Sprint(shards)}, args...)...)
					newForwardTrial(t, s).run(s, rough)
				})
			}
		}
	}
}

func newForwardTrial(t *testing.T, s *server) *forwardTrial {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	x := &forwardTrial{t: t, sent: map[string]map[uint16]sentPacket{"video": {}, "audio": {}}}
	x.path = &roughPath{PacketConn: c, rng: rand.New(rand.NewPCG(5, 6)), lost: map[uint32]map[uint16]bool{}, done: map[string]int{}}
	x.pub = newPionWith(t, s, func(settings *webrtc.SettingEngine) {
		settings.SetICEUDPMux(webrtc.NewICEUDPMux(nil, x.path))
	})
	return x
}

func (x *forwardTrial) run(s *server, rough bool) {
	tracks := map[string]*webrtc.TrackLocalStaticRTP{"video": x.pub.add(webrtc.MimeTypeVP8), "audio": x.pub.add(webrtc.MimeTypeOpus)}
	x.pub.connectTo("/whip/marked")
	defer x.pub.remove()
	var heard []map[string]*heardStream
	var viewers []*pionPeer
	for range 3 {
		v, h := x.viewer(s)
		defer v.remove()
		viewers, heard = append(viewers, v), append(heard, h)
	}
	x.publish(tracks, rough)
	want := x.arrived()
	for i, v := range viewers {
		for kind := range want {
			v.await(fmt.Sprintf("viewer %d: all %d packets of %s", i, len(want[kind]), kind), func() error {
				h := heard[i][kind]
				if h == nil || len(h.packets) < len(want[kind]) && len(h.faults) == 0 {
					return errNotYet
				}
				return nil
			})
		}
	}
	for i, v := range viewers {
		v.mu.Lock()
		for kind, h := range heard[i] {
			for _, f := range h.faults {
				x.t.Errorf("viewer %d: %s: %s", i, kind, f)
			}
			if !maps.Equal(h.packets, want[kind]) {
				x.t.Errorf("viewer %d: %s: %d packets that are not those that came to the server", i, kind, len(h.packets))
			}
		}
		v.mu.Unlock()
	}
	if rough {
		for _, what := range []string{"lost", "held back", "repeated"} {
			if x.path.done[what] == 0 {
				x.t.Errorf("nothing was %s", what)
			}
		}
	}
}

// viewer watches, and compares each packet with what was sent.
func (x *forwardTrial) viewer(s *server) (*pionPeer, map[string]*heardStream) {
	v := newPion(x.t, s)
	heard := map[string]*heardStream{}
	v.hear = func(kind string, ssrc uint32, pkt *rtp.Packet) {
		h := heard[kind]
		if h == nil {
			h = &heardStream{ssrc: ssrc, packets: map[uint16]bool{}}
			heard[kind] = h
		}
		x.compare(h, kind, pkt)
	}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := v.pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			x.t.Fatal(err)
		}
	}
	v.connectTo("/whep/marked")
	return v, heard
}

func (x *forwardTrial) compare(h *heardStream, kind string, pkt *rtp.Packet) {
	fault := func(format string, args ...any) {
		if len(h.faults) < 10 {
			h.faults = append(h.faults, fmt.Sprintf("packet %d: ", pkt.SequenceNumber)+fmt.Sprintf(format, args...))
		}
	}
	if len(pkt.Payload) < headLen[kind]+2 {
		fault("a payload of %d bytes", len(pkt.Payload))
		return
	}
	seq := binary.BigEndian.Uint16(pkt.Payload[headLen[kind]:])
	x.pub.mu.Lock()
	was, ok := x.sent[kind][seq]
	x.pub.mu.Unlock()
	if !ok || !bytes.Equal(was.payload, pkt.Payload) {
		fault("nobody sent this payload of %d bytes", len(pkt.Payload))
		return
	}
	if len(h.packets) == 0 {
		h.seqShift, h.tsShift = pkt.SequenceNumber-seq, pkt.Timestamp-was.ts
	}
	switch {
	case pkt.SSRC != h.ssrc:
		fault("SSRC %d, and %d before", pkt.SSRC, h.ssrc)
	case pkt.SequenceNumber-seq != h.seqShift:
		fault("the shift is %d, and was %d", pkt.SequenceNumber-seq, h.seqShift)
	case pkt.Timestamp-was.ts != h.tsShift:
		fault("the timestamp's shift is %d, and was %d", pkt.Timestamp-was.ts, h.tsShift)
	case pkt.Marker != was.marker:
		fault("marker %v", pkt.Marker)
	case h.packets[seq]:
		fault("twice")
	}
	h.packets[seq] = true
}

// publish sends all frames.
func (x *forwardTrial) publish(tracks map[string]*webrtc.TrackLocalStaticRTP, rough bool) {
	tick := time.NewTicker(forwardEvery)
	defer tick.Stop()
	seq := uint16(65400) // it wraps
	for frame := range forwardFrames {
		x.path.rough(rough && frame >= calmFrames)
		video, audio := uint32(frame)*forwardVideo, uint32(frame)*forwardAudio
		packets := 1 + frame*5%9
		for i := range packets {
			size, head := forwardSize, vp8Keyframe(uint16(frame), 0)
			if i > 0 {
				head[0] = 0x80 // not the frame's first
			}
			if i == packets-1 {
				size = 200 + frame
			}
			x.send(tracks["video"], "video", seq, sentPacket{frame, video, i == packets-1, marked(head, seq, size)})
			seq++
		}
		n := uint16(frame)
		x.send(tracks["audio"], "audio", n, sentPacket{frame, audio, frame == 0, marked([]byte{0xf8}, n, 80)})
		<-tick.C
	}
	x.path.rough(false)
}

func (x *forwardTrial) send(track *webrtc.TrackLocalStaticRTP, kind string, seq uint16, p sentPacket) {
	x.pub.mu.Lock()
	x.sent[kind][seq] = p
	x.pub.mu.Unlock()
	err := track.WriteRTP(&rtp.Packet{
		Header:  rtp.Header{Version: 2, Marker: p.marker, SequenceNumber: seq, Timestamp: p.ts},
		Payload: p.payload,
	})
	if err != nil {
		x.t.Fatal(err)
	}
}

// arrived are the packets that the path did not lose, by kind.
func (x *forwardTrial) arrived() map[string]map[uint16]bool {
	want := map[string]map[uint16]bool{}
	for _, sender := range x.pub.pc.GetSenders() {
		kind := sender.Track().Kind().String()
		lost := x.path.lost[uint32(sender.GetParameters().Encodings[0].SSRC)]
		want[kind] = map[uint16]bool{}
		for seq := range x.sent[kind] {
			if !lost[seq] {
				want[kind][seq] = true
			}
		}
	}
	return want
}
