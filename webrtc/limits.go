package webrtc

import "time"

const (
	// maxMessageSize is the largest data-channel message taken, and what
	// a=max-message-size announces, where DataChannelOptions does not say more.
	maxMessageSize = 262144

	// maxAnnounced bounds DataChannelOptions.MaxMessageSize, in bytes.
	maxAnnounced = 1 << 30

	// maxBuffered bounds what the data channels of one connection have
	// buffered, in bytes: Send fails beyond it, unless nothing is buffered.
	maxBuffered = 8 << 20

	// maxWhole is the longest message that Send takes, where the peer takes it,
	// too. Longer ones are written in parts (DataChannelConn).
	maxWhole = 16 << 20

	// maxSendBuffer is the association's own bound. It leaves room beyond
	// maxBuffered for what is on the network and not acknowledged, which the
	// peer's window bounds.
	maxSendBuffer = maxBuffered + 16<<20

	// receiveBuffer is the receive window that each association has for itself,
	// which sctp raises so that a whole message fits. It grows with what is read,
	// from the memory that all of them share (dataplane.Config.MaxChannelMemory).
	receiveBuffer = 128 << 10

	// maxEarly bounds the DTLS datagrams kept while the description that says
	// who the peer is has not been set. More are dropped: the peer repeats
	// them.
	maxEarly = 4

	// maxLate bounds the candidates that wait for the answer to their
	// description; more are refused. An agent keeps 64 for each transport.
	maxLate = 512

	// maxFreeEvents bounds the entries of a queue of events that are kept to be
	// used for later messages, of 40 bytes.
	maxFreeEvents = 64

	// maxReadQueue bounds the packets of one track that wait for ReadRTP.
	// Beyond it the newest are dropped and counted.
	maxReadQueue = 256

	// closeWait bounds how long Close waits for the ctl lane.
	closeWait = 5 * time.Second
)
