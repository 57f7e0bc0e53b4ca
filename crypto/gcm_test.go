package crypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/sluicertc/sluice/internal/vectors"
)

// random returns n bytes that depend on the seed only.
func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func gcmKey(t testing.TB, key []byte) *GCMKey {
	t.Helper()
	k, err := NewGCMKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func stdGCM(t testing.TB, raw []byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(raw)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return aead
}

// The test cases of McGrew and Viega, "The Galois/Counter Mode of Operation",
// appendix B, which NIST's validation suite took over.
var gcmVectors = []struct{ key, nonce, aad, plain, sealed string }{
	{"00000000000000000000000000000000", "000000000000000000000000", "", "", "58e2fccefa7e3061367f1d57a4e7455a"},
	{"00000000000000000000000000000000", "000000000000000000000000", "", "00000000000000000000000000000000",
		"0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"},
	{"feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
		"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091" +
			"5bc94fbc3221a5db94fae95ae7121a47"},
	{"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
		"feedfacedeadbeeffeedfacedeadbeefabaddad2",
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" +
			"76fc6ece0f4e1768cddf8853bb2d551b"},
}

func TestGCMVectors(t *testing.T) {
	for i, v := range gcmVectors {
		plain, sealed := vectors.Hex(t, v.plain), vectors.Hex(t, v.sealed)
		jobs := []GCMJob{{Key: gcmKey(t, vectors.Hex(t, v.key)), Src: plain, AAD: vectors.Hex(t, v.aad), Dst: make([]byte, len(sealed))}}
		copy(jobs[0].Nonce[:], vectors.Hex(t, v.nonce))
		SealBatch(jobs)
		if !jobs[0].OK || !bytes.Equal(jobs[0].Dst, sealed) {
			t.Errorf("%d: sealed %x, want %x", i, jobs[0].Dst, sealed)
		}
		jobs[0].Src, jobs[0].Dst = sealed, make([]byte, len(plain))
		OpenBatch(jobs)
		if !jobs[0].OK || !bytes.Equal(jobs[0].Dst, plain) {
			t.Errorf("%d: opened %x (%v), want %x", i, jobs[0].Dst, jobs[0].OK, plain)
		}
	}
}

// TestGCMEveryLength seals and opens one batch of all lengths, in place and
// apart, against crypto/cipher.
func TestGCMEveryLength(t *testing.T) {
	for _, size := range []int{16, 32} {
		raw := random(1, size)
		block, _ := aes.NewCipher(raw)
		std, _ := cipher.NewGCM(block)
		key := gcmKey(t, raw)
		var jobs []GCMJob
		var want, plain [][]byte
		for n := 0; n <= 2048; n++ {
			p, aad := random(2, n), random(3, n%97)
			j := GCMJob{Key: key, AAD: aad}
			copy(j.Nonce[:], random(4, 12))
			j.Nonce[0], j.Nonce[1] = byte(n), byte(n>>8)
			want = append(want, std.Seal(nil, j.Nonce[:], p, aad))
			plain = append(plain, p)
			if n%2 == 0 {
				buf := append(bytes.Clone(p), make([]byte, 16)...)
				j.Src, j.Dst = buf[:n], buf
			} else {
				j.Src, j.Dst = bytes.Clone(p), make([]byte, n+16)
			}
			jobs = append(jobs, j)
		}
		SealBatch(jobs)
		for n := range jobs {
			j := &jobs[n]
			if !j.OK || !bytes.Equal(j.Dst, want[n]) {
				t.Fatalf("key %d, length %d: sealed differs", size, n)
			}
			if n%4 < 2 {
				j.Src = j.Dst
				j.Dst = j.Dst[:n]
			} else {
				j.Src, j.Dst = j.Dst, make([]byte, n)
			}
		}
		OpenBatch(jobs)
		for n, j := range jobs {
			if !j.OK || !bytes.Equal(j.Dst, plain[n]) {
				t.Fatalf("key %d, length %d: opened differs", size, n)
			}
		}
	}
}

// A flipped bit anywhere is refused and leaves no plaintext, while the other
// jobs of the batch go on.
func TestGCMFlippedBitLeavesNoPlaintext(t *testing.T) {
	key := gcmKey(t, random(1, 16))
	const n = 40
	plain, aad := random(2, n), random(3, 12)
	good := []GCMJob{{Key: key, Src: plain, AAD: aad, Dst: make([]byte, n+16)}}
	SealBatch(good)
	for bit := range 8 * (n + 16) {
		for _, inPlace := range []bool{true, false} {
			bad := bytes.Clone(good[0].Dst)
			bad[bit/8] ^= 1 << (bit % 8)
			dst := bytes.Repeat([]byte{0xee}, n)
			if inPlace {
				dst = bad[:n]
			}
			jobs := []GCMJob{
				{Key: key, Src: good[0].Dst, AAD: aad, Dst: make([]byte, n)},
				{Key: key, Src: bad, AAD: aad, Dst: dst, OK: true},
				{Key: key, Src: good[0].Dst, AAD: aad, Dst: make([]byte, n)},
			}
			OpenBatch(jobs)
			if jobs[1].OK || leaks(dst, plain) {
				t.Fatalf("bit %d, in place %v: OK %v, Dst %x", bit, inPlace, jobs[1].OK, dst)
			}
			if !jobs[0].OK || !jobs[2].OK || !bytes.Equal(jobs[0].Dst, plain) || !bytes.Equal(jobs[2].Dst, plain) {
				t.Fatalf("bit %d: a neighbour failed", bit)
			}
		}
	}
}

// Each of the 128 bits of the tag counts, at every shape of packet, and a tag
// that is wrong leaves no plaintext, in place or apart.
func TestGCMFlippedTagBit(t *testing.T) {
	key := gcmKey(t, random(1, 16))
	for _, n := range []int{0, 1, 15, 16, 17, 40, 127, 128, 129, 255, 256, 300, 1200, 4096, 4097} {
		plain, aad := random(2, n), random(3, n%70)
		good := []GCMJob{{Key: key, Src: plain, AAD: aad, Dst: make([]byte, n+16)}}
		SealBatch(good)
		jobs := make([]GCMJob, 0, 256)
		for bit := range 128 {
			for _, inPlace := range []bool{true, false} {
				bad := bytes.Clone(good[0].Dst)
				bad[n+bit/8] ^= 1 << (bit % 8)
				dst := bytes.Repeat([]byte{0xee}, n)
				if inPlace {
					dst = bad[:n]
				}
				jobs = append(jobs, GCMJob{Key: key, Src: bad, AAD: aad, Dst: dst, OK: true})
			}
		}
		OpenBatch(jobs)
		for i := range jobs {
			if jobs[i].OK || leaks(jobs[i].Dst, plain) {
				t.Fatalf("%d bytes, bit %d, in place %v: OK %v", n, i/2, i%2 == 0, jobs[i].OK)
			}
		}
	}
}

// leaks reports whether any four bytes of plain are where they belong in b.
func leaks(b, plain []byte) bool {
	for i := 0; i+4 <= len(plain); i++ {
		if bytes.Equal(b[i:i+4], plain[i:i+4]) {
			return true
		}
	}
	return false
}

func TestGCMKeySizes(t *testing.T) {
	for n := range 64 {
		_, err := NewGCMKey(make([]byte, n))
		if ok := n == 16 || n == 32; ok != (err == nil) {
			t.Errorf("key of %d bytes: %v", n, err)
		}
	}
}

func TestGCMWrongLengthsPanic(t *testing.T) {
	key := gcmKey(t, make([]byte, 16))
	for name, f := range map[string]func(){
		"seal": func() { SealBatch([]GCMJob{{Key: key, Src: make([]byte, 4), Dst: make([]byte, 19)}}) },
		"open": func() { OpenBatch([]GCMJob{{Key: key, Src: make([]byte, 20), Dst: make([]byte, 5)}}) },
		"tag":  func() { OpenBatch([]GCMJob{{Key: key, Src: make([]byte, 15)}}) },
	} {
		mustPanic(t, name, f)
	}
}

func mustPanic(t *testing.T, name string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", name)
		}
	}()
	f()
}

