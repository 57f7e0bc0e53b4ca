package bpf

import "errors"

var (
	// ErrNotSupported says that the kernel has no such program, or that the
	// process may not load one. The error that wraps it tells which.
	ErrNotSupported = errors.New("bpf: not supported here")
	// ErrFull says that the flow map has no room for another address.
	ErrFull = errors.New("bpf: flow map is full")
	// ErrSockets says that there are fewer than two sockets to steer among, or
	// more than MaxSockets.
	ErrSockets = errors.New("bpf: number of sockets to steer among")
)

// Config describes a Steering. The zero value works.
type Config struct {
	// Flows bounds the flow map, in addresses; 0 means DefaultFlows.
	Flows int
}

// Stats are counts of datagrams since New, by what decided where they went.
type Stats struct {
	Flow   uint64 // the flow map
	Ufrag  uint64 // the user fragment of a STUN request
	Hash   uint64 // the kernel's hash, neither of the two being known
	Errors uint64 // the kernel's hash: headers that cannot be read, or a socket that is not there
}

// Order of the counters in their map.
const (
	countFlow = iota
	countUfrag
	countHash
	countErrors
	numCounts
)

// UfragPrefix is how a local ICE user fragment begins whose first STUN request
// is to reach socket i, 0 to MaxSockets-1: two letters from A to P, the more
// significant half first. The check's USERNAME is that fragment, a colon and
// the peer's (RFC 8445 §7.2.2), so they are at a fixed place in it. It is empty
// for any other number.
func UfragPrefix(i int) string {
	if i < 0 || i >= MaxSockets {
		return ""
	}
	return string([]byte{'A' + byte(i>>4), 'A' + byte(i&15)})
}
