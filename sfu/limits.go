package sfu

import "time"

const (
	// maxName bounds a stream's name: it becomes a media stream's id, which
	// has at most 64 characters (RFC 8830 §2).
	maxName = 64

	// defaultMaxSessions and its like hold where Config says nothing. A
	// session costs some 100 KB. Beyond them there is ErrLimit.
	defaultMaxSessions = 10000
	defaultMaxStreams  = 1000
	defaultMaxViewers  = 5000

	// defaultConnectTimeout ends a session that never connects (class 33).
	// ICE itself gives up after 39.5 s (RFC 8445 §14); who takes longer than
	// 30 s from the answer on has gone.
	defaultConnectTimeout = 30 * time.Second

	// defaultPublisherGrace is the time in which a browser reloads a page.
	defaultPublisherGrace = 10 * time.Second

	// gatherTimeout bounds the wait for candidates. Beyond it the answer has
	// those that were found.
	gatherTimeout = 5 * time.Second

	// echoHigh bounds what an echoed data channel has buffered, in bytes.
	// Beyond it no message is taken until the peer has read.
	echoHigh = 1 << 20

	// echoPoll is how often a full echo looks for room: short against the
	// 8 ms in which a mebibyte leaves at a gigabit per second.
	echoPoll = time.Millisecond

	// maxParted is of how many sessions, 26 bytes each, it is remembered that
	// their peers ended them. Beyond it the oldest are forgotten.
	maxParted = 1024

	// layerInterval is how often the layers of simulcasts are compared.
	layerInterval = time.Second
)
