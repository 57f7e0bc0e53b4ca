package dataplane

import (
	"bytes"
	"io"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtcp"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/sockets"
	"github.com/sluicertc/sluice/srtp"
)

// fakeConn is a socket without a network: what is written is kept.
type fakeConn struct {
	local netip.AddrPort
	sent  []sockets.Message
	keep  bool
	fail  int // writes to refuse with ErrWouldBlock
	runs  int
}

func (c *fakeConn) ReadBatch([]sockets.Message) (int, error) { return 0, nil }
func (c *fakeConn) SetTimeout(mono.Time)                     {}
func (c *fakeConn) SetEager(bool)                            {}
func (c *fakeConn) Wake()                                    {}
func (c *fakeConn) LocalAddr() netip.AddrPort                { return c.local }
func (c *fakeConn) Writer(int) sockets.Writer                { return c }
func (c *fakeConn) Stats() sockets.Stats                     { return sockets.Stats{} }
func (c *fakeConn) Close() error                             { return nil }

func (c *fakeConn) WriteBatch(ms []sockets.Message) (int, error) {
	if c.fail > 0 {
		c.fail--
		return 0, sockets.ErrWouldBlock
	}
	for _, m := range ms {
		if m.Seg > 0 && len(m.Buf) > int(m.Seg) {
			c.runs++
		}
		if !c.keep {
			continue
		}
		for b := m.Buf; len(b) > 0; {
			n := len(b)
			if m.Seg > 0 {
				n = min(n, int(m.Seg))
			}
			c.sent = append(c.sent, sockets.Message{Buf: bytes.Clone(b[:n]), Addr: m.Addr, Local: m.Local, Whole: m.Whole})
			b = b[n:]
		}
	}
	return len(ms), nil
}

// endpoint notes what reaches the ctl lane.
type endpoint struct {
	packets [][]byte
	types   []uint8
	failed  error
}

func (e *endpoint) HandlePacket(_ mono.Time, p *Packet) {
	e.packets = append(e.packets, bytes.Clone(p.Buf))
	e.types = append(e.types, p.ContentType)
}
func (e *endpoint) HandleChannel(mono.Time, ChannelEvent) {}
func (e *endpoint) HandleFailure(_ mono.Time, err error)  { e.failed = err }

// rig is an engine whose lanes are stepped by hand, on virtual time.
type rig struct {
	t     testing.TB
	e     *Engine
	conns []*fakeConn
	now   mono.Time
}

func newRig(t testing.TB, shards int) *rig {
	r := &rig{t: t, now: mono.Time(time.Hour)}
	var conns []sockets.Conn
	for range shards {
		c := &fakeConn{local: netip.MustParseAddrPort("192.0.2.1:5000"), keep: true}
		r.conns = append(r.conns, c)
		conns = append(conns, c)
	}
	r.e = newEngine(conns, slog.New(slog.NewTextHandler(io.Discard, nil)))
	t.Cleanup(func() { r.e.Close() })
	return r
}

// step runs every shard and lane once, and again while there is more to do.
func (r *rig) step() {
	for range 8 {
		for _, s := range r.e.shards {
			s.step(r.now, 0)
			s.lane.turn(r.now)
		}
	}
}

// pass lets virtual time go by in steps of a millisecond.
func (r *rig) pass(d time.Duration) {
	for end := r.now.Add(d); r.now < end; r.now = r.now.Add(time.Millisecond) {
		r.step()
	}
}

// deliver gives datagrams to a shard in one batch, and steps.
func (r *rig) deliver(shard int, from netip.AddrPort, datagrams ...[]byte) {
	s := r.e.shards[shard]
	for len(datagrams) > 0 {
		n := min(len(datagrams), inBatch)
		for i, d := range datagrams[:n] {
			m := &s.msgs[i]
			m.Buf = m.Buf[:cap(m.Buf)]
			m.Buf = m.Buf[:copy(m.Buf, d)]
			m.Addr, m.Local, m.At = from, netip.MustParseAddr("192.0.2.1"), r.now
		}
		s.step(r.now, n)
		datagrams = datagrams[n:]
	}
	r.step()
}

// take returns what a shard has sent to an address since the last call.
func (r *rig) take(to netip.AddrPort) [][]byte {
	var got [][]byte
	for _, c := range r.conns {
		kept := c.sent[:0]
		for _, m := range c.sent {
			if m.Addr == to {
				got = append(got, m.Buf)
			} else {
				kept = append(kept, m)
			}
		}
		c.sent = kept
	}
	return got
}

func (r *rig) drops(d Drop) uint64 { return r.e.Stats().Drops[d.String()] }

// peer is a remote endpoint: keys in both directions and an address.
type peer struct {
	r    *rig
	addr netip.AddrPort
	tr   *Transport
	ep   *endpoint
	out  *srtp.Context // towards us
	in   *srtp.Context
}

var peers uint16

