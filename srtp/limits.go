package srtp

const (
	// MaxReceived is the number of sources a context keeps state for when
	// unprotecting: 1024 of 160 bytes. Only authenticated packets make
	// state, so only the peer itself can fill it. Beyond it a new source
	// takes the place of the one that was silent for longest, whose packets
	// could then be replayed, and which, if it comes back after its
	// sequence numbers wrapped, no longer authenticates.
	MaxReceived = 1024

	// MaxSent is the number of sources a context keeps state for when
	// protecting: 16,384 of 160 bytes. Beyond it the packets of new sources
	// get ErrLimit. Nothing is evicted: a source whose rollover counter was
	// forgotten would repeat its keystream.
	MaxSent = 1 << 14

	// MaxRTP and MaxRTCP are the numbers of packets one master key may
	// protect (RFC 3711 §9.2). An index at or beyond them, or a packet
	// after so many, gets ErrLimit, sent or received.
	MaxRTP  = 1 << 48
	MaxRTCP = 1 << 31

	// MaxMKI is the longest identifier of a master key, in bytes
	// (RFC 4568 §6.1), and MaxKeys how many keys a context may have at once.
	// Beyond either AddKey gives ErrKeys.
	MaxMKI  = 128
	MaxKeys = 16

	// MaxPacket is the longest packet, in bytes, protected or not: a UDP
	// datagram's 16-bit length. Longer ones get ErrFormat.
	MaxPacket = 1<<16 - 1

	// Window is the number of packets, of one source, by which one may come
	// late (RFC 3711 §3.3.2 asks for 64 at least). Later ones get ErrReplay.
	Window = windowWords*64 - 64
)

// windowWords is the size of the window's ring in words, a power of two. The
// word that the newest index is in may be partly ahead of it, hence Window.
const windowWords = 16
