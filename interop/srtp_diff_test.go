package interop

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	pionrtp "github.com/pion/rtp"
	pionsrtp "github.com/pion/srtp/v3"

	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/srtp"
)

// The profiles that both implement.
var diffProfiles = []struct {
	ours   srtp.Profile
	theirs pionsrtp.ProtectionProfile
}{
	{srtp.AES128_CM_HMAC_SHA1_80, pionsrtp.ProtectionProfileAes128CmHmacSha1_80},
	{srtp.AEAD_AES_128_GCM, pionsrtp.ProtectionProfileAeadAes128Gcm},
	{srtp.AEAD_AES_256_GCM, pionsrtp.ProtectionProfileAeadAes256Gcm},
}

// diff is both implementations with one key, in both directions.
type diff struct {
	t                          *testing.T
	rng                        *rand.Rand
	oursOut, oursIn            *srtp.Context
	theirsOut, theirsIn        *pionsrtp.Context
	delivered, refused, forged int
}

// diffWindow is the replay window of theirs; ours is larger.
const diffWindow = 64

func newDiff(t *testing.T, i int, seed uint64) *diff {
	t.Helper()
	p := diffProfiles[i]
	rng := rand.New(rand.NewPCG(seed, uint64(p.ours)))
	key, salt := random(rng, p.ours.KeyLen()), random(rng, p.ours.SaltLen())
	d := &diff{t: t, rng: rng}
	var err error
	if d.oursOut, err = srtp.NewContext(p.ours, key, salt); err != nil {
		t.Fatal(err)
	}
	if d.oursIn, err = srtp.NewContext(p.ours, key, salt); err != nil {
		t.Fatal(err)
	}
	if d.theirsOut, err = pionsrtp.CreateContext(key, salt, p.theirs); err != nil {
		t.Fatal(err)
	}
	// Our SRTCP index counts the packets of all sources of a context.
	replay := []pionsrtp.ContextOption{pionsrtp.SRTPReplayProtection(diffWindow), pionsrtp.SRTCPReplayProtection(4 * diffWindow)}
	if d.theirsIn, err = pionsrtp.CreateContext(key, salt, p.theirs, replay...); err != nil {
		t.Fatal(err)
	}
	return d
}

func random(rng *rand.Rand, n int) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, rng.Uint64())
	}
	return b[:n]
}

// randomRTP makes a well-formed packet, with every part that a header may have.
func randomRTP(rng *rand.Rand, ssrc uint32, seq uint16) []byte {
	h := rtp.Header{
		PayloadType: uint8(rng.IntN(128)), Marker: rng.IntN(2) == 0, Seq: seq, Timestamp: rng.Uint32(), SSRC: ssrc,
		Padding: rng.IntN(4) == 0,
	}
	for range rng.IntN(3) * rng.IntN(6) {
		h.CSRC = append(h.CSRC, rng.Uint32())
	}
	if form := rng.IntN(3); form > 0 {
		used := map[uint8]bool{}
		for range rng.IntN(5) {
			id, n := uint8(1+rng.IntN(14)), 1+rng.IntN(16)
			if form == 2 {
				id, n = uint8(1+rng.IntN(255)), rng.IntN(60)
			}
			if !used[id] {
				used[id] = true
				h.Extensions = append(h.Extensions, rtp.ExtPair{ID: id, Data: random(rng, n)})
			}
		}
	}
	b := append(h.Append(nil), random(rng, rng.IntN(1200))...)
	if h.Padding {
		b = rtp.AppendPadding(b, uint8(1+rng.IntN(255)))
	}
	return b
}

