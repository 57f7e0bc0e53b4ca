package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"

	"github.com/sluicertc/sluice/crypto"
)

// Context is one direction of one transport: the session keys of one master
// key and the state of its sources. It has one owner, on the data lane, and no
// lock. A context that protects must not also unprotect.
type Context struct {
	// What a packet of RTP needs fills the first cache line.
	profile Profile
	closed  bool
	repeats bool
	reshape bool   // has an MKI or Cryptex: packets take the way of reshape.go
	sent    uint64 // RTP packets protected under the key in use
	rtp     session
	streams table // by RTP source

	rtcp     session
	sentRTCP uint64 // the next SRTCP index
	reports  table  // by RTCP sender, received only

	cryptex Cryptex
	mki     []byte   // of the key in use, empty: none
	others  []keySet // keys that are not in use for protecting
	scratch []byte   // of reshape.go

	gcm [1]crypto.GCMJob // scratch of the calls for one packet
	cm  [1]crypto.CMJob
	aad [rtcpHeader + indexLen]byte
}

// session is one set of session keys, of SRTP or of SRTCP.
type session struct {
	gcm            *crypto.GCMKey
	cm             *crypto.CMKey
	saltHi, saltLo uint64 // left-aligned in 16 bytes
	tag            int    // bytes
}

// NewContext derives the session keys (RFC 3711 §4.3, RFC 7714 §11). The
// master key and salt have the profile's KeyLen and SaltLen; it keeps neither.
// The errors are ErrProfile and ErrKeyLen.
func NewContext(p Profile, masterKey, masterSalt []byte) (*Context, error) {
	c := &Context{profile: p}
	var err error
	if c.rtp, c.rtcp, err = newSessions(p, masterKey, masterSalt); err != nil {
		return nil, err
	}
	var seed [8]byte
	rand.Read(seed[:]) // never fails
	c.streams.seed = binary.NativeEndian.Uint64(seed[:]) | 1
	c.reports.seed = c.streams.seed
	return c, nil
}

func newSessions(p Profile, masterKey, masterSalt []byte) (rtp, rtcp session, err error) {
	if !p.Known() {
		return rtp, rtcp, ErrProfile
	}
	if len(masterKey) != p.KeyLen() || len(masterSalt) != p.SaltLen() {
		return rtp, rtcp, ErrKeyLen
	}
	master, err := aes.NewCipher(masterKey)
	if err != nil {
		return rtp, rtcp, err
	}
	defer crypto.Wipe(master)
	if rtp, err = newSession(p, master, masterSalt, 0); err != nil {
		return rtp, rtcp, err
	}
	rtcp, err = newSession(p, master, masterSalt, labelRTCP)
	rtp.tag, rtcp.tag = p.TagLen(), p.TagLenRTCP()
	return rtp, rtcp, err
}

func newSession(p Profile, master cipher.Block, masterSalt []byte, base byte) (s session, err error) {
	var key [32]byte
	var auth [authKeyLen]byte
	var salt [aes.BlockSize]byte
	defer func() { clear(key[:]); clear(auth[:]); clear(salt[:]) }()

	derive(master, masterSalt, base+labelEncryption, key[:p.KeyLen()])
	derive(master, masterSalt, base+labelSalt, salt[:p.SaltLen()])
	s.saltHi, s.saltLo = binary.BigEndian.Uint64(salt[:]), binary.BigEndian.Uint64(salt[8:])
	if p.aead() {
		s.gcm, err = crypto.NewGCMKey(key[:p.KeyLen()])
		return s, err
	}
	derive(master, masterSalt, base+labelAuth, auth[:])
	s.cm, err = crypto.NewCMKey(key[:p.KeyLen()], auth[:])
	return s, err
}

// Profile returns the context's profile.
func (c *Context) Profile() Profile { return c.profile }

// Sources returns how many sources the context keeps state for.
func (c *Context) Sources() int { return c.streams.n + c.reports.n }

// AllowRepeats makes Protect accept an index a second time, and one older than
// Window, with an AEAD profile too. The caller vouches that a repeated sequence
// number of a source carries the same bytes, header extensions included:
// otherwise it gives the authentication key away (RFC 7714 §8.4). AES-CM
// accepts repetitions anyway; there, different payloads under one index betray
// their difference (RFC 3711 §9.1). Retransmission as RFC 4588 has it, with
// numbers of its own, needs neither.
func (c *Context) AllowRepeats() { c.repeats = true }

// Close zeroes the keys and forgets the sources. Every later call gets
// ErrClosed.
func (c *Context) Close() {
	c.rtp.clear()
	c.rtcp.clear()
	for i := range c.others {
		c.others[i].clear()
	}
	clear(c.scratch)
	*c = Context{profile: c.profile, closed: true}
}

func (s *session) clear() {
	if s.gcm != nil {
		s.gcm.Clear()
	}
	if s.cm != nil {
		s.cm.Clear()
	}
	*s = session{}
}

// sealGCM and the three below set up a job. The header, which is authenticated
// as it is, is the first bytes of dst when sealing and of pkt when opening, for
// which dst is as long as the result.
func (s *session) sealGCM(j *crypto.GCMJob, dst []byte, header int, payload []byte, ssrc uint32, index uint64) {
	j.Key = s.gcm
	s.nonce(&j.Nonce, ssrc, index)
	j.AAD, j.Src, j.Dst = dst[:header], payload, dst[header:header+len(payload)+gcmTag]
}

func (s *session) openGCM(j *crypto.GCMJob, dst, pkt []byte, header int, ssrc uint32, index uint64) {
	j.Key = s.gcm
	s.nonce(&j.Nonce, ssrc, index)
	j.AAD, j.Src, j.Dst = pkt[:header], pkt[header:], dst[header:]
}

func (s *session) sealCM(j *crypto.CMJob, dst []byte, header int, payload []byte, ssrc uint32, index uint64) {
	j.Key, j.Header, j.TagLen, j.InPacket = s.cm, header, s.tag, false
	s.iv(&j.IV, ssrc, index)
	// RFC 3711 §4.2: the tag covers the rollover counter.
	binary.BigEndian.PutUint32(j.Trailer[:], uint32(index>>16))
	j.Src, j.Dst = payload, dst[:header+len(payload)+s.tag]
}

func (s *session) openCM(j *crypto.CMJob, dst, pkt []byte, header int, ssrc uint32, index uint64) {
	j.Key, j.Header, j.TagLen, j.InPacket = s.cm, header, s.tag, false
	s.iv(&j.IV, ssrc, index)
	binary.BigEndian.PutUint32(j.Trailer[:], uint32(index>>16))
	j.Src, j.Dst = pkt, dst[header:]
}

// nonce is the IV of AES-GCM: two zero bytes, the SSRC and the index, of 48
// bits, all xor the salt (RFC 7714 §8.1; §9.1 is the same with 31 bits).
func (s *session) nonce(out *[12]byte, ssrc uint32, index uint64) {
	binary.BigEndian.PutUint64(out[:], s.saltHi^(uint64(ssrc)<<16|index>>32))
	binary.BigEndian.PutUint32(out[8:], uint32(s.saltLo>>32)^uint32(index))
}

// iv is the first counter block of AES-CM: the SSRC times 2^64 and the index
// times 2^16, xor the salt times 2^16 (RFC 3711 §4.1.1).
func (s *session) iv(out *[16]byte, ssrc uint32, index uint64) {
	binary.BigEndian.PutUint64(out[:], s.saltHi^uint64(ssrc))
	binary.BigEndian.PutUint64(out[8:], s.saltLo^index<<16)
}
