package sctp

import "time"

// Stats of an association. Counters never decrease.
type Stats struct {
	// Now. SRTT is 0 until a round trip was measured.
	SRTT, RTO  time.Duration
	CWND       int // congestion window, bytes
	SSThresh   int
	PeerWindow int // the peer's a_rwnd in its last SACK, bytes
	Window     int // ours, bytes
	Flight     int // bytes in flight
	Buffered   int // bytes held by messages not acknowledged, with overhead
	MTU        int // largest packet, bytes

	PacketsSent, PacketsReceived, PacketsDropped uint64
	ChunksSent, ChunksReceived                   uint64 // DATA, each once
	BytesSent, BytesReceived, BytesAcked         uint64 // user data, each once
	Retransmissions                              uint64 // DATA chunks
	FastRetransmits                              uint64 // SACKs which caused some
	Timeouts                                     uint64 // of any timer
	DuplicateChunks, WindowDrops                 uint64 // DATA received and not taken
	MessagesAbandoned, ForwardTSNs               uint64
	MessagesDiscarded                            uint64 // received, incomplete or misnumbered
	BogusSacks, BadCookies, UnknownChunks        uint64
	ErrorsReceived                               uint64 // ERROR chunks
	OutputDropped                                uint64 // control output beyond its bound
	OutgoingStreams, IncomingStreams             uint16 // negotiated
	ReceiveBuffered                              int    // bytes received and not consumed
	ForwardTSNSupported, StreamResetSupported    bool   // by the peer
}

// Stats returns a snapshot.
func (a *Association) Stats() Stats {
	s := a.stats
	s.RTO, s.SRTT = a.rto.rto, a.rto.srtt
	s.CWND, s.SSThresh = a.cc.cwnd, a.cc.ssthresh
	s.PeerWindow, s.Window = a.tx.peerWindow, a.rx.data.window()
	s.Flight, s.Buffered = a.tx.flight, a.tx.cost
	s.MTU = a.cfg.MTU
	s.MessagesDiscarded = a.rx.data.discarded
	s.OutgoingStreams, s.IncomingStreams = a.outStreams, a.inStreams
	s.ReceiveBuffered = a.rx.data.bytes
	s.ForwardTSNSupported, s.StreamResetSupported = a.peer.forwardTSN, a.peer.reconfig
	return s
}
