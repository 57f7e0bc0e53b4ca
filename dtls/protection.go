package dtls

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	aead "github.com/sluicertc/sluice/crypto"
	"golang.org/x/crypto/chacha20"
	"golang.org/x/crypto/chacha20poly1305"
)

const (
	tagLen   = 16
	ivLen    = 12
	nonceLen = 8 // explicit, of AES-GCM in DTLS 1.2
)

// protection is one direction of one epoch: its keys and counters. Either gcm or
// chacha is set.
type protection struct {
	gcm    *aead.GCMKey
	chacha cipher.AEAD
	iv     [ivLen]byte // AES-GCM in DTLS 1.2: four bytes, the rest is explicit
	epoch  uint16

	next   uint64 // sealing: the next sequence number
	blocks uint64 // sealing: blocks of 16 bytes, for maxSealBlocks
	window replayWindow

	// Only in DTLS 1.3.
	suite  *suite13
	secret []byte // traffic secret
	mask   numberMask
}

// init makes the keys of one direction ready. It keeps no reference to key and iv.
func (p *protection) init(chacha bool, epoch uint16, key, iv []byte) (err error) {
	*p = protection{epoch: epoch}
	copy(p.iv[:], iv)
	if chacha {
		p.chacha, err = chacha20poly1305.New(key)
	} else {
		p.gcm, err = aead.NewGCMKey(key)
	}
	return err
}

// nonce is the IV with a number XORed into its last eight bytes (RFC 7905 §2, RFC
// 9147 §4.2.2 with RFC 8446 §5.3).
func (p *protection) nonce(number uint64) (n [ivLen]byte) {
	n = p.iv
	tail := n[ivLen-8:]
	binary.BigEndian.PutUint64(tail, binary.BigEndian.Uint64(tail)^number)
	return n
}

// spend takes a sequence number for a plaintext of n bytes.
func (p *protection) spend(n int) (seq uint64, err error) {
	blocks := uint64(n+15)/16 + 1
	if p.next > maxSequence || p.gcm != nil && p.blocks+blocks > maxSealBlocks {
		return 0, ErrKeyExhausted
	}
	p.blocks += blocks
	p.next++
	return p.next - 1, nil
}

func (p *protection) exhausted() bool {
	return p.next > maxSequence || p.gcm != nil && p.blocks > maxSealBlocks
}

// sealSlow and openSlow do a job of the AEAD that crypto has no kernel for.
func (p *protection) sealSlow(job *aead.GCMJob) {
	p.chacha.Seal(job.Dst[:0], job.Nonce[:], job.Src, job.AAD)
	job.OK = true
}

func (p *protection) openSlow(job *aead.GCMJob) {
	_, err := p.chacha.Open(job.Dst[:0], job.Nonce[:], job.Src, job.AAD)
	job.OK = err == nil
}

// numberMask hides sequence numbers (RFC 9147 §4.2.3). It belongs to one
// direction of one epoch; out is scratch that would otherwise escape.
type numberMask struct {
	block  cipher.Block // AES
	chacha []byte       // ChaCha20's key
	out    [aes.BlockSize]byte
}

func newNumberMask(chacha bool, key []byte) (m numberMask, err error) {
	if chacha {
		m.chacha = key
		return m, nil
	}
	m.block, err = aes.NewCipher(key)
	return m, err
}

// apply XORs the mask of a ciphertext of at least 16 bytes into number.
func (m *numberMask) apply(number, ciphertext []byte) {
	sample := ciphertext[:aes.BlockSize]
	if m.block != nil {
		m.block.Encrypt(m.out[:], sample)
	} else {
		clear(m.out[:])
		c, err := chacha20.NewUnauthenticatedCipher(m.chacha, sample[4:])
		if err != nil {
			panic("dtls: record number key of a wrong length")
		}
		c.SetCounter(binary.LittleEndian.Uint32(sample))
		c.XORKeyStream(m.out[:], m.out[:])
	}
	for i := range number {
		number[i] ^= m.out[i]
	}
}
