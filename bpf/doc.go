// Package bpf steers datagrams among the sockets of one SO_REUSEPORT group,
// inside the kernel: a datagram of a known remote address goes to the socket
// that a flow map names, a STUN request from any other address to the one
// which the ICE user fragment names, and the rest where the kernel's own hash
// says.
//
// The program (type sk_reuseport) is assembled when it is loaded, so that no
// compiler and no object file is needed. It runs on Linux 5.4 and later, for
// processes with CAP_BPF and CAP_NET_ADMIN (before Linux 5.8 CAP_SYS_ADMIN, and
// before 5.11 a limit of locked memory that has room for the maps). Elsewhere
// everything returns ErrNotSupported, and the caller lives with the hash.
//
// The kernel keeps a program for as long as a socket of its group is open:
// should the process that loaded it die while others hold the sockets, what it
// put into the flow map stays in force.
//
// The package drops nothing, reads no payload but the attributes of STUN
// binding requests up to USERNAME, and authenticates nothing: who may send is
// for the sockets' owners to decide.
package bpf
