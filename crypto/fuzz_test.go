package crypto

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

func FuzzGCM(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), []byte("nonce nonce!"), []byte("header"), []byte("payload"))
	f.Add(bytes.Repeat([]byte("k"), 32), []byte("nonce nonce!"), bytes.Repeat([]byte("h"), 64), bytes.Repeat([]byte("p"), 300))
	f.Fuzz(func(t *testing.T, raw, nonce, aad, plain []byte) {
		if _, err := NewGCMKey(raw); err != nil {
			return
		}
		for _, l := range levels() {
			restore := force(l)
			jobs := []GCMJob{{Key: gcmKey(t, raw), AAD: aad, Src: plain, Dst: make([]byte, len(plain)+16)}}
			copy(jobs[0].Nonce[:], nonce)
			SealBatch(jobs)
			if want := stdGCM(t, raw).Seal(nil, jobs[0].Nonce[:], plain, aad); !bytes.Equal(jobs[0].Dst, want) {
				t.Fatalf("%v: sealed %x, want %x", l, jobs[0].Dst, want)
			}
			jobs[0].Src, jobs[0].Dst = jobs[0].Dst, jobs[0].Dst[:len(plain)]
			if OpenBatch(jobs); !jobs[0].OK || !bytes.Equal(jobs[0].Dst, plain) {
				t.Fatalf("%v: does not open what it sealed", l)
			}
			restore()
		}
	})
}

func FuzzCM(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), []byte("key"), []byte("iv"), []byte("header"), []byte("payload"), uint32(7), uint8(10), true)
	f.Fuzz(func(t *testing.T, enc, auth, iv, header, plain []byte, trailer uint32, tag uint8, inPacket bool) {
		if _, err := NewCMKey(enc, auth); err != nil {
			return
		}
		// As many jobs as keep all lanes and one more at work, of all lengths.
		const n = 17
		var want [n][]byte
		jobs := make([]CMJob, n)
		for _, l := range cmLevels() {
			restore, restoreHash := force(l.aes), forceHash(l.hash)
			key := cmKey(t, enc, auth)
			for i := range jobs {
				p := plain[:len(plain)*i/(n-1)]
				j := CMJob{Key: key, Header: len(header), TagLen: 1 + int(tag)%MaxTag, InPacket: inPacket, Src: p}
				binary.BigEndian.PutUint32(j.Trailer[:], trailer)
				copy(j.IV[:14], iv)
				want[i] = cmPacket(enc, auth, &j, header, p)
				j.Dst = make([]byte, len(want[i]))
				copy(j.Dst, header)
				jobs[i] = j
			}
			SealCMBatch(jobs)
			for i := range jobs {
				j := &jobs[i]
				if !bytes.Equal(j.Dst, want[i]) {
					t.Fatalf("%v: sealed %x, want %x", l, j.Dst, want[i])
				}
				j.Dst, j.Src = j.Dst[len(header):len(header)+len(j.Src)], j.Dst
			}
			OpenCMBatch(jobs)
			for i, j := range jobs {
				if !j.OK || !bytes.Equal(j.Dst, plain[:len(j.Dst)]) {
					t.Fatalf("%v: job %d does not open what it sealed", l, i)
				}
			}
			restoreHash()
			restore()
		}
	})
}

// FuzzBatches mixes keys, lengths, profiles and levels: each three bytes of
// shape are a packet, and the seed is all the rest.
func FuzzBatches(f *testing.F) {
	f.Add(uint64(1), []byte("any shape of packets will do here"))
	f.Add(uint64(2), bytes.Repeat([]byte{0, 4, 200}, 70))
	f.Fuzz(func(t *testing.T, seed uint64, shape []byte) {
		shape = shape[:min(len(shape), 3*100)]
		for _, l := range cmLevels() {
			restore, restoreHash := force(l.aes), forceHash(l.hash)
			fuzzBatch(t, rand.New(rand.NewPCG(seed, 0)), shape)
			restoreHash()
			restore()
		}
	})
}

