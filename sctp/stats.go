package sctp

import "time"

// Stats of an association. Counters never decrease.
type Stats struct {
	// Now. SRTT is 0 until a round trip was measured.
	SRTT, RTO  time.Duration
	RTTVar     time.Duration
	MinRTT     time.Duration // of the last 10 to 20 s; 0: not measured
	PacingRate int           // bytes per second
	CWND       int           // congestion window, bytes
	SSThresh   int
	PeerWindow int // the peer's a_rwnd in its last SACK, bytes
	Window     int // ours, bytes
	Flight     int // bytes in flight
	Unacked    int // DATA chunks sent and not acknowledged cumulatively
	Buffered   int // bytes held by messages not acknowledged, with overhead
	MTU        int // largest packet, bytes, as far as probes have found

	PacketsSent, PacketsReceived, PacketsDropped uint64
	ChunksSent, ChunksReceived                   uint64 // DATA, each once
	BytesSent, BytesReceived, BytesAcked         uint64 // user data, each once
	Retransmissions                              uint64 // DATA chunks
	FastRetransmits                              uint64 // times some were found lost without a timeout
	SpuriousRetransmits                          uint64 // which the peer had received before
	Reductions                                   uint64 // of the window, for losses; timeouts excluded
	TailProbes                                   uint64 // RFC 8985 §7
	PathProbes, PathProbesLost                   uint64 // RFC 8899; lost with all their repetitions
	BlackHoles                                   uint64 // times that long packets vanished and MTU fell
	Reneged                                      uint64 // chunks which the peer reported and then did not
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
	Interleaved                                  bool   // I-DATA was negotiated
	ZeroChecksum                                 bool   // no checksums are sent
}

// Stats returns a snapshot.
func (a *Association) Stats() Stats {
	s := a.stats
	s.RTO, s.SRTT, s.RTTVar = a.rto.rto, a.rto.srtt, a.rto.rttvar
	s.MinRTT, s.PacingRate = a.minRTT.get(), int(a.paceRate())
	s.CWND, s.SSThresh = a.cc.cwnd, a.cc.ssthresh
	s.PeerWindow, s.Window = a.tx.peerWindow, a.rx.data.window()
	s.Flight, s.Buffered, s.Unacked = a.tx.flight, a.tx.cost, int(a.tx.count)
	s.MTU = a.pmtu.size
	s.MessagesDiscarded = a.rx.data.discarded
	s.OutgoingStreams, s.IncomingStreams = a.outStreams, a.inStreams
	s.ReceiveBuffered = a.rx.data.bytes
	s.ForwardTSNSupported, s.StreamResetSupported = a.peer.forwardTSN, a.peer.reconfig
	s.Interleaved, s.ZeroChecksum = a.peer.interleave, a.peer.zeroSum
	return s
}
