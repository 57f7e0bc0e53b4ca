package crypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"testing"
)

// force uses a level until the function it returns is called.
func force(l level) (restore func()) {
	old := active
	active = l
	return func() { active = old }
}

// atEveryLevel runs f with each level that this processor has.
func atEveryLevel(t *testing.T, f func(t *testing.T)) {
	for _, l := range levels() {
		t.Run(l.String(), func(t *testing.T) {
			defer force(l)()
			f(t)
		})
	}
}

func TestGCMAtEveryLevel(t *testing.T) {
	for name, f := range map[string]func(*testing.T){
		"vectors": TestGCMVectors, "lengths": TestGCMEveryLength, "flipped bits": TestGCMFlippedBitLeavesNoPlaintext,
		"clear": TestGCMClearZeroesTheKey, "allocations": TestGCMAllocatesNothing,
	} {
		t.Run(name, func(t *testing.T) { atEveryLevel(t, f) })
	}
}

func TestLevelIsChosenByName(t *testing.T) {
	for _, l := range levels() {
		if got := choose(l.String()); got != l {
			t.Errorf("%v chosen for %v", got, l)
		}
	}
	if all := levels(); choose("") != all[len(all)-1] || choose("nonsense") != all[len(all)-1] {
		t.Error("not the best level by default")
	}
}

// One batch of packets of every shape, in place and apart, with every length
// of AAD that the kernels take and some that they do not.
func TestGCMBatchesMixKeysAndShapes(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		var keys []*GCMKey
		var aeads []cipher.AEAD
		for i := range 6 {
			raw := random(uint64(i), 16+16*(i%2))
			keys = append(keys, gcmKey(t, raw))
			block, err := aes.NewCipher(raw)
			if err != nil {
				t.Fatal(err)
			}
			aead, err := cipher.NewGCM(block)
			if err != nil {
				t.Fatal(err)
			}
			aeads = append(aeads, aead)
		}
		var jobs []GCMJob
		var want, plain [][]byte
		for i := range 700 {
			n, na := i*13%4300, i%90
			p, aad, k := random(uint64(i), n), random(uint64(i)+1e6, na), i%len(keys)
			j := GCMJob{Key: keys[k], AAD: aad, Dst: make([]byte, n+gcmTag), Src: p}
			if i%2 == 0 {
				copy(j.Dst, p)
				j.Src = j.Dst[:n]
			}
			copy(j.Nonce[:], random(uint64(i)+2e6, 12))
			plain = append(plain, bytes.Clone(p))
			want = append(want, aeads[k].Seal(nil, j.Nonce[:], p, aad))
			jobs = append(jobs, j)
		}
		SealBatch(jobs)
		for i := range jobs {
			if !jobs[i].OK || !bytes.Equal(jobs[i].Dst, want[i]) {
				t.Fatalf("job %d (%d bytes, AAD %d): sealed wrongly", i, len(plain[i]), len(jobs[i].AAD))
			}
			jobs[i].Src = jobs[i].Dst
			jobs[i].Dst = jobs[i].Src[:len(plain[i])]
			if i%3 == 0 {
				jobs[i].Dst = make([]byte, len(plain[i]))
			}
			if i%5 == 0 {
				jobs[i].Src[i%len(jobs[i].Src)] ^= 0x40
			}
		}
		OpenBatch(jobs)
		for i := range jobs {
			if i%5 == 0 {
				if jobs[i].OK || bytes.Contains(jobs[i].Dst, plain[i][:min(16, len(plain[i]))]) && len(plain[i]) >= 16 {
					t.Fatalf("job %d: a forged packet was opened", i)
				}
			} else if !jobs[i].OK || !bytes.Equal(jobs[i].Dst, plain[i]) {
				t.Fatalf("job %d (%d bytes, AAD %d): opened wrongly", i, len(plain[i]), len(jobs[i].AAD))
			}
		}
	})
}

func BenchmarkGCMSeal(b *testing.B) {
	for _, l := range levels() {
		for _, size := range []int{16, 32} {
			for _, n := range []int{100, 1000, 1200} {
				b.Run(fmt.Sprintf("%v/aes%d/%d", l, size*8, n), func(b *testing.B) {
					defer force(l)()
					jobs := make([]GCMJob, 64)
					for i := range jobs {
						k, err := NewGCMKey(random(uint64(i), size))
						if err != nil {
							b.Fatal(err)
						}
						buf := make([]byte, n+gcmTag)
						jobs[i] = GCMJob{Key: k, Dst: buf, Src: buf[:n], AAD: make([]byte, 12)}
					}
					b.SetBytes(int64(64 * n))
					for b.Loop() {
						SealBatch(jobs)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*64), "ns/packet")
				})
			}
		}
	}
}
