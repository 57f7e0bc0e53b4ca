package dtls

import "errors"

// Errors about what a peer sent. Those of HandlePacket, HandleRecord and Open
// are reasons for a drop, not the end of anything: the end is a Closed event.
var (
	// ErrRecord: not a record of DTLS, or longer than allowed.
	ErrRecord = errors.New("dtls: malformed record")
	// ErrEpoch: a record of an epoch that is not, or no longer, accepted.
	ErrEpoch = errors.New("dtls: record of another epoch")
	// ErrAuth: a record failed authentication.
	ErrAuth = errors.New("dtls: record not authentic")
	// ErrReplay: a record was seen before, or is older than the window.
	ErrReplay = errors.New("dtls: record replayed")
	// ErrUnexpected: a well-formed message which the state has no use for.
	ErrUnexpected = errors.New("dtls: unexpected message")
	// ErrMessage: a handshake message does not parse.
	ErrMessage = errors.New("dtls: malformed handshake message")
	// ErrBuffered: a record or fragment was dropped because a bound was reached.
	ErrBuffered = errors.New("dtls: reassembly bound reached")
	// ErrHandedOver: a sealed record was given to Conn, but Records owns those.
	ErrHandedOver = errors.New("dtls: sealed records belong to Records after hand-over")
)

// Errors of the local side.
var (
	// ErrShortBuffer: dst cannot hold the result.
	ErrShortBuffer = errors.New("dtls: destination too short")
	// ErrTooLong: a plaintext exceeds 2^14 bytes.
	ErrTooLong = errors.New("dtls: plaintext longer than a record")
	// ErrContentType: SealAs was asked for a type which is never sealed.
	ErrContentType = errors.New("dtls: content type cannot be sealed")
	// ErrKeyExhausted: sequence numbers or the AEAD's limit are used up; a new
	// association is needed.
	ErrKeyExhausted = errors.New("dtls: key exhausted")
	// ErrNotConnected: keys were asked for before Connected, or after the end.
	ErrNotConnected = errors.New("dtls: not connected")
	// ErrState: what Import was given is not what Export wrote.
	ErrState = errors.New("dtls: not the state of an association")
	// ErrNoSRTP: no SRTP profile was negotiated.
	ErrNoSRTP = errors.New("dtls: no SRTP profile negotiated")
	// ErrExport: a reserved label, or a length outside 1 to 4096.
	ErrExport = errors.New("dtls: keying material cannot be exported so")
)

// Reasons of a Closed event, alone or wrapped in *AlertError.
var (
	// ErrCloseNotify: the peer closed the association in order.
	ErrCloseNotify = errors.New("dtls: closed by the peer")
	// ErrClosed: Close was called. HandlePacket also returns it afterwards.
	ErrClosed = errors.New("dtls: closed")
	// ErrExported: Export gave the association away.
	ErrExported = errors.New("dtls: association was exported")
	// ErrTimeout: the handshake did not finish within Config.HandshakeTimeout.
	ErrTimeout = errors.New("dtls: handshake timed out")
	// ErrFingerprint: the peer's certificate matches no fingerprint.
	ErrFingerprint = errors.New("dtls: certificate does not match the signalled fingerprint")
	// ErrPeerRefused: Config.VerifyPeer refused the certificate.
	ErrPeerRefused = errors.New("dtls: certificate refused")
	// ErrPeerCertificate: no certificate, or one of an unsupported kind.
	ErrPeerCertificate = errors.New("dtls: peer sent no usable certificate")
	// ErrVersion: no version between Config.MinVersion and MaxVersion is the
	// peer's.
	ErrVersion = errors.New("dtls: no common protocol version")
	// ErrDowngrade: somebody between the peer and us has taken DTLS 1.3 out of
	// the offer.
	ErrDowngrade = errors.New("dtls: version was downgraded")
	// ErrNegotiation: no cipher suite, group or signature scheme in common.
	ErrNegotiation = errors.New("dtls: no common parameters")
	// ErrExtendedMasterSecret: the peer lacks RFC 7627.
	ErrExtendedMasterSecret = errors.New("dtls: peer lacks extended master secret")
	// ErrParameter: the peer answered with something not offered to it.
	ErrParameter = errors.New("dtls: illegal parameter")
	// ErrSignature: a handshake signature is wrong.
	ErrSignature = errors.New("dtls: handshake signature wrong")
	// ErrFinished: the peer saw another handshake than we did.
	ErrFinished = errors.New("dtls: handshake transcripts differ")
	// ErrHello: the server repeats itself, and nothing of it opens: on its way the
	// ClientHello has become another one.
	ErrHello = errors.New("dtls: the peers have different hellos")
	// ErrInternal: our own key or random source failed.
	ErrInternal = errors.New("dtls: local key or random source failed")
)