// protect seals a packet with both, which must agree on every byte.
func (d *diff) protect(pkt []byte) []byte {
	d.t.Helper()
	ours := make([]byte, len(pkt)+32)
	n, err := d.oursOut.Protect(ours, pkt)
	if err != nil {
		d.t.Fatal(err)
	}
	theirs, err := d.theirsOut.EncryptRTP(nil, pkt, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if !bytes.Equal(ours[:n], theirs) {
		d.t.Fatalf("packet %x of %d bytes becomes\n%x with ours and\n%x with theirs", pkt[:12], len(pkt), ours[:n], theirs)
	}
	return theirs
}

// deliver opens a packet with both: plain, or nil if both must refuse it.
func (d *diff) deliver(sealed, plain []byte) {
	d.t.Helper()
	buf := bytes.Clone(sealed)
	n, oursErr := d.oursIn.Unprotect(buf, buf)
	theirs, theirsErr := d.theirsIn.DecryptRTP(nil, sealed, nil)
	if plain == nil {
		d.refused++
		if oursErr == nil || theirsErr == nil {
			d.t.Fatalf("to be refused, and ours says %v, theirs %v", oursErr, theirsErr)
		}
		return
	}
	d.delivered++
	if oursErr != nil || theirsErr != nil {
		d.t.Fatalf("packet %x: ours says %v, theirs %v", sealed[:12], oursErr, theirsErr)
	}
	if !bytes.Equal(buf[:n], plain) || !bytes.Equal(theirs, plain) {
		d.t.Fatalf("packet %x opens to something else", sealed[:12])
	}
}

// waiting is a packet on the network.
type waiting struct {
	sealed, plain []byte
}

// network delivers with loss, reordering within the window, duplicates and
// forgeries; count as of a packet delivers what is due.
func (d *diff) network(queue *[]waiting, w waiting, loss float64, deliver func(sealed, plain []byte)) {
	if d.rng.Float64() >= loss {
		*queue = append(*queue, w)
	}
	for len(*queue) > diffWindow/4 {
		i := d.rng.IntN(len(*queue))
		// The oldest must not fall out of the window.
		if d.rng.IntN(3) == 0 {
			i = 0
		}
		w := (*queue)[i]
		*queue = slices.Delete(*queue, i, i+1)
		if d.rng.IntN(8) == 0 {
			forged := bytes.Clone(w.sealed)
			// Not the sequence number: what it guesses is each one's own.
			at := 4 + d.rng.IntN(len(forged)-4)
			forged[at] ^= 1 << d.rng.IntN(8)
			d.forged++
			deliver(forged, nil)
		}
		deliver(w.sealed, w.plain)
		if d.rng.IntN(8) == 0 {
			deliver(w.sealed, nil)
		}
	}
}

func TestSRTPAgreesWithPion(t *testing.T) {
	packets := 3000
	if testing.Short() {
		packets = 1500
	}
	for i, p := range diffProfiles {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%v/%d", p.ours, seed), func(t *testing.T) {
				d := newDiff(t, i, seed)
				type source struct {
					ssrc  uint32
					index uint64
					queue []waiting
					wraps int
				}
				var sources []*source
				for range 3 {
					sources = append(sources, &source{ssrc: d.rng.Uint32(), index: uint64(d.rng.IntN(1 << 15))})
				}
				loss := []float64{0, 0.05, 0.3, 0.01}[seed]
				for range packets {
					s := sources[d.rng.IntN(len(sources))]
					pkt := randomRTP(d.rng, s.ssrc, uint16(s.index))
					d.network(&s.queue, waiting{d.protect(pkt), pkt}, loss, d.deliver)
					// Mostly the next number; sometimes a leap, which the
					// receiver sees as loss, so that the counter rolls over often.
					step := uint64(1)
					if d.rng.IntN(40) == 0 {
						for _, w := range s.queue {
							d.deliver(w.sealed, w.plain)
						}
						s.queue = nil
						step = uint64(1 + d.rng.IntN(1<<14))
					}
					if uint16(s.index+step) < uint16(s.index) {
						s.wraps++
					}
					s.index += step
				}
				wraps := 0
				for _, s := range sources {
					wraps += s.wraps
				}
				if wraps < 2 || d.delivered < packets/4 || d.refused == 0 || d.forged == 0 {
					t.Errorf("%d wraps, %d delivered, %d refused, %d forged", wraps, d.delivered, d.refused, d.forged)
				}
			})
		}
	}
}

// TestSRTPSenderOutOfOrderAgreesWithPion: around the wrap, a sender may protect
// packets out of order, as a forwarder does.
func TestSRTPSenderOutOfOrderAgreesWithPion(t *testing.T) {
	for i, p := range diffProfiles {
		t.Run(p.ours.String(), func(t *testing.T) {
			d := newDiff(t, i, 99)
			ssrc := d.rng.Uint32()
			for start, step := 65536-256, 0; start < 4*65536+256; start += step {
				// Every packet around the wrap, and leaps in between.
				if step = 16; start&0xffff >= 256 && start&0xffff < 65536-8192 {
					step = 8192 - start&0xf
				}
				order := d.rng.Perm(16)
				if start == 65536-256 {
					slices.Sort(order)
				}
				for _, k := range order {
					pkt := randomRTP(d.rng, ssrc, uint16(start+k))
					d.deliver(d.protect(pkt), pkt)
				}
			}
		})
	}
}

// randomRTCP makes a packet whose first header is well-formed.
func randomRTCP(rng *rand.Rand, ssrc uint32) []byte {
	words := 1 + rng.IntN(60)
	b := []byte{0x80 | byte(rng.IntN(32)), byte(200 + rng.IntN(8))}
	b = binary.BigEndian.AppendUint16(b, uint16(words))
	b = binary.BigEndian.AppendUint32(b, ssrc)
	return append(b, random(rng, 4*(words-1))...)
}

