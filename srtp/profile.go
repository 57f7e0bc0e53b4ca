package srtp

// Profile is a protection profile by its DTLS-SRTP number (RFC 5764 §4.1.2,
// RFC 7714 §14.2).
type Profile uint16

// The profiles there are here.
const (
	AES128_CM_HMAC_SHA1_80 Profile = 0x0001
	AES128_CM_HMAC_SHA1_32 Profile = 0x0002
	AEAD_AES_128_GCM       Profile = 0x0007
	AEAD_AES_256_GCM       Profile = 0x0008
)

const (
	authKeyLen = 20 // HMAC-SHA1, RFC 3711 §5.2
	cmTag      = 10 // 80 bits, RFC 3711 §5.2
	cmShortTag = 4  // 32 bits, of RTP alone: RFC 5764 §4.1.2
	gcmTag     = 16
	indexLen   = 4 // E flag and SRTCP index
)

// Known reports whether the profile is one of the above.
func (p Profile) Known() bool {
	return p == AES128_CM_HMAC_SHA1_80 || p == AES128_CM_HMAC_SHA1_32 || p.aead()
}

func (p Profile) aead() bool { return p == AEAD_AES_128_GCM || p == AEAD_AES_256_GCM }

// KeyLen is the length of the master key in bytes.
func (p Profile) KeyLen() int {
	if p == AEAD_AES_256_GCM {
		return 32
	}
	return 16
}

// SaltLen is the length of the master salt in bytes.
func (p Profile) SaltLen() int {
	if p.aead() {
		return 12 // RFC 7714 §12
	}
	return 14
}

// TagLen is the length of the authentication tag of RTP in bytes.
func (p Profile) TagLen() int {
	switch {
	case p.aead():
		return gcmTag
	case p == AES128_CM_HMAC_SHA1_32:
		return cmShortTag
	}
	return cmTag
}

// TagLenRTCP is the length of the authentication tag of RTCP in bytes.
func (p Profile) TagLenRTCP() int {
	if p.aead() {
		return gcmTag
	}
	return cmTag
}

// Overhead is by how many bytes protection lengthens an RTP packet, where
// there is no MKI and Cryptex adds no extension block. See Context.Overhead.
func (p Profile) Overhead() int { return p.TagLen() }

// OverheadRTCP is by how many bytes protection lengthens an RTCP packet, where
// there is no MKI. See Context.OverheadRTCP.
func (p Profile) OverheadRTCP() int { return p.TagLenRTCP() + indexLen }

// String is the name in the IANA registry, without its SRTP_ prefix.
func (p Profile) String() string {
	switch p {
	case AES128_CM_HMAC_SHA1_80:
		return "AES128_CM_HMAC_SHA1_80"
	case AES128_CM_HMAC_SHA1_32:
		return "AES128_CM_HMAC_SHA1_32"
	case AEAD_AES_128_GCM:
		return "AEAD_AES_128_GCM"
	case AEAD_AES_256_GCM:
		return "AEAD_AES_256_GCM"
	}
	return "unknown"
}
