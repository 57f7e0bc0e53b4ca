package stun

// Sizes and bounds of a message.
const (
	// HeaderLen is the fixed header: type, length, cookie, transaction id
	// (RFC 8489 §5).
	HeaderLen = 20

	// MaxMessage is the largest message: 20 bytes of header and a 16-bit
	// length that is a multiple of 4. A Builder which would pass it stops
	// appending and reports ErrTooLong.
	MaxMessage = HeaderLen + 0xfffc

	// MaxUnknown is how many unknown comprehension-required attributes are
	// reported of one message; the rest are not listed, which RFC 8489 §6.3.1
	// leaves open and which bounds an error response.
	MaxUnknown = 8

	// maxReason is the most bytes a reason phrase may have: 127 characters of
	// UTF-8 at 6 bytes each (RFC 8489 §14.8). Longer ones are cut.
	maxReason = 762
)
