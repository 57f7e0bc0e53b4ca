package bpf

const (
	// DefaultFlows is how many remote addresses a flow map takes: at some 100
	// bytes each, allocated when one is put in, 6.5 MB when it is full. Set
	// returns ErrFull beyond it, and the kernel's hash places the address.
	DefaultFlows = 1 << 16

	// MaxSockets is what two characters of a user fragment can name. New
	// refuses more.
	MaxSockets = 256

	// maxAttributes is how many attributes of a STUN request are looked at for
	// USERNAME, which is the first in most and the fifth in some. The kernel's
	// hash places a request in which it comes later.
	maxAttributes = 12

	// MaxPorts is how many ports a Filter guards; an engine has one. Each is a
	// comparison. AttachFilter refuses more.
	MaxPorts = 16

	// DefaultSources is how many sources a Filter remembers: at some 100 bytes
	// each, allocated at once, 6.5 MB. Beyond it the one that was silent for
	// longest begins anew.
	DefaultSources = 1 << 16

	// maxTags and maxExtensions are how many VLAN tags and IPv6 extension
	// headers a Filter looks behind. A packet with more passes.
	maxTags       = 2
	maxExtensions = 4

	// maxBurst bounds Rate.Burst, so that a second times it, in nanoseconds, fits
	// into 64 bits.
	maxBurst = 1<<31 - 1
)

// What a Filter allows a source by default. A connection begins with some ten
// STUN messages a second from each of its candidates, and one or two
// ClientHellos.
var (
	DefaultSTUN  = Rate{PerSecond: 1000, Burst: 2000}
	DefaultHello = Rate{PerSecond: 50, Burst: 200}
)
