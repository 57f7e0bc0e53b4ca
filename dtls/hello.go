package dtls

import "encoding/binary"

// Extension numbers (IANA registry "TLS ExtensionType Values").
const (
	extSupportedGroups      uint16 = 10
	extPointFormats         uint16 = 11
	extSignatureAlgorithms  uint16 = 13
	extUseSRTP              uint16 = 14
	extALPN                 uint16 = 16
	extExtendedMasterSecret uint16 = 23
	extRecordSizeLimit      uint16 = 28
	extPreSharedKey         uint16 = 41
	extSupportedVersions    uint16 = 43
	extCookie               uint16 = 44
	extPSKModes             uint16 = 45
	extKeyShare             uint16 = 51
	extConnectionID         uint16 = 54
	extRRC                  uint16 = 61
	extRenegotiationInfo    uint16 = 0xff01
)

// clientHello is RFC 5246 §7.4.1.2 with the cookie of RFC 6347 §4.2.1. Nil means
// that an extension is absent. Slices of a parsed hello alias the message.
type clientHello struct {
	version      uint16
	random       [randomLen]byte
	sessionID    []byte // at most 32 bytes
	cookie       []byte // at most 255 bytes
	suites       []uint16
	compressions []byte

	versions []uint16
	groups   []Group
	points   []byte
	schemes  []SignatureScheme
	profiles []SRTPProfile
	mki      []byte
	ems      bool
	reneg    []byte // contents of renegotiation_info, empty but not nil for an initial handshake
	options

	shares  []keyShare // DTLS 1.3: empty but not nil for an empty list
	cookie3 []byte     // of the extension (RFC 8446 §4.2.2)
	psk     bool       // pre_shared_key was there
	// Set by the parser only: psk_key_exchange_modes was there; something followed
	// pre_shared_key, or a group had two shares.
	pskModes, illegal bool
}

// serverHello is RFC 5246 §7.4.1.3 and RFC 8446 §4.1.3, a HelloRetryRequest, too.
type serverHello struct {
	version     uint16
	random      [randomLen]byte
	sessionID   []byte
	suite       uint16
	compression uint8

	points  []byte
	profile SRTPProfile // 0: none
	mki     []byte
	ems     bool
	reneg   []byte
	options
	foreign bool // an extension we never offer was there

	selected uint16   // supported_versions; 0: absent, so that version counts
	share    keyShare // group 0: absent
	cookie   []byte   // of a HelloRetryRequest
}

// retryRandom marks a HelloRetryRequest: SHA-256 of that word (RFC 8446 §4.1.3).
var retryRandom = sumSHA256([]byte("HelloRetryRequest"))

func (h *serverHello) retry() bool { return h.random == retryRandom }

// lists is room for those of a message, if they are of the usual length.
type lists struct {
	suites   [24]uint16
	groups   [8]Group
	schemes  [16]SignatureScheme
	profiles [4]SRTPProfile
}

// parseClientHello parses a hello, whose lists may lie in room.
func parseClientHello(room *lists, b []byte) (h clientHello, ok bool) {
	r := reader{b: b}
	h.version = r.u16()
	copy(h.random[:], r.bytes(randomLen))
	h.sessionID = r.vec8()
	h.cookie = r.vec8()
	suites := r.vec16()
	h.compressions = r.vec8()
	if r.bad || len(h.sessionID) > 32 || len(h.compressions) == 0 {
		return clientHello{}, false
	}
	if h.suites, ok = list16(room.suites[:], suites); !ok {
		return clientHello{}, false
	}
	if !eachExtension(&r, func(typ uint16, b []byte) bool {
		e := reader{b: b}
		return h.extension(room, typ, &e) && e.done()
	}) {
		return clientHello{}, false
	}
	return h, true
}

