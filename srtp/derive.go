package srtp

import (
	"crypto/aes"
	"crypto/cipher"
)

// Labels of the session keys (RFC 3711 §4.3.2); SRTCP's are 3 higher.
const (
	labelEncryption = 0
	labelAuth       = 1
	labelSalt       = 2
	labelRTCP       = 3
)

const cmSaltLen = 14 // RFC 3711 §8.2

// derive fills out with the session key of the label (RFC 3711 §4.3.1, with a
// key derivation rate of zero): the keystream of AES-CM under the master key
// from (salt xor label*2^48) * 2^16 on. A salt of 12 bytes counts as the left
// part of one of 14 (RFC 7714 §11).
func derive(master cipher.Block, salt []byte, label byte, out []byte) {
	var iv [aes.BlockSize]byte
	copy(iv[:cmSaltLen], salt)
	iv[7] ^= label
	for n := 0; n < len(out); iv[aes.BlockSize-1]++ {
		var block [aes.BlockSize]byte
		master.Encrypt(block[:], iv[:])
		n += copy(out[n:], block[:])
		clear(block[:])
	}
}
