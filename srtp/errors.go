package srtp

import "errors"

// What can be wrong with a packet. Each is returned as it is, never wrapped.
var (
	// ErrAuth: the tag is wrong. Nothing else about the packet can be
	// believed.
	ErrAuth = errors.New("srtp: authentication failed")
	// ErrReplay: received before, or too old to tell.
	ErrReplay = errors.New("srtp: replayed or too old")
	// ErrShort: the packet is too short to be one, or dst too short for
	// the result.
	ErrShort = errors.New("srtp: packet or destination too short")
	// ErrFormat: not an RTP or RTCP packet, or too long for one.
	ErrFormat = errors.New("srtp: malformed packet")
	// ErrPlain: an SRTCP packet that claims not to be encrypted.
	ErrPlain = errors.New("srtp: unencrypted SRTCP refused")
	// ErrLimit: the master key has protected all it may, or there are too
	// many sources: a new key is needed.
	ErrLimit = errors.New("srtp: limit of the key reached")
	// ErrReuse: with AEAD, a second packet under one index would betray the
	// key. See Context.AllowRepeats.
	ErrReuse = errors.New("srtp: packet index already used")
	// ErrMKI: a packet under a master key that the context does not have
	// (RFC 3711 §3.1).
	ErrMKI = errors.New("srtp: unknown master key identifier")
	// ErrExtension: with Cryptex, a header extension that is none of
	// RFC 8285's, or one that should be encrypted and is not.
	ErrExtension = errors.New("srtp: header extension not fit for Cryptex")
	// ErrClosed: the context was closed.
	ErrClosed = errors.New("srtp: context closed")
)

// What can be wrong with the arguments of NewContext, AddKey and the others that
// configure a context.
var (
	ErrProfile = errors.New("srtp: protection profile not supported")
	ErrKeyLen  = errors.New("srtp: master key or salt of the wrong length for the profile")
	// ErrKeys: an MKI that is too short or long, of another length than the
	// others, given already or not at all, or one key too many.
	ErrKeys = errors.New("srtp: master key identifier does not fit the context's")
	// ErrState: not the state of a context with this profile and these keys.
	ErrState = errors.New("srtp: not a state for this context")
)
