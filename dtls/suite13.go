package dtls

import (
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"slices"
)

// Cipher suites of DTLS 1.3 (RFC 8446 §B.4).
const (
	AES128_GCM_SHA256        uint16 = 0x1301
	AES256_GCM_SHA384        uint16 = 0x1302
	CHACHA20_POLY1305_SHA256 uint16 = 0x1303
)

// Epochs of DTLS 1.3 (RFC 9147 §6.1). maxEpoch bounds key updates: at one each
// round trip of 10 ms they last for ten minutes, at one each 2^34 blocks forever.
const (
	epochHandshake uint16 = 2
	epochTraffic   uint16 = 3
	maxEpoch              = 1<<16 - 1
)

// suite13 is what a cipher suite of DTLS 1.3 means. Immutable.
type suite13 struct {
	id      uint16
	chacha  bool
	keyLen  int // bytes
	hashLen int // bytes
	hash    func() hash.Hash
	prefix  string // of HKDF labels (RFC 9147 §5.9)
}

const prefix13 = "dtls13"

// allSuites are those of both versions in order of preference. They are not to be
// changed.
var allSuites = func() (ids []uint16) {
	for i := range suites13 {
		ids = append(ids, suites13[i].id)
	}
	for i := range suites12 {
		ids = append(ids, suites12[i].id)
	}
	return ids
}()

// suites13 are in order of preference.
var suites13 = [...]suite13{
	{AES128_GCM_SHA256, false, 16, 32, newSHA256, prefix13},
	{AES256_GCM_SHA384, false, 32, 48, sha512.New384, prefix13},
	{CHACHA20_POLY1305_SHA256, true, 32, 32, newSHA256, prefix13},
}

// SuiteName returns the registered name of a cipher suite that is spoken, else
// "unknown".
func SuiteName(id uint16) string {
	names := map[uint16]string{
		AES128_GCM_SHA256:                    "TLS_AES_128_GCM_SHA256",
		AES256_GCM_SHA384:                    "TLS_AES_256_GCM_SHA384",
		CHACHA20_POLY1305_SHA256:             "TLS_CHACHA20_POLY1305_SHA256",
		ECDHE_ECDSA_AES128_GCM_SHA256:        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
		ECDHE_ECDSA_AES256_GCM_SHA384:        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
		ECDHE_RSA_AES128_GCM_SHA256:          "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		ECDHE_RSA_AES256_GCM_SHA384:          "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
		ECDHE_RSA_CHACHA20_POLY1305_SHA256:   "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
		ECDHE_ECDSA_CHACHA20_POLY1305_SHA256: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
	}
	if name, ok := names[id]; ok {
		return name
	}
	return "unknown"
}

// suite13ByID returns nil for a suite that is not ours.
func suite13ByID(id uint16) *suite13 {
	for i := range suites13 {
		if suites13[i].id == id {
			return &suites13[i]
		}
	}
	return nil
}

// suite13For picks the first of ours that is offered, nil if there is none.
func suite13For(ours, offered []uint16) *suite13 {
	for _, id := range ours {
		if s := suite13ByID(id); s != nil && slices.Contains(offered, id) {
			return s
		}
	}
	return nil
}

// digestOf is the hash of size bytes of b, in the first size bytes.
func digestOf(size int, b []byte) (d [sha512.Size]byte) {
	if size == sha512.Size384 {
		sum := sha512.Sum384(b)
		copy(d[:], sum[:])
	} else {
		sum := sumSHA256(b)
		copy(d[:], sum[:])
	}
	return d
}

// hmacOf appends HMAC(key, a, b, c) to out. Keys are no longer than a block. It is
// written out because a handshake makes a hundred of them, of a block or two.
func hmacOf(size int, out, key, a, b, c []byte) []byte {
	block := 64
	if size == sha512.Size384 {
		block = 128
	}
	var scratch [512]byte
	p := scratch[:block]
	copy(p, key)
	for i := range p {
		p[i] ^= 0x36
	}
	inner := digestOf(size, append(append(append(p, a...), b...), c...))
	for i := range p {
		p[i] ^= 0x36 ^ 0x5c
	}
	outer := digestOf(size, append(p, inner[:size]...))
	return append(out, outer[:size]...)
}

func (s *suite13) mac(out, key, a, b, c []byte) []byte { return hmacOf(s.hashLen, out, key, a, b, c) }