// extension takes one extension of a ClientHello in. Unknown ones, GREASE among
// them (RFC 8701), are ignored.
func (h *clientHello) extension(room *lists, typ uint16, e *reader) (ok bool) {
	h.illegal = h.illegal || h.psk // RFC 8446 §4.2.11: nothing may follow it
	switch typ {
	case extPSKModes:
		h.pskModes, ok = true, len(e.vec8()) > 0
	case extPreSharedKey: // nothing is resumed, so its contents do not matter
		h.psk, e.b, ok = true, nil, true
	case extKeyShare:
		var twice bool
		h.shares, twice, ok = parseShares(e.vec16())
		h.illegal = h.illegal || twice
	case extCookie:
		h.cookie3 = e.vec16()
		ok = len(h.cookie3) > 0
	case extSupportedVersions: // RFC 8446 §4.2.1
		h.versions, ok = list16[uint16](nil, e.vec8())
	case extSupportedGroups:
		h.groups, ok = list16(room.groups[:], e.vec16())
	case extPointFormats:
		h.points = e.vec8()
		ok = len(h.points) > 0
	case extSignatureAlgorithms:
		h.schemes, ok = list16(room.schemes[:], e.vec16())
	case extUseSRTP:
		h.profiles, ok = list16(room.profiles[:], e.vec16())
		h.mki = e.vec8()
	case extExtendedMasterSecret:
		h.ems, ok = true, true
	case extRenegotiationInfo:
		h.reneg = e.vec8()
		ok = h.reneg != nil
	default:
		var known bool
		if known, ok = h.options.extension(typ, e); !known {
			e.b, ok = nil, true
		}
	}
	return ok
}

func parseServerHello(b []byte) (h serverHello, ok bool) {
	r := reader{b: b}
	h.version = r.u16()
	copy(h.random[:], r.bytes(randomLen))
	h.sessionID = r.vec8()
	h.suite = r.u16()
	h.compression = r.u8()
	if r.bad || len(h.sessionID) > 32 || !eachExtension(&r, func(typ uint16, b []byte) bool { e := reader{b: b}; return h.extension(typ, &e) && e.done() }) {
		return serverHello{}, false
	}
	return h, true
}

func (h *serverHello) extension(typ uint16, e *reader) (ok bool) {
	switch typ {
	case extSupportedVersions:
		h.selected = e.u16()
		ok = h.selected != 0
	case extKeyShare:
		h.share.group = Group(e.u16())
		if ok = h.share.group != 0; ok && !h.retry() {
			h.share.public = e.vec16()
			ok = len(h.share.public) > 0
		}
	case extCookie:
		h.cookie = e.vec16()
		ok = len(h.cookie) > 0
	case extPointFormats:
		h.points = e.vec8()
		ok = len(h.points) > 0
	case extUseSRTP: // RFC 5764 §4.1.1: exactly one profile
		var list []SRTPProfile
		list, ok = list16[SRTPProfile](nil, e.vec16())
		h.mki = e.vec8()
		if ok = ok && len(list) == 1; ok {
			h.profile = list[0]
		}
	case extExtendedMasterSecret:
		h.ems, ok = true, true
	case extRenegotiationInfo:
		h.reneg = e.vec8()
		ok = h.reneg != nil
	default:
		var known bool
		if known, ok = h.options.extension(typ, e); !known {
			h.foreign = true
			e.b, ok = nil, true
		}
	}
	return ok
}

// parseShares parses client_shares, which may be empty. twice tells whether a group
// is there more than once (RFC 8446 §4.2.8).
func parseShares(b []byte) (_ []keyShare, twice, ok bool) {
	r := reader{b: b}
	shares := []keyShare{}
	for len(r.b) > 0 {
		s := keyShare{Group(r.u16()), r.vec16()}
		if r.bad || len(s.public) == 0 || len(shares) == maxShares {
			return nil, false, false
		}
		for _, other := range shares {
			twice = twice || other.group == s.group
		}
		shares = append(shares, s)
	}
	return shares, twice, !r.bad
}

// eachExtension parses the extensions which end a hello; there may be none. No
// known extension may come twice (RFC 5246 §7.4.1.4). f takes the whole of b in.
func eachExtension(r *reader, f func(typ uint16, b []byte) bool) bool {
	if r.done() {
		return true
	}
	list := reader{b: r.vec16()}
	if !r.done() {
		return false
	}
	var seen [maxExtensions]uint16
	for n := 0; len(list.b) > 0; n++ {
		if n == maxExtensions {
			return false
		}
		typ := list.u16()
		b := list.vec16()
		if list.bad {
			return false
		}
		for _, s := range seen[:n] {
			if s == typ {
				return false
			}
		}
		seen[n] = typ
		if !f(typ, b) {
			return false
		}
	}
	return true
}

