package bpf

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrFilter says that a FilterConfig makes no sense; the error that wraps it
// tells what.
var ErrFilter = errors.New("bpf: filter")

// Rate bounds how often a source may do a thing.
type Rate struct {
	PerSecond int // in the long run; 0 means the default, a negative value never
	Burst     int // at once, after silence; 0 means the default
}

// FilterMode is where in the kernel a Filter sits. All drop alike; they differ
// in what a dropped packet costs.
type FilterMode int

// The modes, cheapest first.
const (
	// FilterAuto is the first of the others that works.
	FilterAuto FilterMode = iota
	// FilterDriver is XDP in the interface's driver. Some drivers reset the
	// interface for it, and refuse it with a large MTU.
	FilterDriver
	// FilterGeneric is XDP behind the driver.
	FilterGeneric
	// FilterTC is the ingress of traffic control (tcx, Linux 6.6).
	FilterTC
)

// String names the mode.
func (m FilterMode) String() string {
	switch m {
	case FilterDriver:
		return "xdp driver"
	case FilterGeneric:
		return "xdp generic"
	case FilterTC:
		return "tcx ingress"
	}
	return "auto"
}

// FilterConfig describes a Filter. Interface and Ports have no default.
type FilterConfig struct {
	// Interface is the network interface, by name.
	Interface string
	// Ports are the UDP ports to guard, at most MaxPorts. What goes to others
	// is let through unseen.
	Ports []uint16
	// STUN and Hello bound the STUN messages and the ClientHellos of DTLS that a
	// source sends from addresses which are not known: an IPv4 address, or 64
	// bits of an IPv6 one (RFC 4291 §2.5.1). The defaults leave room for some
	// hundred users behind one address who connect at once.
	STUN, Hello Rate
	// Sources bounds how many sources are remembered, 0 means DefaultSources.
	// Beyond it the one that was silent for longest is forgotten.
	Sources int
	// Steering, if there is one, knows the addresses that are not limited: those
	// it steers. Without it they are told by Add.
	Steering *Steering
	// Flows bounds the addresses of Add, 0 means DefaultFlows.
	Flows int
	Mode  FilterMode
}

// FilterStats are counts of datagrams to the ports since AttachFilter.
type FilterStats struct {
	// Let through: media and the like, limited kinds from known addresses, and
	// from others within their rate.
	Passed, Known, Admitted uint64
	// Dropped: what is no packet of RFC 7983, and what was too much.
	Foreign, STUN, Hello uint64
}

// Order of the filter's counters in their map; from countForeign on they are of
// what was dropped.
const (
	countPassed = iota
	countKnown
	countAdmitted
	countForeign
	countSTUN
	countHello
	numFilterCounts
)

// bucket is a Rate as the program has it, in nanoseconds: each datagram moves
// the time when the bucket will be full again by every, and is too much while
// that is more than slack away.
type bucket struct{ every, slack uint64 }

func (r Rate) bucket(byDefault Rate) bucket {
	if r.PerSecond == 0 {
		r.PerSecond = byDefault.PerSecond
	}
	if r.Burst <= 0 {
		r.Burst = byDefault.Burst
	}
	if r.PerSecond < 0 {
		return bucket{}
	}
	every := max(uint64(time.Second)/uint64(r.PerSecond), 1)
	return bucket{every: every, slack: every * uint64(min(r.Burst, maxBurst)-1)}
}

// guard is what a program is made from.
type guard struct {
	ports       []uint16
	stun, hello bucket
	bare        bool // packets begin with the IP header
}

func (cfg *FilterConfig) guard() (guard, error) {
	if len(cfg.Ports) == 0 || len(cfg.Ports) > MaxPorts || slices.Contains(cfg.Ports, 0) {
		return guard{}, fmt.Errorf("%w: from 1 to %d ports above zero are needed, not %v", ErrFilter, MaxPorts, cfg.Ports)
	}
	if cfg.Mode < FilterAuto || cfg.Mode > FilterTC {
		return guard{}, fmt.Errorf("%w: no mode %d", ErrFilter, cfg.Mode)
	}
	return guard{ports: cfg.Ports, stun: cfg.STUN.bucket(DefaultSTUN), hello: cfg.Hello.bucket(DefaultHello)}, nil
}