func (r *rig) newPeer(shard int, profile srtp.Profile) *peer {
	peers++
	p := &peer{r: r, addr: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), 10000+peers), ep: &endpoint{}}
	s := r.e.shards[shard]
	p.tr = r.e.NewTransport(s, TransportConfig{Since: r.now, Lane: s.lane, Endpoint: p.ep, CNAME: "sluice", SSRC: 0xfeedbac})
	p.tr.AddRemote(s, p.addr)
	p.tr.SetRemote(netip.MustParseAddr("192.0.2.1"), p.addr)
	context := func(salt byte) *srtp.Context {
		key, s := bytes.Repeat([]byte{byte(peers), salt}, profile.KeyLen()/2), bytes.Repeat([]byte{salt}, profile.SaltLen())
		c, err := srtp.NewContext(profile, key, s)
		if err != nil {
			r.t.Fatal(err)
		}
		return c
	}
	p.out, p.in = context(1), context(2)
	p.tr.SetSRTP(context(1), context(2))
	r.step()
	return p
}

// rtp protects a packet as the peer would send it.
func (p *peer) rtp(h rtp.Header, payload []byte) []byte {
	pkt := append(h.Append(nil), payload...)
	out := make([]byte, len(pkt)+32)
	n, err := p.out.Protect(out, pkt)
	if err != nil {
		p.r.t.Fatal(err)
	}
	return out[:n]
}

func (p *peer) rtcp(pkt []byte) []byte {
	out := make([]byte, len(pkt)+32)
	n, err := p.out.ProtectRTCP(out, pkt)
	if err != nil {
		p.r.t.Fatal(err)
	}
	return out[:n]
}

// received opens what was sent to the peer: RTP packets, and RTCP packets one
// by one.
func (p *peer) received() (media []rtp.View, control []rtcp.Packet) {
	p.r.t.Helper()
	for _, b := range p.r.take(p.addr) {
		out := make([]byte, len(b))
		if rtcp.IsRTCP(b) {
			n, err := p.in.UnprotectRTCP(out, b)
			if err != nil {
				p.r.t.Fatalf("RTCP: %v", err)
			}
			for rest := out[:n]; len(rest) > 0; {
				var pkt rtcp.Packet
				if pkt, rest, err = rtcp.Next(rest); err != nil {
					p.r.t.Fatal(err)
				}
				control = append(control, pkt)
			}
			continue
		}
		n, err := p.in.Unprotect(out, b)
		if err != nil {
			p.r.t.Fatalf("RTP: %v", err)
		}
		v, ok := rtp.Parse(out[:n])
		if !ok {
			p.r.t.Fatal("not RTP")
		}
		media = append(media, v)
	}
	return media, control
}

func count(control []rtcp.Packet, typ, format uint8) int {
	n := 0
	for _, p := range control {
		if p.Type == typ && (p.Count == format || typ < rtcp.TypeRTPFB) {
			n++
		}
	}
	return n
}

// Payloads of VP8: the first packet of a key frame, and of another.
var (
	keyPayload   = []byte{0x10, 0x00, 0, 0, 0x9d, 0x01, 0x2a, 0, 0, 0, 0}
	interPayload = []byte{0x10, 0x01, 0, 0, 1, 2, 3}
)

const (
	vp8PT, rtxPT     = 96, 97
	viewPT, viewRTX  = 120, 121
	midExt, ridExt   = 1, 2
	rridExt, twccExt = 3, 4
	levelExt         = 5
)

// publish programs the peer as the source of one video stream.
func (p *peer) publish(rids ...string) []*Stream {
	rs := Receivers{MIDExt: midExt, RIDExt: ridExt, RepairedRIDExt: rridExt, TransportCCExt: twccExt, ReducedSize: true}
	rec := Receiver{
		MID: "v", NACK: true, PLI: true,
		Formats: []Format{{PayloadType: vp8PT, ClockRate: 90000, Codec: CodecVP8}, {PayloadType: rtxPT, ClockRate: 90000, RTX: true, APT: vp8PT}},
	}
	if len(rids) == 0 {
		rids = []string{""}
	}
	var streams []*Stream
	for _, rid := range rids {
		st := p.r.e.NewStream(p.tr.shard, StreamConfig{Video: true, ClockRate: 90000})
		streams = append(streams, st)
		rec.Streams = append(rec.Streams, ReceiverStream{Stream: st, RID: rid})
	}
	rs.List = []Receiver{rec}
	p.tr.SetReceivers(rs)
	p.r.step()
	return streams
}

func (p *peer) packet(ssrc uint32, seq uint16, payload []byte) []byte {
	return p.rtp(rtp.Header{
		PayloadType: vp8PT, Seq: seq, Timestamp: uint32(seq) * 3000, SSRC: ssrc, Marker: true,
		Extensions: []rtp.ExtPair{{ID: midExt, Data: []byte("v")}, {ID: twccExt, Data: []byte{byte(seq >> 8), byte(seq)}}, {ID: levelExt, Data: []byte{0x42}}},
	}, payload)
}

// view routes a stream to the peer.
func (p *peer) view(from *Stream) (*Route, Leg) {
	l := Leg{To: p.tr, SSRC: 0x1000 + uint32(p.addr.Port()), RTXSSRC: 0x2000 + uint32(p.addr.Port()), MIDExt: 9, MID: "0", NACK: true, FirstSeq: 100, FirstTimestamp: 5000}
	for i := range l.PayloadTypes {
		l.PayloadTypes[i], l.RTXPayloadTypes[i] = NoPayload, NoPayload
	}
	l.PayloadTypes[vp8PT], l.RTXPayloadTypes[viewPT] = viewPT, viewRTX
	l.ExtensionIDs[levelExt] = 7
	route := p.r.e.Route(from, []Leg{l})
	p.r.step()
	return route, l
}
