// Package load is the other end of a forwarding server: publishers and viewers
// with real ICE, DTLS and SRTP, made to cost as little as possible. One
// goroutine drives them all, each on a UDP socket of its own, from the sans-IO
// cores; arrival is stamped by the kernel, so that a delay of the load itself
// is not taken for the server's.
//
// Offers go to a server by HTTP, after the manner of WHIP and WHEP. Viewers
// count what authenticates, each packet once. Unless told to, they ask for no
// retransmission, so that a packet lost is a packet missing; told to, they may
// lose a share of what arrives, by seed, and ask as libwebrtc does, except that
// their receiver reports say nothing of it. It decodes nothing, and it runs on
// Linux only.
package load