// beyondKernels is a payload that no kernel takes.
const beyondKernels = 16385

func TestGCMWithoutKernelsAllocatesOnce(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		key := gcmKey(t, random(1, 32))
		jobs := []GCMJob{{Key: key, Src: make([]byte, beyondKernels), Dst: make([]byte, beyondKernels+gcmTag)}}
		if n := testing.AllocsPerRun(10, func() { SealBatch(jobs) }); n != 0 {
			t.Errorf("%v allocations after the first", n)
		}
	})
}

func TestGCMClearZeroesTheKey(t *testing.T) {
	key := gcmKey(t, random(1, 32))
	SealBatch([]GCMJob{{Key: key, Src: make([]byte, beyondKernels), Dst: make([]byte, beyondKernels+gcmTag)}})
	v := reflect.ValueOf(key.aead).Elem()
	if v.IsZero() {
		t.Fatal("key is zero before Clear")
	}
	key.Clear()
	if !v.IsZero() || !reflect.ValueOf(*key).IsZero() {
		t.Error("something of the key is left after Clear")
	}
	mustPanic(t, "use after Clear", func() { SealBatch([]GCMJob{{Key: key, Dst: make([]byte, 16)}}) })
}

func TestGCMAllocatesNothing(t *testing.T) {
	key := gcmKey(t, random(1, 16))
	buf := make([]byte, 1216)
	jobs := make([]GCMJob, 16)
	if n := testing.AllocsPerRun(100, func() {
		for i := range jobs {
			b := buf[i*64:]
			jobs[i] = GCMJob{Key: key, AAD: b[:12], Src: b[12:40], Dst: b[12:56]}
		}
		SealBatch(jobs)
		for i := range jobs {
			jobs[i].Src, jobs[i].Dst = jobs[i].Dst, jobs[i].Dst[:28]
		}
		OpenBatch(jobs)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
