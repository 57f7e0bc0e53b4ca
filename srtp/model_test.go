package srtp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// reference is a receiver of one source written from RFC 3711 appendix A and
// §3.3.2, with all indexes it ever accepted in a set.
type reference struct {
	started bool
	sl      uint16
	roc     uint32
	seen    map[uint64]bool
}

// receive returns what a packet with this sequence number should give that was
// sealed under index, or under none if it is a forgery.
func (m *reference) receive(seq uint16, index uint64, forged bool) error {
	v := m.roc
	if m.started {
		switch {
		case m.sl < 32768 && int(seq)-int(m.sl) > 32768:
			if v > 0 {
				v--
			}
		case m.sl >= 32768 && int(m.sl)-32768 > int(seq):
			v++
		}
	}
	guess := uint64(v)<<16 | uint64(seq)
	highest := uint64(m.roc)<<16 | uint64(m.sl)
	if m.started && guess <= highest && (highest-guess >= Window || m.seen[guess]) {
		return ErrReplay
	}
	if forged || guess != index {
		return ErrAuth
	}
	if !m.started || guess > highest {
		m.started, m.sl, m.roc = true, seq, v
	}
	m.seen[guess] = true
	return nil
}

type sent struct {
	pkt    []byte
	ssrc   uint32
	index  uint64
	forged bool
}

