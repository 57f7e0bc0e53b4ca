package dtlsnet

import "time"

const (
	// defaultHalfOpen is Config.MaxHalfOpen: about 1000 handshakes at once, of 8 to
	// 16 KiB each. Beyond, hellos are dropped, and their senders repeat them.
	defaultHalfOpen = 16 << 20

	// maxUnproven bounds the bytes kept for hellos in fragments from addresses
	// that have not returned a cookie: about 80 of the longest that browsers send.
	// Beyond, the oldest is forgotten.
	maxUnproven = 512 << 10

	// unprovenTime is how long they are kept.
	unprovenTime = 2 * time.Second

	// gateQueue is how many datagrams wait for each of the goroutines that shake
	// hands. More are dropped.
	gateQueue = 256

	// defaultBacklog is Config.Backlog. A connection beyond it is closed.
	defaultBacklog = 128

	// defaultMaxConns is Config.MaxConns. Hellos beyond it are dropped.
	defaultMaxConns = 1 << 16

	// receiveQueue is how many messages wait for Read. More are dropped.
	receiveQueue = 128

	// maxDatagram is the longest datagram that is read.
	maxDatagram = 1 << 16

	// maxReadErrors in a row from a socket end what reads it. Single ones are
	// ICMP's, which anybody can have sent.
	maxReadErrors = 64
)
