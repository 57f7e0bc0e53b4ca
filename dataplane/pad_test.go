package dataplane

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sluicertc/sluice/rtcp"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/srtp"
)

// sized is a packet of the crowd's source whose payload has n bytes.
func (c *crowd) sized(last bool, n int) []byte {
	return c.part(last, append(bytes.Clone(interPayload), make([]byte, n-len(interPayload))...))
}

func TestNearlyEqualPacketsShareARun(t *testing.T) {
	for _, x := range []struct {
		name    string
		padding int
		sizes   []int
		runs    int // of two packets or more
		want    []int
	}{
		{"a byte apart", 16, []int{1000, 1001, 1001, 1000, 1001, 1001}, 1, []int{1, 0, 0, 1, 0, 0}},
		{"switched off", 0, []int{1000, 1001, 1001, 1000, 1001, 1001}, 2, []int{0, 0, 0, 0, 0, 0}},
		{"the last may be shorter", 16, []int{1000, 990, 995}, 1, []int{0, 10, 0}},
		{"and much shorter", 16, []int{990, 1000, 999, 200}, 1, []int{10, 0, 1, 0}},
		{"growing", 16, []int{900, 1000, 1100}, 0, []int{0, 0, 0}},
		{"two runs", 16, []int{700, 705, 1000, 1004, 1004}, 2, []int{5, 0, 4, 0, 0}},
		{"at the bound", 255, []int{700, 955}, 1, []int{255, 0}},
		{"beyond it", 255, []int{700, 956}, 0, []int{0, 0}},
		{"alone", 16, []int{700}, 0, []int{0}},
	} {
		t.Run(x.name, func(t *testing.T) {
			for _, shards := range []int{1, 2} {
				c := newCrowd(t, shards, 2, false)
				c.e.shards[0].padding = x.padding
				var burst [][]byte
				added := 0
				for i, n := range x.sizes {
					burst = append(burst, c.sized(i == len(x.sizes)-1, n))
					added += x.want[i]
				}
				c.deliver(0, c.pub.addr, burst...)
				for _, v := range c.viewers {
					media, _ := v.received()
					for i, p := range media {
						if p.Padding() != x.want[i] || len(p.Payload()) != x.sizes[i] {
							t.Errorf("packet %d: %d bytes and %d of padding, want %d and %d", i, len(p.Payload()), p.Padding(), x.sizes[i], x.want[i])
						}
					}
				}
				runs := 0
				for _, f := range c.conns {
					runs += f.runs
				}
				if runs != 2*x.runs || c.e.Stats().PaddingBytes != uint64(added) {
					t.Errorf("%d shards: %d runs for two viewers, want %d; %d bytes added, want %d", shards, runs, 2*x.runs, c.e.Stats().PaddingBytes, added)
				}
			}
		})
	}
}

// Whatever comes, no packet outgrows the largest of its burst, none grows by
// more than allowed, and the runs become no more.
func TestPaddingKeepsWithinItsBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	runs := func(sizes []int) (n int) {
		for i := 0; i < len(sizes); n++ {
			seg := sizes[i]
			for i++; i < len(sizes) && sizes[i-1] == seg && sizes[i] <= seg; i++ {
			}
		}
		return n
	}
	for range 2000 {
		st, most := new(Stream), 1+random.IntN(255)
		var before, after []int
		for range 1 + random.IntN(20) {
			h := rtp.Header{}
			pkt := append(h.Append(make([]byte, 0, 1500)), make([]byte, 800+random.IntN(400))...)
			v, _ := rtp.Parse(pkt)
			st.burst = append(st.burst, packet{v: v, first: random.IntN(8) > 0})
			before = append(before, len(pkt))
		}
		sum := st.pad(most)
		largest := 0
		for i, p := range st.burst {
			n := len(p.v.Raw)
			after, largest, sum = append(after, n), max(largest, before[i]), sum-(n-before[i])
			if n < before[i] || n > before[i]+most || !p.first && n != before[i] {
				t.Fatalf("%v became %v with at most %d bytes each", before, after, most)
			}
		}
		for _, n := range after {
			if n > largest {
				t.Fatalf("%v became %v", before, after)
			}
		}
		if runs(after) > runs(before) || sum != 0 {
			t.Fatalf("%v, of %d runs, became %v, of %d; off by %d", before, runs(before), after, runs(after), sum)
		}
	}
}

// Under one key what is sent again is what was sent, to the byte: GCM bears no
// second plaintext under a nonce (RFC 7714 §8.1).
func TestPaddedPacketIsRepeatedToTheByte(t *testing.T) {
	for _, rtx := range []bool{false, true} {
		t.Run(fmt.Sprint("rtx ", rtx), func(t *testing.T) {
			c := newCrowd(t, 1, 0, false)
			c.e.shards[0].padding = 100
			v := c.newPeer(0, srtp.AEAD_AES_128_GCM)
			route, l := v.view(c.stream)
			if !rtx {
				route.Close(nil)
				c.step()
				l.SSRC, l.RTXSSRC = 0x5000, 0
				c.e.Route(c.stream, []Leg{l})
				c.step()
			}
			c.deliver(0, c.pub.addr, c.part(true, keyPayload))
			v.received()
			c.deliver(0, c.pub.addr, c.sized(false, 900), c.sized(false, 950), c.sized(true, 950))
			sent := c.take(v.addr)
			c.deliver(0, v.addr, v.rtcp(rtcp.AppendNACK(nil, 5, l.SSRC, []rtcp.NACKPair{{Seq: 101}})))
			again := c.take(v.addr)
			if len(sent) != 3 || len(again) != 1 {
				t.Fatalf("%d packets, then %d", len(sent), len(again))
			}
			if !rtx {
				if !bytes.Equal(sent[0], again[0]) {
					t.Error("the packet is another one")
				}
				return
			}
			out := make([]byte, len(again[0]))
			n, err := v.in.Unprotect(out, again[0])
			if err != nil {
				t.Fatal(err)
			}
			if p, _ := rtp.Parse(out[:n]); p.Padding() != 0 || len(p.Payload()) != 902 {
				t.Errorf("%d bytes, %d of padding, in the retransmission", len(p.Payload()), p.Padding())
			}
		})
	}
}

// A packet that comes late may come a second time, as a repair: it goes out as
// it is, without the padding of its source.
func TestLatePacketsAreNotPadded(t *testing.T) {
	c := newCrowd(t, 1, 1, false)
	c.e.shards[0].padding = 100
	late, next := c.sized(false, 900), c.sized(false, 950)
	c.deliver(0, c.pub.addr, next)
	c.deliver(0, c.pub.addr, late, c.sized(true, 950))
	media, _ := c.viewers[0].received()
	if len(media) != 3 {
		t.Fatalf("%d packets", len(media))
	}
	for _, p := range media {
		if p.Padding() != 0 {
			t.Errorf("packet %d has %d bytes of padding", p.Seq, p.Padding())
		}
	}
	c.seq++
	padded := rtp.AppendPadding((&rtp.Header{PayloadType: vp8PT, Seq: c.seq, SSRC: 77, Marker: true, Padding: true,
		Extensions: []rtp.ExtPair{{ID: midExt, Data: []byte("v")}}}).Append(nil), 50)
	out := make([]byte, len(padded)+32)
	n, err := c.pub.out.Protect(out, padded)
	if err != nil {
		t.Fatal(err)
	}
	c.deliver(0, c.pub.addr, out[:n])
	if media, _ = c.viewers[0].received(); len(media) != 1 || media[0].Padding() != 0 {
		t.Errorf("%+v", media)
	}
}
