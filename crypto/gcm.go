package crypto

import (
	"crypto/aes"
	"crypto/cipher"
)

// GCMKey is an AES-128 or AES-256 key made ready for GCM (NIST SP 800-38D)
// with 12-byte nonces and 16-byte tags. One goroutine at a time may use it.
type GCMKey struct {
	table gcmTable    // first: the kernels find it there
	aead  cipher.AEAD // see std
}

// NewGCMKey expands key, 16 or 32 bytes; other lengths give ErrKeySize. It
// keeps no reference to key.
func NewGCMKey(key []byte) (*GCMKey, error) {
	if len(key) != 16 && len(key) != 32 {
		return nil, ErrKeySize
	}
	k := new(GCMKey)
	k.table.expand(key)
	if !k.table.ready() {
		k.aead = newGCM(key)
	}
	return k, nil
}

// std is the key for what the kernels do not take, which few keys ever see: it
// weighs as much as the table.
func (k *GCMKey) std() cipher.AEAD {
	if k.aead == nil {
		key, n := k.table.key()
		k.aead = newGCM(key[:n])
		clear(key[:])
	}
	return k.aead
}

func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the length was checked
	}
	defer Wipe(block) // NewGCM copies the expanded key
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has the right block size
	}
	return aead
}

// Clear zeroes the key. A job that uses it afterwards panics.
func (k *GCMKey) Clear() {
	Wipe(k.aead)
	*k = GCMKey{}
}

// cleared looks first at what the kernels are about to read.
func (k *GCMKey) cleared() bool { return !k.table.ready() && k.aead == nil }

// GCMJob is one packet to seal or to open.
//
// Sealing reads Src, the plaintext, and writes ciphertext and tag to Dst, so
// len(Dst) is len(Src)+16. Opening reads ciphertext and tag from Src and
// writes the plaintext to Dst, so len(Dst) is len(Src)-16. Dst and Src start
// at the same address or are disjoint; AAD overlaps Dst nowhere.
//
// OK is written by the call. Where it is false Dst holds no plaintext: either
// zeros or what it held before.
type GCMJob struct {
	Key           *GCMKey
	Nonce         [12]byte
	Dst, Src, AAD []byte
	OK            bool
}

// SealBatch seals every job and sets its OK. It allocates nothing, but the
// first time that a key has a job which the kernels do not take.
func SealBatch(jobs []GCMJob) {
	for len(jobs) > 0 {
		n := 0
		for n < len(jobs) && jobs[n].sealable() {
			n++
		}
		if n > 0 {
			sealGCMKernel(jobs[:n])
		}
		if n < len(jobs) {
			sealGCMGeneric(&jobs[n])
			n++
		}
		jobs = jobs[n:]
	}
}

// sealable reports whether the kernels take the job. It panics when the job is
// not one.
func (j *GCMJob) sealable() bool {
	if len(j.Dst) != len(j.Src)+gcmTag {
		panic("crypto: GCM seal: len(Dst) is not len(Src)+16")
	}
	if j.Key.cleared() {
		panic("crypto: GCM key was cleared")
	}
	return kernelTakes(len(j.Src), len(j.AAD))
}

// OpenBatch opens every job and sets its OK: whether the tag, compared in
// constant time, was right. It allocates as little as SealBatch.
func OpenBatch(jobs []GCMJob) {
	for len(jobs) > 0 {
		n := 0
		for n < len(jobs) && jobs[n].openable() {
			n++
		}
		if n > 0 {
			openGCMKernel(jobs[:n])
		}
		if n < len(jobs) {
			openGCMGeneric(&jobs[n])
			n++
		}
		jobs = jobs[n:]
	}
}

func (j *GCMJob) openable() bool {
	if len(j.Src) < gcmTag || len(j.Dst) != len(j.Src)-gcmTag {
		panic("crypto: GCM open: len(Dst) is not len(Src)-16")
	}
	if j.Key.cleared() {
		panic("crypto: GCM key was cleared")
	}
	return kernelTakes(len(j.Dst), len(j.AAD))
}