func (h *clientHello) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, h.version)
	b = append(b, h.random[:]...)
	b = appendVec8(b, h.sessionID)
	b = appendVec8(b, h.cookie)
	b = appendList16(b, h.suites)
	b = appendVec8(b, h.compressions)
	b, all := open16(b)
	if h.versions != nil {
		b = append(binary.BigEndian.AppendUint16(b, extSupportedVersions), 0, byte(1+2*len(h.versions)), byte(2*len(h.versions)))
		for _, v := range h.versions {
			b = binary.BigEndian.AppendUint16(b, v)
		}
	}
	if h.groups != nil {
		b = appendExt16(b, extSupportedGroups, h.groups)
	}
	if h.schemes != nil {
		b = appendExt16(b, extSignatureAlgorithms, h.schemes)
	}
	if h.profiles != nil {
		b = appendSRTP(b, h.profiles, h.mki)
	}
	b = h.options.append(appendCommon(b, h.points, h.ems, h.reneg))
	if h.cookie3 != nil {
		b = appendVec16(binary.BigEndian.AppendUint16(b, extCookie), appendVec16(nil, h.cookie3))
	}
	if h.shares != nil {
		var at, list int
		b, at = open16(binary.BigEndian.AppendUint16(b, extKeyShare))
		b, list = open16(b)
		for _, s := range h.shares {
			b = appendVec16(binary.BigEndian.AppendUint16(b, uint16(s.group)), s.public)
		}
		b = close16(close16(b, list), at)
	}
	if h.psk {
		b = appendVec16(binary.BigEndian.AppendUint16(b, extPreSharedKey), nil)
	}
	return close16(b, all)
}

func (h *serverHello) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, h.version)
	b = append(b, h.random[:]...)
	b = appendVec8(b, h.sessionID)
	b = binary.BigEndian.AppendUint16(b, h.suite)
	b = append(b, h.compression)
	b, all := open16(b)
	if h.selected != 0 {
		b = appendVec16(binary.BigEndian.AppendUint16(b, extSupportedVersions), binary.BigEndian.AppendUint16(nil, h.selected))
	}
	if h.share.group != 0 {
		share := binary.BigEndian.AppendUint16(nil, uint16(h.share.group))
		if !h.retry() {
			share = appendVec16(share, h.share.public)
		}
		b = appendVec16(binary.BigEndian.AppendUint16(b, extKeyShare), share)
	}
	if h.cookie != nil {
		b = appendVec16(binary.BigEndian.AppendUint16(b, extCookie), appendVec16(nil, h.cookie))
	}
	if h.profile != 0 {
		b = appendSRTP(b, []SRTPProfile{h.profile}, h.mki)
	}
	b = h.options.append(appendCommon(b, h.points, h.ems, h.reneg))
	return close16(b, all)
}

// appendCommon appends the extensions which both hellos may carry.
func appendCommon(b, points []byte, ems bool, reneg []byte) []byte {
	if points != nil {
		b = binary.BigEndian.AppendUint16(b, extPointFormats)
		b = appendVec16(b, appendVec8(nil, points))
	}
	if ems {
		b = binary.BigEndian.AppendUint16(b, extExtendedMasterSecret)
		b = appendVec16(b, nil)
	}
	if reneg != nil {
		b = binary.BigEndian.AppendUint16(b, extRenegotiationInfo)
		b = appendVec16(b, appendVec8(nil, reneg))
	}
	return b
}

func appendExt16[T ~uint16](b []byte, typ uint16, list []T) []byte {
	b, at := open16(binary.BigEndian.AppendUint16(b, typ))
	return close16(appendList16(b, list), at)
}

// appendSRTP appends use_srtp (RFC 5764 §4.1.1).
func appendSRTP(b []byte, profiles []SRTPProfile, mki []byte) []byte {
	b, at := open16(binary.BigEndian.AppendUint16(b, extUseSRTP))
	return close16(appendVec8(appendList16(b, profiles), mki), at)
}

// helloVerify is RFC 6347 §4.2.1.
type helloVerify struct {
	version uint16
	cookie  []byte
}

func parseHelloVerify(b []byte) (h helloVerify, ok bool) {
	r := reader{b: b}
	h.version = r.u16()
	h.cookie = r.vec8()
	return h, r.done()
}

func (h *helloVerify) append(b []byte) []byte {
	return appendVec8(binary.BigEndian.AppendUint16(b, h.version), h.cookie)
}
