package ice

import "github.com/sluicertc/sluice/internal/mono"

// A peer whose NAT gave it a new address does not know of it and nominates
// nothing: its checks just come from elsewhere. So when the selected pair is
// silent and another valid pair is not, media follows to that one. Both have
// been checked under the same credentials. If it was loss that misled us, the
// peer's next check on the pair it nominated leads back.

// stepFollow moves to a pair which lives if the selected one does not.
func (a *Agent) stepFollow(now mono.Time) {
	s := a.selected
	if s == nil || s.gen != a.gen || now.Sub(s.heard) < a.cfg.DisconnectedTimeout {
		return
	}
	var best *pair
	for _, pr := range a.pairs {
		if pr != s && pr.state == PairSucceeded && pr.heard > s.heard &&
			(best == nil || pr.heard > best.heard) {
			best = pr
		}
	}
	switch {
	case best == nil || best.nominating:
	case a.role == Controlling:
		a.nominate(best)
	default:
		if a.followed == nil {
			a.followed = s
		}
		a.selectPair(now, best)
	}
}

// used notes a check of the peer's on pr: perhaps it leads back.
func (a *Agent) used(now mono.Time, pr *pair) {
	if pr == a.followed {
		a.followed = nil
		a.selectPair(now, pr)
	}
}