// fuzzKeys are some keys of every profile, and what they were made of.
type fuzzKeys struct {
	raw [4][]byte
	gcm [4]*GCMKey
	cm  [4]*CMKey
}

func bytesOf(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func fuzzBatch(t *testing.T, r *rand.Rand, shape []byte) {
	var k fuzzKeys
	for i := range k.raw {
		k.raw[i] = bytesOf(r, 16+16*(i%2))
		k.gcm[i], k.cm[i] = gcmKey(t, k.raw[i]), cmKey(t, k.raw[i], k.raw[i][:1+i])
	}
	var gcm []GCMJob
	var cm []CMJob
	var gcmPlain, gcmWant, cmPlain, cmWant [][]byte
	for ; len(shape) >= 3; shape = shape[3:] {
		i, n := int(shape[0])%4, int(shape[1])<<8>>4|int(shape[2])
		plain, header := bytesOf(r, n), bytesOf(r, int(shape[0])/3)
		src, iv := bytes.Clone(plain), bytesOf(r, 14)
		if shape[0]&4 == 0 {
			j := GCMJob{Key: k.gcm[i], AAD: header, Src: src, Dst: make([]byte, n+gcmTag)}
			copy(j.Nonce[:], iv)
			gcm, gcmPlain = append(gcm, j), append(gcmPlain, plain)
			gcmWant = append(gcmWant, stdGCM(t, k.raw[i]).Seal(nil, j.Nonce[:], plain, header))
			continue
		}
		j := CMJob{Key: k.cm[i], Header: len(header), Src: src, TagLen: 1 + int(shape[2])%MaxTag, InPacket: shape[0]&8 == 0}
		copy(j.IV[:], iv)
		want := cmPacket(k.raw[i], k.raw[i][:1+i], &j, header, plain)
		j.Dst = make([]byte, len(want))
		copy(j.Dst, header)
		cm, cmPlain, cmWant = append(cm, j), append(cmPlain, plain), append(cmWant, want)
	}
	SealBatch(gcm)
	SealCMBatch(cm)
	for i := range gcm {
		j := &gcm[i]
		if !j.OK || !bytes.Equal(j.Dst, gcmWant[i]) {
			t.Fatalf("%v: GCM job %d of %d: sealed wrongly", active, i, len(gcm))
		}
		j.Src, j.Dst = j.Dst, j.Dst[:len(gcmPlain[i])]
		if i%7 == 3 {
			j.Src[r.IntN(len(j.Src))] ^= 1 << r.IntN(8)
		}
	}
	for i := range cm {
		j := &cm[i]
		if !j.OK || !bytes.Equal(j.Dst, cmWant[i]) {
			t.Fatalf("%v %v: CM job %d of %d: sealed wrongly", active, HashLevel(), i, len(cm))
		}
		j.Src, j.Dst = j.Dst, j.Dst[j.Header:j.Header+len(cmPlain[i])]
		if i%7 == 3 && j.Header+len(j.Dst) > 0 && j.TagLen > 4 {
			j.Src[r.IntN(j.Header+len(j.Dst))] ^= 1 << r.IntN(8)
		}
	}
	OpenBatch(gcm)
	OpenCMBatch(cm)
	for i, j := range gcm {
		if forged := i%7 == 3; j.OK == forged || !forged && !bytes.Equal(j.Dst, gcmPlain[i]) {
			t.Fatalf("%v: GCM job %d of %d: opened %v", active, i, len(gcm), j.OK)
		}
	}
	for i, j := range cm {
		forged := i%7 == 3 && j.Header+len(j.Dst) > 0 && j.TagLen > 4
		if j.OK == forged || !forged && !bytes.Equal(j.Dst, cmPlain[i]) {
			t.Fatalf("%v %v: CM job %d of %d: opened %v", active, HashLevel(), i, len(cm), j.OK)
		}
	}
}
