package dtls

import (
	"crypto/hmac"
	"hash"
)

const (
	masterLen   = 48
	verifyLen   = 12
	randomLen   = 32
	ivLen12     = 4
	labelMaster = "master secret"
	labelEMS    = "extended master secret"
	labelKeys   = "key expansion"
	labelClient = "client finished"
	labelServer = "server finished"
)

// prf12 fills out with PRF(secret, label, seed) (RFC 5246 §5).
func prf12(h func() hash.Hash, out, secret []byte, label string, seed ...[]byte) {
	mac := hmac.New(h, secret)
	write := func() {
		mac.Write([]byte(label))
		for _, s := range seed {
			mac.Write(s)
		}
	}
	write()
	a := mac.Sum(nil)
	for len(out) > 0 {
		mac.Reset()
		mac.Write(a)
		write()
		out = out[copy(out, mac.Sum(nil)):]
		mac.Reset()
		mac.Write(a)
		a = mac.Sum(a[:0])
	}
}

// hashOf is the suite's hash of a transcript.
func (s *suite12) hashOf(transcript []byte) []byte {
	h := s.hash()
	h.Write(transcript)
	return h.Sum(nil)
}

// finished12 computes verify_data (RFC 5246 §7.4.9).
func (s *suite12) finished12(master []byte, label string, transcript []byte) []byte {
	out := make([]byte, verifyLen)
	prf12(s.hash, out, master, label, s.hashOf(transcript))
	return out
}

// keys12 expands the key block (RFC 5246 §6.3; AEAD suites have no MAC keys) and
// makes the record layer of one side.
func (s *suite12) keys12(role Role, master, clientRandom, serverRandom []byte) (*Records, error) {
	block := make([]byte, 2*s.keyLen+2*s.ivLen)
	prf12(s.hash, block, master, labelKeys, serverRandom, clientRandom)
	defer clear(block)
	client, server := block[:s.keyLen], block[s.keyLen:2*s.keyLen]
	ivs := block[2*s.keyLen:]
	clientIV, serverIV := ivs[:s.ivLen], ivs[s.ivLen:]
	if role == Client {
		return newRecords12(s.chacha, client, server, clientIV, serverIV)
	}
	return newRecords12(s.chacha, server, client, serverIV, clientIV)
}
