// Package sockets moves batches of UDP datagrams between the kernel and the
// caller's buffers: recvmmsg and sendmmsg with headers built once, runs of
// equal-sized datagrams to one receiver as a single generic segmentation
// offload message (UDP_SEGMENT), datagrams that the kernel has merged told apart
// again (UDP_GRO), destination addresses, times of arrival and ECN marks read
// with each datagram. What goes out alone may go by an interface's own ring
// (AF_XDP), which costs less than half.
//
// A Conn belongs to one goroutine, save for Wake, Close, LocalAddr, Stats and
// the Writers made from it, each of which belongs to one goroutine of its own.
// Linux is the fast implementation; every other system, and Linux when asked,
// uses a portable twin with the same behaviour over net.UDPConn.
//
// It does not demultiplex, pace, retransmit or queue: a datagram which the
// kernel does not take is the caller's to retry or drop.
package sockets