func TestSRTCPAgreesWithPion(t *testing.T) {
	packets := 4000
	if testing.Short() {
		packets = 1000
	}
	for i, p := range diffProfiles {
		for _, sender := range []string{"ours", "theirs"} {
			t.Run(p.ours.String()+"/"+sender, func(t *testing.T) {
				d := newDiff(t, i, 7)
				protect := func(pkt []byte) []byte {
					if sender == "theirs" {
						b, err := d.theirsOut.EncryptRTCP(nil, pkt, nil)
						if err != nil {
							t.Fatal(err)
						}
						return b
					}
					b := make([]byte, len(pkt)+64)
					n, err := d.oursOut.ProtectRTCP(b, pkt)
					if err != nil {
						t.Fatal(err)
					}
					return b[:n]
				}
				deliver := func(sealed, plain []byte) {
					t.Helper()
					buf := bytes.Clone(sealed)
					n, oursErr := d.oursIn.UnprotectRTCP(buf, buf)
					theirs, theirsErr := d.theirsIn.DecryptRTCP(nil, sealed, nil)
					switch {
					case plain == nil:
						d.refused++
						if oursErr == nil || theirsErr == nil {
							t.Fatalf("to be refused, and ours says %v, theirs %v", oursErr, theirsErr)
						}
					case oursErr != nil || theirsErr != nil:
						t.Fatalf("ours says %v, theirs %v", oursErr, theirsErr)
					case !bytes.Equal(buf[:n], plain) || !bytes.Equal(theirs, plain):
						t.Fatal("the packet opens to something else")
					default:
						d.delivered++
					}
				}
				ssrcs := []uint32{d.rng.Uint32(), d.rng.Uint32()}
				queues := make([][]waiting, len(ssrcs))
				for range packets {
					k := d.rng.IntN(len(ssrcs))
					pkt := randomRTCP(d.rng, ssrcs[k])
					d.network(&queues[k], waiting{protect(pkt), pkt}, 0.1, deliver)
				}
				if d.delivered < packets/2 || d.refused == 0 || d.forged == 0 {
					t.Errorf("%d delivered, %d refused, %d forged", d.delivered, d.refused, d.forged)
				}
			})
		}
	}
}

// Class 46: both parsers see the same header in the same bytes.
func TestClass46_HeadersAgreeWithPion(t *testing.T) {
	rounds := 200000
	if testing.Short() {
		rounds = 20000
	}
	rng := rand.New(rand.NewPCG(46, 1))
	var both, lenient, neither int
	for i := range rounds {
		b := randomRTP(rng, rng.Uint32(), uint16(i))
		sound := i%2 == 0
		if !sound {
			// Changes where they matter: in the header and its extension.
			for range 1 + rng.IntN(3) {
				b[rng.IntN(min(len(b), 40))] = byte(rng.Uint32())
			}
			b[0] = b[0]&0x3f | 0x80
			b = b[:1+rng.IntN(len(b))]
		}
		v, ok := rtp.Parse(b)
		var p pionrtp.Packet
		err := p.Unmarshal(bytes.Clone(b))
		switch {
		case ok && err == nil:
			both++
			compareHeaders(t, b, &v, &p)
		case ok && !sound && v.HasExtension:
			// An element that runs beyond the extension: theirs refuses the
			// packet, ours the rest of the extension.
			lenient++
			for e := v.Extensions(); ; {
				_, data, more := e.Next()
				if !more {
					break
				}
				if len(data) > 0 && &data[len(data)-1] != &b[len(b)-1] && cap(data) > len(b) {
					t.Fatalf("an element leaves the packet %x", b)
				}
			}
		case !ok && err != nil && !sound:
			neither++
		default:
			t.Fatalf("packet %d %x: ours %v, theirs %v", i, b, ok, err)
		}
	}
	if both < rounds/2 || neither == 0 || lenient == 0 {
		t.Errorf("%d understood by both, %d by ours only, %d by neither", both, lenient, neither)
	}
}

func compareHeaders(t *testing.T, b []byte, v *rtp.View, p *pionrtp.Packet) {
	t.Helper()
	csrc := make([]uint32, v.CSRCCount)
	for i := range csrc {
		csrc[i] = v.CSRC(i)
	}
	if v.Seq != p.SequenceNumber || v.Timestamp != p.Timestamp || v.SSRC != p.SSRC || v.PayloadType != p.PayloadType ||
		v.Marker != p.Marker || !slices.Equal(csrc, p.CSRC) || v.HasExtension != p.Extension {
		t.Fatalf("%x: ours %+v, theirs %+v", b, v, p.Header)
	}
	if !bytes.Equal(v.Payload(), p.Payload) || v.Padding() != int(p.PaddingSize) {
		t.Fatalf("%x: payloads of %d and %d bytes, padding %d and %d", b, len(v.Payload()), len(p.Payload), v.Padding(), p.PaddingSize)
	}
	if !v.HasExtension || v.ExtensionProfile != rtp.ProfileOneByte && v.ExtensionProfile != rtp.ProfileTwoByte {
		return
	}
	seen := map[uint8]bool{}
	for e := v.Extensions(); ; {
		id, data, ok := e.Next()
		if !ok {
			break
		}
		if !seen[id] && !bytes.Equal(p.GetExtension(id), data) {
			t.Fatalf("%x: extension %d is %x and %x", b, id, data, p.GetExtension(id))
		}
		seen[id] = true
	}
	ids := p.GetExtensionIDs()
	for _, id := range ids {
		if !seen[id] {
			t.Fatalf("%x: extension %d is theirs only", b, id)
		}
	}
}
