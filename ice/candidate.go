package ice

import (
	"net/netip"
	"strconv"
)

// CandidateType is how a candidate's address was learned.
type CandidateType uint8

// Candidate types (RFC 8445 §5.1.1, RFC 8839 §5.1).
const (
	TypeHost CandidateType = iota
	TypeServerReflexive
	TypePeerReflexive
	TypeRelay
)

var typeNames = [...]string{"host", "srflx", "prflx", "relay"}

func (t CandidateType) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "invalid"
}

// preference is the type preference RFC 8445 §5.1.2.2 recommends.
func (t CandidateType) preference() uint32 {
	return [...]uint32{126, 100, 110, 0}[t&3]
}

// Attribute is an extension of a candidate line.
type Attribute struct{ Name, Value string }

// Candidate is one candidate, ours or theirs.
type Candidate struct {
	Foundation string // 1 to 32 ice-chars
	Component  int    // 1 to 256; only 1 is used
	Transport  Proto
	Priority   uint32
	Addr       netip.AddrPort // of a named candidate: only the port
	Host       string         // the name where Addr has no address, such as "….local"
	Type       CandidateType
	Related    netip.AddrPort // raddr and rport; invalid: none
	TCPType    string         // active, passive, so; empty for UDP

	UsernameFragment string // the ufrag extension: whose generation it is of
	Extensions       []Attribute
}

// componentID is the only component (RFC 8834 §4.5 with RFC 8843: everything
// is multiplexed).
const componentID = 1

// priority is RFC 8445 §5.1.2.1's formula for component 1.
func priority(t CandidateType, localPreference uint16) uint32 {
	return t.preference()<<24 | uint32(localPreference)<<8 | (256 - componentID)
}

// pairPriority is RFC 8445 §6.1.2.3's formula: g is of the controlling
// agent's candidate, d of the controlled one's.
func pairPriority(g, d uint32) uint64 {
	p := uint64(min(g, d))<<32 + 2*uint64(max(g, d))
	if g > d {
		p++
	}
	return p
}

// usable reports whether a remote address can be checked at all.
func usable(a netip.AddrPort) bool {
	ip := a.Addr()
	return ip.IsValid() && a.Port() != 0 && !ip.IsUnspecified() && !ip.IsMulticast() &&
		ip != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// pairable reports whether base may send to remote: the same family, and link
// local only to link local (RFC 8445 §6.1.2.2).
func pairable(base, remote netip.AddrPort) bool {
	b, r := base.Addr(), remote.Addr()
	if b.Is4() != r.Is4() {
		return false
	}
	return b.Is4() || b.IsUnspecified() || b.IsLinkLocalUnicast() == r.IsLinkLocalUnicast()
}

// foundation gives the same short string for candidates of equal type, base
// address and server (RFC 8445 §5.1.1.3). It tells nothing about either.
func (a *Agent) foundation(t CandidateType, base, server netip.Addr) string {
	key := foundationKey{t, base, server}
	for i, k := range a.foundations {
		if k == key {
			return strconv.Itoa(i + 1)
		}
	}
	a.foundations = append(a.foundations, key)
	return strconv.Itoa(len(a.foundations))
}

type foundationKey struct {
	t            CandidateType
	base, server netip.Addr
}