// traffic is what arrives of a few sources after loss, bursts of loss, late
// joining, reordering, duplication and forgery.
func traffic(t *testing.T, tx *Context, seed uint64, n int) []sent {
	r := rand.New(rand.NewPCG(seed, 0))
	sources := make([]uint64, 1+r.IntN(4))
	for i := range sources {
		sources[i] = uint64(r.IntN(1 << 16))
	}
	var out []sent
	for len(out) < n {
		i := r.IntN(len(sources))
		sources[i]++
		switch r.IntN(300) {
		case 0: // a long burst of loss
			sources[i] += uint64(r.IntN(40000))
			// The sender must have passed half-way, or it is lost itself.
			tx.streams.accept(tx.streams.find(uint32(i)), uint32(i), sources[i]-1)
		case 1, 2, 3, 4, 5, 6:
			sources[i] += uint64(r.IntN(300))
			continue
		}
		s := sent{ssrc: uint32(i), index: sources[i]}
		s.pkt = protect(t, tx, packet(s.ssrc, uint16(s.index), byte(len(out)), 1, 2, 3))
		out = append(out, s)
		switch r.IntN(20) {
		case 0:
			out = append(out, s) // duplicate
		case 1: // a flipped bit of the tag
			f := s
			f.pkt, f.forged = bytes.Clone(s.pkt), true
			f.pkt[len(f.pkt)-1] ^= 4
			out = append(out, f)
		case 2, 3: // somewhere in the sequence space
			f := s
			f.pkt, f.forged = bytes.Clone(s.pkt), true
			binary.BigEndian.PutUint16(f.pkt[2:], uint16(r.Uint32()))
			if !bytes.Equal(f.pkt, s.pkt) {
				out = append(out, f)
			}
		case 4:
			out = append(out, out[r.IntN(len(out))]) // an old one
		}
	}
	for i := range out { // reorder, mostly near
		reach := 8
		if r.IntN(50) == 0 {
			reach = 2000
		}
		j := min(i+r.IntN(reach), len(out)-1)
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// The context, and a batch cut anywhere, agree with the reference packet by
// packet.
func TestClass19_ModelOfLossAndReordering(t *testing.T) {
	n, seeds := 4000, 12
	if testing.Short() {
		seeds = 3
	}
	for _, p := range profiles {
		for seed := range seeds {
			t.Run(fmt.Sprintf("%v/%d", p, seed), func(t *testing.T) {
				tx, one, many := newContext(t, p, 1), newContext(t, p, 1), newContext(t, p, 1)
				r := rand.New(rand.NewPCG(uint64(seed), 1))
				in := traffic(t, tx, uint64(seed), n)
				models := map[uint32]*reference{}
				got := map[error]int{}
				var b Batch
				for len(in) > 0 {
					k := min(1+r.IntN(100), len(in))
					bufs := make([][]byte, k)
					b.Reset()
					for i, s := range in[:k] {
						bufs[i] = bytes.Clone(s.pkt)
						b.Add(many, bufs[i], bufs[i])
					}
					b.Unprotect()
					for i, s := range in[:k] {
						m := models[s.ssrc]
						if m == nil {
							m = &reference{seen: map[uint64]bool{}}
							models[s.ssrc] = m
						}
						seq := binary.BigEndian.Uint16(s.pkt[2:])
						want := m.receive(seq, s.index, s.forged)
						plain, err := unprotect(one, s.pkt)
						bn, berr := b.Result(i)
						if err != want || berr != want {
							t.Fatalf("index %d, seq %d, forged %v: one by one %v, batch %v, model %v", s.index, seq, s.forged, err, berr, want)
						}
						if err == nil && !bytes.Equal(plain, bufs[i][:bn]) {
							t.Fatal("plaintexts differ")
						}
						got[err]++
					}
					in = in[k:]
				}
				if got[nil] == 0 || got[ErrAuth] == 0 || got[ErrReplay] == 0 {
					t.Errorf("not all outcomes were tried: %v", got)
				}
			})
		}
	}
}

// The estimate never falls when ahead grows: rounds of a batch rest on it.
func TestEstimateIsMonotonic(t *testing.T) {
	for _, seq := range []uint16{0, 1, 32766, 32767, 32768, 32769, 65534, 65535} {
		last := uint64(0)
		for ahead := uint64(0); ahead < 4<<16; ahead++ {
			got := estimate(ahead, seq)
			if got < last || uint16(got) != seq {
				t.Fatalf("ahead %d, seq %d: %d after %d", ahead, seq, got, last)
			}
			last = got
		}
	}
}

func TestWindowAgainstSet(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 30 {
		var w window
		seen := map[uint64]bool{}
		top, any := uint64(0), false
		at := int64(r.IntN(3000))
		for range 20000 {
			at = max(at+int64(r.IntN(7))-2, 0)
			if r.IntN(500) == 0 {
				at += int64(r.IntN(5000))
			}
			i := uint64(max(at-int64(r.IntN(1+r.IntN(1200))), 0))
			want := !any || i > top || (top-i < Window && !seen[i])
			if got := w.fresh(i); got != want {
				t.Fatalf("index %d, top %d: fresh is %v", i, top, got)
			}
			if want {
				w.accept(i)
				seen[i], any, top = true, true, max(top, i)
			}
		}
	}
}

func TestTableAgainstMap(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	tab := table{seed: 0x9e3779b97f4a7c15}
	var order []uint32 // by use, oldest first
	for range 50000 {
		ssrc := uint32(r.IntN(200)) * 0x01010101
		at := -1
		for i, s := range order {
			if s == ssrc {
				at = i
			}
		}
		s := tab.find(ssrc)
		if (s != nil) != (at >= 0) || (s != nil && s.ssrc != ssrc) {
			t.Fatalf("source %#x: found %v", ssrc, s)
		}
		if at >= 0 {
			order = append(order[:at], order[at+1:]...)
		} else {
			if len(order) >= 64 {
				tab.evict()
				order = order[1:]
			}
			s = tab.add(ssrc)
		}
		tab.touch(s)
		order = append(order, ssrc)
		if tab.n != len(order) {
			t.Fatalf("%d sources, want %d", tab.n, len(order))
		}
	}
}

// RFC 3711 appendix A at its edges: half the sequence space away.
func TestEstimateEdges(t *testing.T) {
	for _, v := range []struct {
		last uint64
		seq  uint16
		want uint64
	}{
		{1<<16 | 100, 100 + 1<<15, 1<<16 | (100 + 1<<15)}, // SEQ - s_l is not above 2^15
		{1<<16 | 100, 101 + 1<<15, 101 + 1<<15},           // it is
		{100, 101 + 1<<15, 101 + 1<<15},                   // no counter below zero
		{1<<16 | 1<<15, 0, 1 << 16},                       // s_l - 2^15 is not above SEQ
		{1<<16 | (1<<15 + 1), 0, 2 << 16},                 // it is
		{1<<16 | 65535, 65535, 1<<16 | 65535},             // itself
		{1<<16 | 65535, 1<<15 - 1, 1<<16 | (1<<15 - 1)},   // exactly half behind
	} {
		if got := estimate(v.last+1, v.seq); got != v.want {
			t.Errorf("after %#x, seq %#x: %#x, want %#x", v.last, v.seq, got, v.want)
		}
	}
}
