package crypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"slices"
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

// atEveryHash runs f with each way to hash, at the best level of AES, and with
// each level of AES.
func atEveryHash(t *testing.T, f func(t *testing.T)) {
	atEveryLevel(t, f)
	for _, name := range hashLevelNames() {
		t.Run(name, func(t *testing.T) {
			defer forceHash(name)()
			f(t)
		})
	}
}

func TestGCMAtEveryLevel(t *testing.T) {
	for name, f := range map[string]func(*testing.T){
		"vectors": TestGCMVectors, "Wycheproof": TestGCMWycheproof, "lengths": TestGCMEveryLength, "flipped tags": TestGCMFlippedTagBit, "flipped bits": TestGCMFlippedBitLeavesNoPlaintext,
		"clear": TestGCMClearZeroesTheKey, "allocations": TestGCMAllocatesNothing,
	} {
		t.Run(name, func(t *testing.T) { atEveryLevel(t, f) })
	}
}

func TestCMAtEveryLevel(t *testing.T) {
	for name, f := range map[string]func(*testing.T){
		"vectors": TestCMVectors, "HMAC": TestHMACOfRFC2202, "Wycheproof": TestHMACWycheproof, "lengths": TestCMEveryLength, "shared payload": TestCMSharedPayload, "wrong lengths": TestCMWrongLengthsPanic,
		"flipped bits": TestCMFlippedBitTouchesNothing, "clear": TestCMClearZeroesTheKey, "allocations": TestCMAllocatesNothing,
	} {
		t.Run(name, func(t *testing.T) { atEveryHash(t, f) })
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
	if !slices.Contains(hashLevelNames(), HashLevel()) && HashLevel() != "stdlib" || Level() != active.String() {
		t.Errorf("levels %s and %s", Level(), HashLevel())
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

// One batch of packets of every shape: the lanes of the hash are never of one
// length, and some jobs go to the standard library between them.
func TestCMBatchesMixKeysAndShapes(t *testing.T) {
	atEveryHash(t, func(t *testing.T) {
		for _, count := range []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 600} {
			cmMixedBatch(t, count)
		}
	})
}

func cmMixedBatch(t *testing.T, count int) {
	var jobs []CMJob
	var want, plain [][]byte
	for i := range count {
		enc, auth := random(uint64(i%7), 16+16*(i%2)), random(uint64(i%7)+1e3, 1+i%64)
		n := (i*i*31 + i*13) % 2200
		if i%50 == 49 {
			n += 3000
		}
		p, header := random(uint64(i), n), random(uint64(i)+1e6, 12+i*7%73)
		j := CMJob{Key: cmKey(t, enc, auth), Header: len(header), TagLen: []int{4, 10, 20}[i%3], InPacket: i%4 == 1}
		copy(j.IV[:14], random(uint64(i)+2e6, 14))
		copy(j.Trailer[:], random(uint64(i)+3e6, 4))
		w := cmPacket(enc, auth, &j, header, p)
		j.Dst = make([]byte, len(w))
		copy(j.Dst, header)
		if j.Src = p; i%2 == 0 {
			j.Src = j.Dst[len(header) : len(header)+n]
			copy(j.Src, p)
		}
		plain, want, jobs = append(plain, bytes.Clone(p)), append(want, w), append(jobs, j)
	}
	SealCMBatch(jobs)
	for i := range jobs {
		j := &jobs[i]
		if !j.OK || !bytes.Equal(j.Dst, want[i]) {
			t.Fatalf("%d jobs, %d (%d bytes): sealed wrongly", count, i, len(plain[i]))
		}
		j.Src = j.Dst
		j.Dst = j.Src[j.Header : j.Header+len(plain[i])]
		if i%3 == 0 {
			j.Dst = make([]byte, len(plain[i]))
		}
		if i%5 == 4 {
			j.Src[i*17%(j.Header+len(j.Dst))] ^= 0x40
		}
		want[i] = bytes.Clone(j.Dst)
	}
	OpenCMBatch(jobs)
	for i := range jobs {
		j := &jobs[i]
		if i%5 == 4 {
			if j.OK || !bytes.Equal(j.Dst, want[i]) {
				t.Fatalf("%d jobs, %d: a forged packet was opened", count, i)
			}
		} else if !j.OK || !bytes.Equal(j.Dst, plain[i]) {
			t.Fatalf("%d jobs, %d (%d bytes): opened wrongly", count, i, len(plain[i]))
		}
	}
}
