// Package bpf puts programs into the kernel, where they meet a datagram before
// its socket does.
//
// Steering chooses among the sockets of one SO_REUSEPORT group: a datagram of a
// known remote address goes to the socket that a flow map names, a STUN request
// from any other address to the one which the ICE user fragment names, and the
// rest where the kernel's own hash says.
//
// Filter sits on the way in of a network interface and drops what is for a port
// but no packet of WebRTC (RFC 7983), and what a source sends too much of before
// it is known: STUN messages and the ClientHellos of DTLS. It is XDP in the
// driver or behind it, or the ingress of traffic control. What it cannot read
// passes, fragments but the first among it.
//
// Programs are assembled when they are loaded, so that no compiler and no object
// file is needed. They run on Linux 5.4 (Steering) or 5.9 (Filter) and later,
// for processes with CAP_BPF and CAP_NET_ADMIN (before Linux 5.8 CAP_SYS_ADMIN,
// and before 5.11 a limit of locked memory that has room for the maps).
// Elsewhere everything returns ErrNotSupported, and the caller lives with the
// kernel's hash and without a filter.
//
// The kernel keeps a Steering's program for as long as a socket of its group is
// open: should the process that loaded it die while others hold the sockets,
// what it put into the flow map stays in force. A Filter ends with its process.
//
// Steering drops nothing, and neither authenticates anything: who may send is
// for the sockets' owners to decide. A Filter bounds what one source can do; of
// a flood from invented sources each is a new one.
package bpf
