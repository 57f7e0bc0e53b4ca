package dataplane

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/srtp"
)

func TestClass47_RIDsBindOnlyWithinTheirSection(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	layers := pub.publish("h", "l")
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(layers[0])
	for i, ext := range [][]rtp.ExtPair{
		{{ID: midExt, Data: []byte("other")}, {ID: ridExt, Data: []byte("h")}},
		{{ID: midExt, Data: []byte("v")}, {ID: ridExt, Data: []byte("x")}},
		{{ID: midExt, Data: []byte("v")}},
		nil,
	} {
		r.deliver(0, pub.addr, pub.rtp(rtp.Header{PayloadType: vp8PT, SSRC: 9, Seq: uint16(i), Extensions: ext}, keyPayload))
	}
	if media, _ := v.received(); len(media) != 0 || r.drops(DropUnknownSSRC) != 4 {
		t.Fatalf("%d packets forwarded, %d dropped", len(media), r.drops(DropUnknownSSRC))
	}
}

// A section that goes leaves packets on their way, which may bear no MID by
// then: they are not for the section that is left, though it has their payload
// type. One that names its section is.
func TestClass47_LatePacketsOfASectionThatIsGoneTakeNothingOver(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	section := func(mid string, st *Stream) Receiver {
		return Receiver{MID: mid, Formats: []Format{{PayloadType: vp8PT, ClockRate: 90000, Codec: CodecVP8}}, Streams: []ReceiverStream{{Stream: st}}}
	}
	newStream := func() *Stream {
		return r.e.NewStream(r.e.shards[0], StreamConfig{Video: true, ClockRate: 90000})
	}
	first, second := newStream(), newStream()
	rs := Receivers{MIDExt: midExt, List: []Receiver{section("1", first), section("2", second)}}
	pub.tr.SetReceivers(rs)
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(second)
	send := func(ssrc uint32, seq uint16, mid string, payload []byte) {
		h := rtp.Header{PayloadType: vp8PT, SSRC: ssrc, Seq: seq}
		if mid != "" {
			h.Extensions = []rtp.ExtPair{{ID: midExt, Data: []byte(mid)}}
		}
		r.deliver(0, pub.addr, pub.rtp(h, payload))
	}
	send(1, 20000, "1", keyPayload)
	send(2, 100, "2", keyPayload)
	rs.List = rs.List[1:]
	pub.tr.SetReceivers(rs)
	r.step()
	send(1, 20001, "", keyPayload)
	send(2, 101, "", interPayload)
	media, _ := v.received()
	if len(media) != 2 || media[1].Seq != media[0].Seq+1 || r.drops(DropUnknownSSRC) != 1 {
		t.Fatalf("%d packets forwarded, %d dropped", len(media), r.drops(DropUnknownSSRC))
	}

	// The source of before, which says where it belongs now: the numbering goes
	// on, from a key frame.
	send(1, 20002, "2", interPayload)
	send(1, 20003, "", keyPayload)
	send(1, 20004, "", interPayload)
	more, _ := v.received()
	if len(more) != 2 || more[0].Seq != media[1].Seq+1 || more[1].Seq != media[1].Seq+2 {
		t.Fatalf("%d packets of the other source forwarded", len(more))
	}
	if r.drops(DropProtect) != 0 {
		t.Errorf("%d packets could not be protected", r.drops(DropProtect))
	}
}

func TestClass12_SourcesAreBounded(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	pub.publish()
	// Authentic packets of ever new sources replace each other.
	for ssrc := range uint32(1000) {
		r.deliver(0, pub.addr, pub.packet(ssrc+1, uint16(ssrc), keyPayload))
	}
	if n := len(pub.tr.bySSRC); n > maxStreams {
		t.Fatalf("%d sources kept", n)
	}
}

func TestClass01_DTLSFromUnvalidatedAddressIsDropped(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	stranger := netip.MustParseAddrPort("203.0.113.9:1")
	hello := append([]byte{22, 0xfe, 0xfd}, make([]byte, 50)...)
	r.deliver(0, stranger, hello)
	if len(pub.ep.packets) != 0 || r.drops(DropUnknownAddr) != 1 {
		t.Fatal("a stranger's ClientHello reached the handshake")
	}
}

