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
)
