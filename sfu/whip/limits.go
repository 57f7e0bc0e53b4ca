package whip

const (
	// maxOffer bounds an SDP body, as package sdp does: 413 beyond.
	maxOffer = 256 << 10

	// maxFragment bounds an SDP fragment: 128 candidates of some 150 bytes
	// are 20 KB. 413 beyond.
	maxFragment = 64 << 10

	// maxFragmentLine bounds its lines, in bytes: ErrFragment beyond.
	maxFragmentLine = 1024

	// maxCandidates bounds the candidates of a fragment, as ICE does those of
	// a session: ErrFragment beyond.
	maxCandidates = 128

	// maxToken bounds a bearer token, in bytes: a longer one is wrong.
	maxToken = 4096
)
