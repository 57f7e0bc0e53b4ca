package dataplane

import (
	"net/netip"
	"testing"
	"time"

	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/srtp"
)

// Class 37: a peer that knows the password and checks from ever new addresses
// takes a bounded number of places, and keeps the one in use.
func TestClass37_AddressesOfOnePeerAreBounded(t *testing.T) {
	r := newRig(t, 3)
	p := r.newPeer(1, srtp.AEAD_AES_128_GCM)
	other := r.newPeer(1, srtp.AEAD_AES_128_GCM)
	for i := range 1000 {
		a := netip.AddrPortFrom(netip.MustParseAddr("203.0.113.9"), uint16(1000+i))
		via := r.e.shards[i%3]
		p.tr.AddRemote(via, a)
		p.tr.AddRemote(via, a) // again: a check is repeated
	}
	r.step()
	total := 0
	for _, s := range r.e.shards {
		total += len(s.addrs)
	}
	// Each on its own shard, and on the one that heard it.
	if n := len(p.tr.addrs); n != maxAddrs || total > 2*maxAddrs+1 {
		t.Errorf("%d addresses, %d places", n, total)
	}
	home := r.e.shards[1]
	if home.addrs[p.addr] != p.tr || home.addrs[other.addr] != other.tr {
		t.Error("the address in use is forgotten, or a stranger's")
	}
	newest := netip.AddrPortFrom(netip.MustParseAddr("203.0.113.9"), 1999)
	if home.addrs[newest] != p.tr {
		t.Error("the newest address is forgotten")
	}
	p.tr.Close(nil)
	r.step()
	for i, s := range r.e.shards {
		for a, tr := range s.addrs {
			if tr == p.tr {
				t.Errorf("shard %d still knows %v", i, a)
			}
		}
	}
}

// Under one key a sequence number names one packet: a leg that ends and comes
// back, as when a track is replaced by none and by another, must not begin
// anew.
func TestLegThatComesBackGoesOnWithItsNumbers(t *testing.T) {
	for _, profile := range []srtp.Profile{srtp.AES128_CM_HMAC_SHA1_80, srtp.AEAD_AES_128_GCM} {
		r := newRig(t, 2)
		src, dst := r.newPeer(0, profile), r.newPeer(1, profile)
		st := src.publish()[0]
		seen := map[uint16]bool{}
		var last rtp.View
		var n uint16
		for round := range 4 {
			route, _ := dst.view(st)
			for range 5 {
				n++
				r.deliver(0, src.addr, src.packet(7, n, keyPayload))
				r.pass(5 * time.Millisecond)
			}
			// All have come, none twice: the peer's replay window refuses those.
			media, _ := dst.received()
			if len(media) != 5 {
				t.Fatalf("%v, round %d: %d packets", profile, round, len(media))
			}
			for _, v := range media {
				if seen[v.Seq] || len(seen) > 0 && (v.Seq != last.Seq+1 || int32(v.Timestamp-last.Timestamp) <= 0) {
					t.Errorf("%v, round %d: %d/%d after %d/%d", profile, round, v.Seq, v.Timestamp, last.Seq, last.Timestamp)
				}
				seen[v.Seq], last = true, v
			}
			route.Close(nil)
			r.step()
			if len(dst.tr.ended) != 1 || len(dst.tr.legs) != 0 {
				t.Fatalf("%d numberings kept, %d legs", len(dst.tr.ended), len(dst.tr.legs))
			}
		}
	}
}

// What other shards were handed is not kept alive by the ring's slots.
func TestHandedOverItemsAreForgotten(t *testing.T) {
	r := newRig(t, 2)
	src, dst := r.newPeer(0, srtp.AEAD_AES_128_GCM), r.newPeer(1, srtp.AEAD_AES_128_GCM)
	route, _ := dst.view(src.publish()[0])
	for n := range uint16(20) {
		r.deliver(0, src.addr, src.packet(7, n, keyPayload))
	}
	route.Close(nil)
	r.step()
	for _, s := range r.e.shards {
		for i := range s.out {
			o := &s.out[i]
			if o.ring == nil {
				continue
			}
			for k := range uint32(handoverRing) {
				if h := o.ring.at(k); h.t != nil || h.stream != nil {
					t.Fatalf("slot %d of shard %d names a transport or stream", k, s.index)
				}
			}
		}
	}
}