// Two ports that are used again at once: what one association left in the
// socket is not for the next one, which holds the address by the time it is
// read.
func TestClass01_DTLSOfTheAssociationBeforeIsDropped(t *testing.T) {
	r := newRig(t, 1)
	p := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	hello := []byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2}
	for _, c := range []struct {
		age  time.Duration
		want int
	}{{time.Millisecond, 0}, {0, 1}} {
		s := r.e.shards[0]
		m := &s.msgs[0]
		m.Buf = append(m.Buf[:0], hello...)
		m.Addr, m.Local, m.At = p.addr, netip.MustParseAddr("192.0.2.1"), r.now.Add(-c.age)
		s.step(r.now, 1)
		r.step()
		if n := len(p.ep.packets); n != c.want || r.drops(DropUnknownAddr) != 1 {
			t.Errorf("a datagram %v older: %d passed on, %d dropped", c.age, n, r.drops(DropUnknownAddr))
		}
	}
}

func TestClass17_MediaOfAStrangerIsDropped(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(st)
	r.deliver(0, netip.MustParseAddrPort("203.0.113.9:1"), pub.packet(1, 1, keyPayload))
	if media, _ := v.received(); len(media) != 0 || r.drops(DropUnknownAddr) != 1 {
		t.Fatal("media was taken from an address that ICE has not validated")
	}
}

func TestClass16_GarbageLeavesTheSessionAlone(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(st)
	good := pub.packet(1, 1, keyPayload)
	for first := range 256 {
		for _, n := range []int{1, 2, 12, 20, 60, 1500} {
			b := make([]byte, n)
			b[0] = byte(first)
			r.deliver(0, pub.addr, b)
		}
	}
	for i := range good { // each bit of a good packet
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		r.deliver(0, pub.addr, bad)
	}
	r.deliver(0, pub.addr, good, good)
	if media, _ := v.received(); len(media) != 1 {
		t.Fatalf("%d packets", len(media))
	}
	if r.drops(DropReplay) != 1 || r.drops(DropAuth) == 0 || r.e.Stats().Panics != 0 {
		t.Fatalf("%+v", r.e.Stats().Drops)
	}
}

func TestClass28_OversizePacketIsDropped(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(st)
	r.deliver(0, pub.addr, pub.packet(1, 1, append(bytes.Clone(keyPayload), make([]byte, 1700)...)))
	r.deliver(0, pub.addr, nil)
	if media, _ := v.received(); len(media) != 0 || r.drops(DropTooLarge) != 1 || r.drops(DropTruncated) != 1 {
		t.Fatalf("%d packets, %v", len(media), r.e.Stats().Drops)
	}
}

func TestClass53_FullSocketDropsAndGoesOn(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(st)
	r.deliver(0, pub.addr, pub.packet(1, 1, keyPayload))
	r.conns[0].fail = 1 // one refusal: tried again
	r.deliver(0, pub.addr, pub.packet(1, 2, keyPayload))
	if media, _ := v.received(); len(media) != 2 {
		t.Fatalf("%d packets", len(media))
	}
	r.conns[0].fail = 2 // two: dropped
	r.deliver(0, pub.addr, pub.packet(1, 3, keyPayload))
	r.deliver(0, pub.addr, pub.packet(1, 4, keyPayload))
	if media, _ := v.received(); len(media) != 1 || r.drops(DropSend) != 1 {
		t.Fatalf("%d packets, %d dropped", len(media), r.drops(DropSend))
	}
}

func TestConsentLossStopsSending(t *testing.T) {
	r := newRig(t, 1)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(st)
	r.deliver(0, pub.addr, pub.packet(1, 1, keyPayload))
	v.received()
	v.tr.SetRemote(netip.Addr{}, netip.AddrPort{})
	r.step()
	r.deliver(0, pub.addr, pub.packet(1, 2, keyPayload))
	r.pass(3 * time.Second)
	if got := r.take(v.addr); len(got) != 0 || r.drops(DropPaused) == 0 {
		t.Fatalf("%d packets after consent was lost", len(got))
	}
}

