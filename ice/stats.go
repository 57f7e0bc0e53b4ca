package ice

import "time"

// PairStats is what RTCIceCandidatePairStats wants to know of a pair, bytes
// and packets excepted, which the data lane counts.
type PairStats struct {
	Path      Path
	Remote    Candidate
	State     PairState
	Nominated bool
	Selected  bool
	Priority  uint64

	RequestsSent, RequestsReceived   uint64 // retransmissions and consent included
	ResponsesSent, ResponsesReceived uint64
	Retransmissions                  uint64
	ConsentRequestsSent              uint64

	CurrentRTT, TotalRTT time.Duration
	RTTSamples           uint64 // how many make up TotalRTT
}

// Drops counts what had no effect, by reason.
type Drops struct {
	TooLong            uint64
	Malformed          uint64
	Unauthenticated    uint64
	Replayed           uint64
	UnknownTransaction uint64
	Asymmetric         uint64
	AfterFailure       uint64 // authentic checks in StateFailed
	Early              uint64 // checks before the credentials, beyond MaxEarly paths
	Remotes            uint64 // peer-reflexive candidates beyond MaxRemoteCandidates
	Pairs              uint64 // pairs beyond MaxPairs, or without a base
	Queue              uint64 // messages and transactions beyond their tables
	Events             uint64
	CandidatesIgnored  uint64 // TCP, named, or of another component
}

// Stats is a snapshot.
type Stats struct {
	Role  Role
	State State
	Pairs []PairStats
	Drops Drops
	Carry CarryStats
}

// Stats gives a snapshot. It allocates.
func (a *Agent) Stats() Stats {
	s := Stats{Role: a.role, State: a.state, Drops: a.drops, Carry: a.CarryStats()}
	listed := false
	for _, pr := range a.pairs {
		s.Pairs = append(s.Pairs, a.pairStats(pr))
		listed = listed || pr == a.selected
	}
	if a.selected != nil && !listed { // the one of before a restart
		s.Pairs = append(s.Pairs, a.pairStats(a.selected))
	}
	return s
}

func (a *Agent) pairStats(pr *pair) PairStats {
	c := &pr.counters
	return PairStats{
		Path: pr.path(), Remote: pr.remote.cand, State: pr.state,
		Nominated: pr.nominated, Selected: pr == a.selected, Priority: pr.priority,
		RequestsSent: c.requestsSent, RequestsReceived: c.requestsReceived,
		ResponsesSent: c.responsesSent, ResponsesReceived: c.responsesReceived,
		Retransmissions: c.retransmissions, ConsentRequestsSent: c.consentRequests,
		CurrentRTT: c.rtt, TotalRTT: c.totalRTT, RTTSamples: c.rttSamples,
	}
}

// CarryStats counts what has been carried; see Config.Carry.
func (a *Agent) CarryStats() CarryStats {
	if a.carry == nil {
		return CarryStats{}
	}
	return a.carry.stats
}
