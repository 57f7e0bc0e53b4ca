package crypto

import (
	"crypto/aes"
	"crypto/cipher"
)

// GCMKey is an AES-128 or AES-256 key made ready for GCM (NIST SP 800-38D)
// with 12-byte nonces and 16-byte tags. It is immutable until Clear.
type GCMKey struct {
	aead cipher.AEAD
}

// NewGCMKey expands key, 16 or 32 bytes; other lengths give ErrKeySize. It
// keeps no reference to key.
func NewGCMKey(key []byte) (*GCMKey, error) {
	if len(key) != 16 && len(key) != 32 {
		return nil, ErrKeySize
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	defer Wipe(block) // NewGCM copies the expanded key
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &GCMKey{aead: aead}, nil
}

// Clear zeroes the key. A job that uses it afterwards panics.
func (k *GCMKey) Clear() {
	Wipe(k.aead)
	k.aead = nil
}

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

// SealBatch seals every job and sets its OK. It allocates nothing.
func SealBatch(jobs []GCMJob) {
	for i := range jobs {
		j := &jobs[i]
		if len(j.Dst) != len(j.Src)+gcmTag {
			panic("crypto: GCM seal: len(Dst) is not len(Src)+16")
		}
		sealGCMGeneric(j)
	}
}

// OpenBatch opens every job and sets its OK: whether the tag, compared in
// constant time, was right. It allocates nothing.
func OpenBatch(jobs []GCMJob) {
	for i := range jobs {
		j := &jobs[i]
		if len(j.Src) < gcmTag || len(j.Dst) != len(j.Src)-gcmTag {
			panic("crypto: GCM open: len(Dst) is not len(Src)-16")
		}
		openGCMGeneric(j)
	}
}
