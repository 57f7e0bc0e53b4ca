package crypto

const (
	// MaxPayload is the longest payload of a CMJob, in bytes: the last two
	// bytes of the IV count the blocks (RFC 3711 §4.1.1), and 2^16 blocks
	// of 16 bytes are 1 MiB. Beyond it the job panics.
	MaxPayload = 1 << 16 * blockSize

	// MaxTag is the longest tag of a CMJob: all of HMAC-SHA1.
	MaxTag = 20
)
