package crypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"reflect"
	"testing"

	"github.com/sluicertc/sluice/internal/vectors"
)

func cmKey(t testing.TB, enc, auth []byte) *CMKey {
	t.Helper()
	k, err := NewCMKey(enc, auth)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// cmPacket is the packet a job should make, by the standard library.
func cmPacket(enc, auth []byte, j *CMJob, header, plain []byte) []byte {
	block, _ := aes.NewCipher(enc)
	p := append(bytes.Clone(header), plain...)
	cipher.NewCTR(block, j.IV[:]).XORKeyStream(p[len(header):], plain)
	mac := hmac.New(sha1.New, auth)
	mac.Write(p)
	mac.Write(j.Trailer[:])
	if j.InPacket {
		p = append(p, j.Trailer[:]...)
	}
	return append(p, mac.Sum(nil)[:j.TagLen]...)
}

// RFC 3711 §B.2.
func TestCMKeystreamOfRFC3711(t *testing.T) {
	k := cmKey(t, vectors.Hex(t, "2B7E151628AED2A6ABF7158809CF4F3C"), []byte{1})
	var iv [16]byte
	copy(iv[:], vectors.Hex(t, "F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000"))
	out := make([]byte, 0xff02*16)
	k.xorKeyStream(out, out, &iv)
	for _, v := range []struct {
		block int
		want  string
	}{
		{0, "E03EAD0935C95E80E166B16DD92B4EB4"},
		{1, "D23513162B02D0F72A43A2FE4A5F97AB"},
		{2, "41E95B3BB0A2E8DD477901E4FCA894C0"},
		{0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"},
		{0xff00, "362B7C3C6773516318A077D7FC5073AE"},
		{0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"},
	} {
		if got := out[v.block*16 : v.block*16+16]; !bytes.Equal(got, vectors.Hex(t, v.want)) {
			t.Errorf("block %#x: %x, want %s", v.block, got, v.want)
		}
	}
}

// TestCMEveryLength seals and opens one batch of all lengths, in place and
// apart, with and without trailer, against the standard library.
func TestCMEveryLength(t *testing.T) {
	for _, size := range []int{16, 32} {
		enc, auth := random(1, size), random(2, 20)
		key := cmKey(t, enc, auth)
		var jobs []CMJob
		var want, plain [][]byte
		for n := 0; n <= 2100; n++ {
			header, p := random(3, 12+n%73), random(4, n)
			j := CMJob{Key: key, Header: len(header), TagLen: []int{10, 4, 20, 1}[n%4], InPacket: n%3 == 0}
			copy(j.IV[:], random(5, 14))
			j.IV[0], j.IV[1] = byte(n), byte(n>>8)
			copy(j.Trailer[:], random(6, 4))
			w := cmPacket(enc, auth, &j, header, p)
			want, plain = append(want, w), append(plain, p)
			j.Dst = make([]byte, len(w))
			copy(j.Dst, header)
			if j.Src = p; n%2 == 0 {
				j.Src = j.Dst[len(header) : len(header)+n]
				copy(j.Src, p)
			}
			jobs = append(jobs, j)
		}
		SealCMBatch(jobs)
		for n := range jobs {
			j := &jobs[n]
			if !j.OK || !bytes.Equal(j.Dst, want[n]) {
				t.Fatalf("key %d, length %d: sealed differs", size, n)
			}
			j.Src = j.Dst
			if j.Dst = make([]byte, n); n%4 < 2 {
				j.Dst = j.Src[j.Header : j.Header+n]
			}
		}
		OpenCMBatch(jobs)
		for n, j := range jobs {
			if !j.OK || !bytes.Equal(j.Dst, plain[n]) {
				t.Fatalf("key %d, length %d: opened differs", size, n)
			}
		}
	}
}

// In a fan-out many keys seal one payload, which stays as it is.
func TestCMSharedPayload(t *testing.T) {
	plain := random(1, 1200)
	shared := bytes.Clone(plain)
	var jobs []CMJob
	for i := range 8 {
		enc, auth := random(uint64(i), 16), random(uint64(i), 20)
		jobs = append(jobs, CMJob{Key: cmKey(t, enc, auth), Header: 12, TagLen: 10, Src: shared, Dst: make([]byte, 1222)})
	}
	SealCMBatch(jobs)
	for i := range jobs {
		enc, auth := random(uint64(i), 16), random(uint64(i), 20)
		if !bytes.Equal(jobs[i].Dst, cmPacket(enc, auth, &jobs[i], make([]byte, 12), plain)) {
			t.Errorf("leg %d differs", i)
		}
	}
	if !bytes.Equal(shared, plain) {
		t.Error("the shared payload was written")
	}
}

func TestCMFlippedBitTouchesNothing(t *testing.T) {
	key := cmKey(t, random(1, 16), random(2, 20))
	const header, n = 12, 24
	plain := random(3, n)
	for _, inPacket := range []bool{false, true} {
		good := []CMJob{{Key: key, Header: header, TagLen: 10, InPacket: inPacket, Src: plain, Trailer: [4]byte{1, 2, 3, 4}}}
		good[0].Dst = make([]byte, header+n+good[0].trailer()+10)
		SealCMBatch(good)
		for bit := range 8 * len(good[0].Dst) {
			bad := bytes.Clone(good[0].Dst)
			bad[bit/8] ^= 1 << (bit % 8)
			job := good[0]
			job.Src, job.Dst = bad, bad[header:header+n]
			if inPacket { // as the caller of SRTCP does
				copy(job.Trailer[:], bad[header+n:])
			}
			before, jobs := bytes.Clone(bad), []CMJob{job}
			OpenCMBatch(jobs)
			if jobs[0].OK || !bytes.Equal(bad, before) {
				t.Fatalf("bit %d, trailer %v: OK %v", bit, inPacket, jobs[0].OK)
			}
		}
		job := good[0]
		job.Src, job.Dst = good[0].Dst, make([]byte, n)
		job.Trailer[3] ^= 1
		jobs := []CMJob{job}
		if OpenCMBatch(jobs); jobs[0].OK {
			t.Error("a wrong trailer is accepted")
		}
	}
}

func TestCMKeySizes(t *testing.T) {
	for n := range 80 {
		_, err := NewCMKey(make([]byte, n), make([]byte, 20))
		if ok := n == 16 || n == 32; ok != (err == nil) {
			t.Errorf("encryption key of %d bytes: %v", n, err)
		}
		_, err = NewCMKey(make([]byte, 16), make([]byte, n))
		if ok := n >= 1 && n <= 64; ok != (err == nil) {
			t.Errorf("authentication key of %d bytes: %v", n, err)
		}
	}
}

func TestCMWrongLengthsPanic(t *testing.T) {
	key := cmKey(t, make([]byte, 16), make([]byte, 20))
	for name, j := range map[string]CMJob{
		"short": {Key: key, Header: 12, TagLen: 10, Src: make([]byte, 4), Dst: make([]byte, 25)},
		"tag 0": {Key: key, Header: 12, TagLen: 0, Src: make([]byte, 4), Dst: make([]byte, 16)},
		"tag":   {Key: key, Header: 12, TagLen: 21, Src: make([]byte, 4), Dst: make([]byte, 37)},
		"minus": {Key: key, Header: -1, TagLen: 10, Src: make([]byte, 4), Dst: make([]byte, 13)},
		"long":  {Key: key, TagLen: 10, Src: make([]byte, MaxPayload+1), Dst: make([]byte, MaxPayload+11)},
	} {
		mustPanic(t, name, func() { SealCMBatch([]CMJob{j}) })
		j.Src, j.Dst = j.Dst, j.Src
		mustPanic(t, name, func() { OpenCMBatch([]CMJob{j}) })
	}
}

func TestCMClearZeroesTheKey(t *testing.T) {
	k := cmKey(t, random(1, 16), random(2, 20))
	k.mac([]byte("leave"), []byte("a trace"))
	block, sha, inner, outer := reflect.ValueOf(k.block).Elem(), reflect.ValueOf(k.sha).Elem(), k.inner, k.outer
	if block.IsZero() || sha.IsZero() {
		t.Fatal("key is zero before Clear")
	}
	k.Clear()
	zero := make([]byte, len(inner))
	if !block.IsZero() || !sha.IsZero() || !bytes.Equal(inner, zero) || !bytes.Equal(outer, zero) || !reflect.ValueOf(*k).IsZero() {
		t.Error("something of the key is left after Clear")
	}
	mustPanic(t, "use after Clear", func() { SealCMBatch([]CMJob{{Key: k, TagLen: 10, Dst: make([]byte, 10)}}) })
}

func TestCMAllocatesNothing(t *testing.T) {
	key := cmKey(t, random(1, 16), random(2, 20))
	buf := make([]byte, 1222)
	jobs := make([]CMJob, 4)
	if n := testing.AllocsPerRun(100, func() {
		for i := range jobs {
			jobs[i] = CMJob{Key: key, Header: 12, TagLen: 10, Src: buf[12:1212], Dst: buf}
		}
		SealCMBatch(jobs)
		for i := range jobs {
			jobs[i].Src, jobs[i].Dst = buf, buf[12:1212]
		}
		OpenCMBatch(jobs)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
