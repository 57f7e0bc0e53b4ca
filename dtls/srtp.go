package dtls

import "slices"

// SRTPProfile is a protection profile of use_srtp (RFC 5764 §4.1.2, RFC 7714
// §14.2); 0 is none.
type SRTPProfile uint16

// The profiles spoken.
const (
	SRTP_AES128_CM_HMAC_SHA1_80 SRTPProfile = 0x0001
	SRTP_AES128_CM_HMAC_SHA1_32 SRTPProfile = 0x0002
	SRTP_AEAD_AES_128_GCM       SRTPProfile = 0x0007
	SRTP_AEAD_AES_256_GCM       SRTPProfile = 0x0008
)

// defaultProfiles: the cheapest first; the last is the one RFC 8827 §6.5 demands.
var defaultProfiles = [...]SRTPProfile{
	SRTP_AEAD_AES_128_GCM, SRTP_AEAD_AES_256_GCM, SRTP_AES128_CM_HMAC_SHA1_80,
}

// labelSRTP is the exporter's label (RFC 5764 §4.2).
const labelSRTP = "EXTRACTOR-dtls_srtp"

// KeyLen and SaltLen return the lengths of master key and master salt in bytes,
// 0 for a profile that is not spoken.
func (p SRTPProfile) KeyLen() int {
	switch p {
	case SRTP_AES128_CM_HMAC_SHA1_80, SRTP_AES128_CM_HMAC_SHA1_32, SRTP_AEAD_AES_128_GCM:
		return 16
	case SRTP_AEAD_AES_256_GCM:
		return 32
	}
	return 0
}

// SaltLen: see KeyLen.
func (p SRTPProfile) SaltLen() int {
	switch p {
	case SRTP_AES128_CM_HMAC_SHA1_80, SRTP_AES128_CM_HMAC_SHA1_32:
		return 14
	case SRTP_AEAD_AES_128_GCM, SRTP_AEAD_AES_256_GCM:
		return 12
	}
	return 0
}

// String returns the registered name.
func (p SRTPProfile) String() string {
	switch p {
	case 0:
		return "none"
	case SRTP_AES128_CM_HMAC_SHA1_80:
		return "SRTP_AES128_CM_HMAC_SHA1_80"
	case SRTP_AES128_CM_HMAC_SHA1_32:
		return "SRTP_AES128_CM_HMAC_SHA1_32"
	case SRTP_AEAD_AES_128_GCM:
		return "SRTP_AEAD_AES_128_GCM"
	case SRTP_AEAD_AES_256_GCM:
		return "SRTP_AEAD_AES_256_GCM"
	}
	return "unknown SRTP profile"
}

// profileFor picks our most preferred of the profiles offered. The order of a
// client is a wish (RFC 5764 §4.1.1); profiles differ in cost severalfold.
func profileFor(ours, offered []SRTPProfile) SRTPProfile {
	for _, p := range ours {
		if slices.Contains(offered, p) {
			return p
		}
	}
	return 0
}

// SRTPKeys exports the SRTP master keys and salts (RFC 5764 §4.2): local ones
// protect what we send, remote ones unprotect what we receive. It fails with
// ErrNotConnected before Connected and after the end, and with ErrNoSRTP.
func (c *Conn) SRTPKeys() (profile SRTPProfile, localKey, localSalt, remoteKey, remoteSalt []byte, err error) {
	p := c.state.SRTPProfile
	k, s := p.KeyLen(), p.SaltLen()
	if c.phase == phaseConnected && p == 0 {
		return 0, nil, nil, nil, nil, ErrNoSRTP
	}
	m, err := c.ExportKeyingMaterial(labelSRTP, nil, 2*(k+s))
	if err != nil {
		return 0, nil, nil, nil, nil, err
	}
	r := reader{b: m}
	clientKey, serverKey := r.bytes(k), r.bytes(k)
	clientSalt, serverSalt := r.bytes(s), r.bytes(s)
	if c.cfg.Role == Client {
		return p, clientKey, clientSalt, serverKey, serverSalt, nil
	}
	return p, serverKey, serverSalt, clientKey, clientSalt, nil
}
