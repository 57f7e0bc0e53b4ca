package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding"
	"hash"
)

// CMKey is an AES key for counter mode together with an HMAC-SHA1 key, whose
// hash states after ipad and opad are computed once (RFC 2104 §4). It holds
// scratch space: one goroutine at a time may use it.
type CMKey struct {
	table cmTable // first: the kernels find it there
	block cipher.Block

	sha          hash.Hash
	restore      encoding.BinaryUnmarshaler // sha again
	inner, outer []byte                     // marshalled states of sha

	sum    [sha1.Size]byte
	stream [8 * blockSize]byte
}

// NewCMKey expands enc, 16 or 32 bytes, and auth, 1 to 64 bytes; other lengths
// give ErrKeySize. It keeps no reference to either.
func NewCMKey(enc, auth []byte) (*CMKey, error) {
	if (len(enc) != 16 && len(enc) != 32) || len(auth) == 0 || len(auth) > sha1.BlockSize {
		return nil, ErrKeySize
	}
	block, err := aes.NewCipher(enc)
	if err != nil {
		return nil, err
	}
	k := &CMKey{block: block, sha: sha1.New()}
	k.restore = k.sha.(encoding.BinaryUnmarshaler)
	if k.inner, err = k.padState(auth, 0x36); err != nil {
		return nil, err
	}
	if k.outer, err = k.padState(auth, 0x5c); err != nil {
		return nil, err
	}
	k.table.expand(enc, auth)
	return k, nil
}

// padState is the state of SHA-1 after one block of auth xor pad.
func (k *CMKey) padState(auth []byte, pad byte) ([]byte, error) {
	var b [sha1.BlockSize]byte
	copy(b[:], auth)
	for i := range b {
		b[i] ^= pad
	}
	k.sha.Reset()
	k.sha.Write(b[:])
	clear(b[:])
	return k.sha.(encoding.BinaryMarshaler).MarshalBinary()
}

// Clear zeroes the key and all that was computed from it. A job that uses it
// afterwards panics.
func (k *CMKey) Clear() {
	Wipe(k.block)
	Wipe(k.sha)
	clear(k.inner)
	clear(k.outer)
	*k = CMKey{}
}

// cleared looks first at what the kernels are about to read.
func (k *CMKey) cleared() bool { return !k.table.ready() && k.block == nil }

// CMJob is one packet to seal or to open. On one side stands the packet,
//
//	header | ciphertext | trailer, where InPacket | tag
//
// and on the other its payload, the plaintext alone. The tag is the first
// TagLen bytes of HMAC-SHA1 over header, ciphertext and Trailer. SRTP leaves
// InPacket false: its trailer is the rollover counter, which is authenticated
// and not sent (RFC 3711 §4.2). SRTCP sets it: its trailer is the E flag with
// the index (RFC 3711 §3.4).
//
// Sealing: Dst is the packet, whose first Header bytes the caller has written,
// and Src is the payload, perhaps shared with other jobs; it is only read.
// Opening: Src is the packet, Dst receives the payload, and the caller copies
// the header if it wants it. The payload starts at the same address as the
// packet's ciphertext, or is disjoint from the packet.
//
// OK is written by the call. Where it is false Dst is untouched.
type CMJob struct {
	Key *CMKey
	// IV is the first counter block. Its last two bytes count the blocks
	// and are zero (RFC 3711 §4.1.1).
	IV       [16]byte
	Dst, Src []byte
	Header   int // bytes of the packet that are authenticated only
	Trailer  [4]byte
	InPacket bool
	TagLen   int // 1 to MaxTag
	OK       bool
}

// SealCMBatch encrypts and authenticates every job and sets its OK. It
// allocates nothing.
func SealCMBatch(jobs []CMJob) {
	for len(jobs) > 0 {
		n := 0
		for n < len(jobs) && jobs[n].check(len(jobs[n].Dst), len(jobs[n].Src)) {
			n++
		}
		if n > 0 {
			sealCMKernel(jobs[:n])
		}
		if n < len(jobs) {
			sealCMGeneric(&jobs[n])
			n++
		}
		jobs = jobs[n:]
	}
}

// OpenCMBatch verifies every job's tag in constant time, sets its OK and, only
// where the tag was right, decrypts. It allocates nothing.
func OpenCMBatch(jobs []CMJob) {
	for len(jobs) > 0 {
		n := 0
		for n < len(jobs) && jobs[n].check(len(jobs[n].Src), len(jobs[n].Dst)) {
			n++
		}
		if n > 0 {
			openCMKernel(jobs[:n])
		}
		if n < len(jobs) {
			openCMGeneric(&jobs[n])
			n++
		}
		jobs = jobs[n:]
	}
}

// check panics unless the lengths of packet and payload agree, and reports
// whether the kernels take the job.
func (j *CMJob) check(packet, payload int) bool {
	if j.TagLen < 1 || j.TagLen > MaxTag || j.Header < 0 || payload > MaxPayload ||
		packet != j.Header+payload+j.trailer()+j.TagLen {
		panic("crypto: CM job: lengths of packet and payload disagree")
	}
	if j.Key.cleared() {
		panic("crypto: CM key was cleared")
	}
	return cmKernelTakes(payload)
}

// trailer is the length of the trailer within the packet.
func (j *CMJob) trailer() int {
	if j.InPacket {
		return len(j.Trailer)
	}
	return 0
}
