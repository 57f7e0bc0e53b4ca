package crypto

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
)

func sealCMGeneric(j *CMJob) {
	j.Key.xorKeyStream(j.Dst[j.Header:j.Header+len(j.Src)], j.Src, &j.IV)
	j.sealTag()
}

// sealTag writes what follows the ciphertext.
func (j *CMJob) sealTag() {
	end := j.Header + len(j.Src)
	tag := end
	if j.InPacket {
		tag += copy(j.Dst[end:], j.Trailer[:])
	}
	copy(j.Dst[tag:], j.Key.mac(j.Dst[:end], j.Trailer[:]))
	j.OK = true
}

func openCMGeneric(j *CMJob) {
	if j.openTag(); j.OK {
		j.Key.xorKeyStream(j.Dst, j.Src[j.Header:j.Header+len(j.Dst)], &j.IV)
	}
}

// openTag sets OK to whether the tag is right.
func (j *CMJob) openTag() {
	end := j.Header + len(j.Dst)
	tag := j.Src[end+j.trailer():]
	sum := j.Key.mac(j.Src[:end], j.Trailer[:])
	j.OK = subtle.ConstantTimeCompare(sum[:j.TagLen], tag) == 1
}

// mac is HMAC-SHA1 over a and b. The result lives in the key, until the next.
func (k *CMKey) mac(a, b []byte) []byte {
	k.resume(k.inner)
	k.sha.Write(a)
	k.sha.Write(b)
	sum := k.sha.Sum(k.sum[:0])
	k.resume(k.outer)
	k.sha.Write(sum)
	return k.sha.Sum(k.sum[:0])
}

// resume takes up a state saved by padState.
func (k *CMKey) resume(state []byte) {
	if err := k.restore.UnmarshalBinary(state); err != nil {
		panic("crypto: SHA-1 does not take its own state back")
	}
}

// xorKeyStream is counter mode from iv on (NIST SP 800-38A §6.5) without the
// allocation of cipher.NewCTR.
func (k *CMKey) xorKeyStream(dst, src []byte, iv *[16]byte) {
	hi, lo := binary.BigEndian.Uint64(iv[:8]), binary.BigEndian.Uint64(iv[8:])
	for len(src) > 0 {
		n := min(len(src), len(k.stream))
		for i := 0; i < n; i += blockSize {
			b := k.stream[i : i+blockSize]
			binary.BigEndian.PutUint64(b, hi)
			binary.BigEndian.PutUint64(b[8:], lo)
			k.block.Encrypt(b, b)
			lo++ // cannot carry: see CMJob.IV and MaxPayload
		}
		subtle.XORBytes(dst[:n], src[:n], k.stream[:n])
		dst, src = dst[n:], src[n:]
	}
}

// The tag of a CMJob is cut from a whole sum.
var _ [MaxTag]byte = [sha1.Size]byte{}