// expand is HKDF-Expand-Label (RFC 8446 §7.1, RFC 5869 §2.3) with the prefix of
// DTLS. n is at most 255 hashes; see maxExport.
func (s *suite13) expand(secret []byte, label string, context []byte, n int) []byte {
	out := make([]byte, n)
	s.expandTo(out, secret, label, context)
	return out
}

// expandTo fills out with it.
func (s *suite13) expandTo(out, secret []byte, label string, context []byte) {
	n := len(out)
	var room [2 + 1 + 255 + 1 + 64]byte
	info := binary.BigEndian.AppendUint16(room[:0], uint16(n))
	info = append(info, byte(len(s.prefix)+len(label)))
	info = append(append(info, s.prefix...), label...)
	info = appendVec8(info, context)
	var block [sha512.Size]byte
	var last []byte
	for i := byte(1); len(out) > 0; i++ {
		last = s.mac(block[:0], secret, last, info, []byte{i})
		out = out[copy(out, last):]
	}
}

// derive is Derive-Secret; transcript is a hash.
func (s *suite13) derive(secret []byte, label string, transcript []byte) []byte {
	return s.expand(secret, label, transcript, s.hashLen)
}

// extract is HKDF-Extract (RFC 5869 §2.2).
func (s *suite13) extract(salt, secret []byte) []byte {
	return s.mac(make([]byte, 0, s.hashLen), salt, secret, nil, nil)
}

// sum hashes the concatenation of its arguments.
func (s *suite13) sum(parts ...[]byte) []byte {
	h := s.hash()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// handshakeSecret mixes the key agreement in; without a PSK what comes before is
// all zeros (RFC 8446 §7.1).
func (s *suite13) handshakeSecret(shared []byte) []byte {
	var zero [sha512.Size]byte
	early := s.extract(zero[:s.hashLen], zero[:s.hashLen])
	return s.extract(s.derived(early), shared)
}

func (s *suite13) masterSecret(handshake []byte) []byte {
	var zero [sha512.Size]byte
	return s.extract(s.derived(handshake), zero[:s.hashLen])
}

// derived is what leads from one secret of the schedule to the next.
func (s *suite13) derived(secret []byte) []byte {
	empty := digestOf(s.hashLen, nil)
	return s.derive(secret, "derived", empty[:s.hashLen])
}

// finished computes verify_data over a transcript hash (RFC 8446 §4.4.4).
func (s *suite13) finished(traffic, transcript []byte) []byte {
	var key [sha512.Size]byte
	s.expandTo(key[:s.hashLen], traffic, "finished", nil)
	return s.mac(make([]byte, 0, s.hashLen), key[:s.hashLen], transcript, nil, nil)
}

// export is RFC 8446 §7.5.
func (s *suite13) export(master []byte, label string, context []byte, n int) []byte {
	return s.expand(s.derive(master, label, s.sum()), "exporter", s.sum(context), n)
}

// protect makes the keys of a traffic secret (RFC 8446 §7.3, RFC 9147 §4.2.3).
func (s *suite13) protect(p *protection, epoch uint16, secret []byte) (err error) {
	room := make([]byte, 2*s.keyLen+ivLen)
	key, iv, sn := room[:s.keyLen], room[s.keyLen:s.keyLen+ivLen], room[s.keyLen+ivLen:]
	s.expandTo(key, secret, "key", nil)
	s.expandTo(iv, secret, "iv", nil)
	s.expandTo(sn, secret, "sn", nil)
	err = p.init(s.chacha, epoch, key, iv)
	clear(key)
	if err != nil {
		return err
	}
	p.suite, p.secret = s, secret
	p.mask, err = newNumberMask(s.chacha, sn)
	return err
}

// chill gives up what can be made from the secret; thaw makes it again.
func (p *protection) chill() { p.gcm, p.chacha, p.mask = nil, nil, numberMask{} }

func (p *protection) thaw() error {
	if p.gcm != nil || p.chacha != nil {
		return nil
	}
	var warm protection
	if err := p.suite.protect(&warm, p.epoch, p.secret); err != nil {
		return err
	}
	p.gcm, p.chacha, p.mask = warm.gcm, warm.chacha, warm.mask
	return nil
}

// update makes the keys of the next epoch (RFC 8446 §7.2).
func (p *protection) update() (*protection, error) {
	if p.epoch == maxEpoch {
		return nil, ErrKeyExhausted
	}
	next := new(protection)
	return next, p.suite.protect(next, p.epoch+1, p.suite.derive(p.secret, "traffic upd", nil))
}
