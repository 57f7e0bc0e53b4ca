package dtls

import "crypto/sha512"

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

// prf12 fills out with PRF(secret, label, seed) (RFC 5246 §5) over the hash of size
// bytes.
func prf12(size int, out, secret []byte, label string, seed ...[]byte) {
	var room [2 * sha512.Size]byte
	var seeds [192]byte
	whole := append(seeds[:0], label...)
	for _, s := range seed {
		whole = append(whole, s...)
	}
	a := hmacOf(size, room[:0], secret, whole, nil, nil)
	for {
		var block [sha512.Size]byte
		n := copy(out, hmacOf(size, block[:0], secret, a, whole, nil))
		if out = out[n:]; len(out) == 0 {
			return
		}
		a = hmacOf(size, room[:0], secret, a, nil, nil)
	}
}

// hashOf appends the suite's hash of a transcript to out.
func (s *suite12) hashOf(out, transcript []byte) []byte {
	d := digestOf(s.hashLen, transcript)
	return append(out, d[:s.hashLen]...)
}

// finished12 computes verify_data (RFC 5246 §7.4.9) in room.
func (s *suite12) finished12(room, master []byte, label string, transcript []byte) []byte {
	var sum [sha512.Size]byte
	out := room[:verifyLen]
	prf12(s.hashLen, out, master, label, s.hashOf(sum[:0], transcript))
	return out
}

// keys12 expands the key block (RFC 5246 §6.3; AEAD suites have no MAC keys) and
// makes the record layer of one side.
func (s *suite12) keys12(role Role, master, clientRandom, serverRandom []byte) (*Records, error) {
	var room [2*32 + 2*ivLen]byte
	block := room[:2*s.keyLen+2*s.ivLen]
	prf12(s.hashLen, block, master, labelKeys, serverRandom, clientRandom)
	defer clear(block)
	client, server := block[:s.keyLen], block[s.keyLen:2*s.keyLen]
	ivs := block[2*s.keyLen:]
	clientIV, serverIV := ivs[:s.ivLen], ivs[s.ivLen:]
	if role == Client {
		return newRecords12(s.chacha, client, server, clientIV, serverIV)
	}
	return newRecords12(s.chacha, server, client, serverIV, clientIV)
}