// A peer that crashes and begins anew on its port is served at once; so that a
// second connection between one pair of ports does not go unnoticed, the
// change is counted.
func TestAddressFollowsTheNewestCheck(t *testing.T) {
	r := newRig(t, 2)
	old, fresh := r.newPeer(0, srtp.AEAD_AES_128_GCM), r.newPeer(1, srtp.AEAD_AES_128_GCM)
	old.publish()
	st := fresh.publish()[0]
	v := r.newPeer(1, srtp.AEAD_AES_128_GCM)
	v.view(st)
	if n := r.e.Stats().AddressTakeovers; n != 0 {
		t.Fatalf("%d takeovers before any", n)
	}
	fresh.tr.AddRemote(r.e.shards[0], old.addr)
	r.step()
	r.deliver(0, old.addr, fresh.packet(1, 1, keyPayload))
	if media, _ := v.received(); len(media) != 1 {
		t.Fatalf("%d packets of the new connection", len(media))
	}
	old.tr.Close(nil)
	r.step()
	r.deliver(0, old.addr, fresh.packet(1, 2, keyPayload))
	if media, _ := v.received(); len(media) != 1 {
		t.Fatal("the end of the old connection took the address away")
	}
	if n := r.e.Stats().AddressTakeovers; n != 1 {
		t.Fatalf("%d takeovers counted", n)
	}
}

func TestDatagramOnAnotherShardIsHandedOver(t *testing.T) {
	r := newRig(t, 3)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(2, srtp.AEAD_AES_128_GCM)
	v.view(st)
	moved := netip.MustParseAddrPort("198.51.100.7:60000")
	pub.tr.AddRemote(r.e.shards[1], moved) // the kernel's hash sends it to shard 1
	r.step()
	for seq := range uint16(200) {
		r.deliver(1, moved, pub.packet(1, seq, keyPayload))
	}
	if media, _ := v.received(); len(media) != 200 || r.e.Stats().HandedOver != 200 {
		t.Fatalf("%d packets, %d handed over", len(media), r.e.Stats().HandedOver)
	}
	for _, s := range r.e.shards {
		if got := len(s.slab.free); got != slabCells-inBatch {
			t.Errorf("shard %d has %d free cells of %d", s.index, got, slabCells-inBatch)
		}
	}
}

func TestShardThatIsBehindDropsAndRecovers(t *testing.T) {
	r := newRig(t, 2)
	pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	st := pub.publish()[0]
	v := r.newPeer(1, srtp.AEAD_AES_128_GCM)
	v.view(st)
	s := r.e.shards[0]
	for seq := range uint16(3000) { // shard 1 does not run
		m := &s.msgs[0]
		pkt := pub.packet(1, seq, keyPayload)
		m.Buf = m.Buf[:cap(m.Buf)]
		m.Buf = m.Buf[:copy(m.Buf, pkt)]
		m.Addr, m.At = pub.addr, r.now
		s.step(r.now, 1)
	}
	if r.drops(DropHandover) == 0 {
		t.Fatal("nothing was dropped")
	}
	r.step()
	v.received()
	r.deliver(0, pub.addr, pub.packet(1, 3001, keyPayload))
	if media, _ := v.received(); len(media) != 1 {
		t.Fatalf("%d packets after recovery", len(media))
	}
	if got := len(s.slab.free); got != slabCells-inBatch {
		t.Errorf("%d free cells", got)
	}
}

