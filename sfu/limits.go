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
	// Beyond it messages wait, as many as the receive window holds, until it
	// has fallen to echoLow: at a gigabit per second there is work for 4 ms
	// left then.
	echoHigh = 1 << 20
	echoLow  = echoHigh / 2

	// maxParted is of how many sessions, 26 bytes each, it is remembered that
	// their peers ended them. Beyond it the oldest are forgotten.
	maxParted = 1024

	// layerInterval is how often the layers of simulcasts are compared.
	layerInterval = time.Second
)