func TestPanicEndsOnlyTheTransportItStruck(t *testing.T) {
	r := newRig(t, 1)
	bad, good := r.newPeer(0, srtp.AEAD_AES_128_GCM), r.newPeer(0, srtp.AEAD_AES_128_GCM)
	bad.publish()[0].SetTap(func(mono.Time, *Transport, []rtp.View) {})
	st := good.publish()[0]
	v := r.newPeer(0, srtp.AEAD_AES_128_GCM)
	v.view(st)
	bad.tr.bySSRC = nil // a broken invariant
	s := r.e.shards[0]
	m := &s.msgs[0]
	pkt := bad.packet(1, 1, keyPayload)
	m.Buf = m.Buf[:cap(m.Buf)]
	m.Buf = m.Buf[:copy(m.Buf, pkt)]
	m.Addr, m.At = bad.addr, r.now
	func() {
		defer s.recoverTurn(1)
		s.step(r.now, 1)
	}()
	r.step()
	if bad.ep.failed == nil || r.e.Stats().Panics != 1 {
		t.Fatalf("failure %v, %d panics", bad.ep.failed, r.e.Stats().Panics)
	}
	r.deliver(0, good.addr, good.packet(1, 1, keyPayload))
	if media, _ := v.received(); len(media) != 1 {
		t.Fatal("the other transport does not go on")
	}
}

// Updates of others wait behind one that panics: they are applied in the next
// turn, before what has come since.
func TestPanicOfAnUpdateLosesNoOther(t *testing.T) {
	r := newRig(t, 1)
	s := r.e.shards[0]
	var applied []int
	note := func(i int) Update { return func(*Shard, mono.Time) { applied = append(applied, i) } }
	s.Post(note(1))
	s.Post(func(*Shard, mono.Time) { panic("broken") })
	s.Post(note(2))
	s.Post(note(3))
	s.turn(0)
	s.Post(note(4))
	r.step()
	if !slices.Equal(applied, []int{1, 2, 3, 4}) || r.e.Stats().Panics != 1 {
		t.Fatalf("applied %v, %d panics", applied, r.e.Stats().Panics)
	}
}

func TestCloseForgetsEverything(t *testing.T) {
	for _, shards := range []int{1, 2} {
		r := newRig(t, shards)
		for range 50 {
			pub := r.newPeer(0, srtp.AEAD_AES_128_GCM)
			st := pub.publish()[0]
			v := r.newPeer(shards-1, srtp.AEAD_AES_128_GCM)
			v.view(st)
			r.deliver(0, pub.addr, pub.packet(1, 1, keyPayload))
			v.received()
			pub.tr.Close(nil)
			v.tr.Close(nil)
			r.step()
			if len(st.legs) != 0 || len(st.mirrors) != 0 || st.cache != nil {
				t.Fatalf("%d legs, %d mirrors remain", len(st.legs), len(st.mirrors))
			}
		}
		for _, s := range r.e.shards {
			if len(s.addrs) != 0 || len(s.mirrors) != 0 || s.timers.next() != 0 {
				t.Fatalf("%d addresses, %d mirrors, timer at %d", len(s.addrs), len(s.mirrors), s.timers.next())
			}
		}
		if n := r.e.Stats().Transports; n != 0 {
			t.Fatalf("%d transports", n)
		}
	}
}

// Class 51: the media of one user must never reach another, whatever buffers
// are reused. Each publisher marks its payloads; each viewer checks the mark.
func TestClass51_BuffersNeverCross(t *testing.T) {
	r := newRig(t, 2)
	type pair struct{ pub, view *peer }
	var pairs []pair
	for i := range 16 {
		p := r.newPeer(i%2, profiles[i%3])
		v := r.newPeer((i/2)%2, profiles[(i+1)%3])
		v.view(p.publish()[0])
		pairs = append(pairs, pair{p, v})
	}
	for seq := range uint16(100) {
		for i, p := range pairs {
			mark := bytes.Repeat([]byte{byte(i)}, 100+(int(seq)*37+i*91)%900)
			r.deliver(p.pub.tr.shard.index, p.pub.addr, p.pub.packet(1, seq, append(bytes.Clone(keyPayload), mark...)))
		}
	}
	for i, p := range pairs {
		media, _ := p.view.received()
		if len(media) != 100 {
			t.Fatalf("viewer %d got %d packets", i, len(media))
		}
		for _, m := range media {
			for _, b := range m.Payload()[len(keyPayload):] {
				if b != byte(i) {
					t.Fatalf("viewer %d sees the payload of publisher %d", i, b)
				}
			}
		}
	}
}
