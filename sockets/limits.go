package sockets

import "time"

const (
	// DefaultWakeupDelay is what a busy socket lets datagrams wait for at most,
	// so that they come in groups: a tenth of what a jitter buffer takes for
	// granted.
	DefaultWakeupDelay = time.Millisecond

	// DefaultBuffer is the size asked for the kernel's socket buffers: 7 MB is
	// some 20 ms of 10 Gb/s in 1200-byte datagrams, counted at the kernel's
	// true size of 2304 bytes each. What arrives beyond it is dropped by the
	// kernel.
	DefaultBuffer = 7 << 20

	// RunSizes is how many sizes of a run Stats.Runs tells apart, doubling from
	// one datagram to more than 64.
	RunSizes = 8

	// readBatch bounds the datagrams of one recvmmsg. A longer slice given to
	// ReadBatch is filled up to here.
	readBatch = 128

	// writeBatch bounds the headers of one sendmmsg; the kernel's own limit is
	// UIO_MAXIOV, 1024. WriteBatch loops beyond it.
	writeBatch = 256

	// landings is how many messages one recvmmsg takes where datagrams may come
	// merged, and landing the bytes of a run beyond the message's own buffer:
	// the largest UDP payload and more. 2 MiB a socket of address space, of
	// which the system gives memory to what runs have reached. What one read
	// finds beyond the caller's messages waits for the next read, in at most as
	// much again.
	landings = 32
	landing  = 1 << 16

	// maxRun bounds the bytes of one segmented message: the largest UDP
	// payload over IPv4, 65535 - 20 - 8. Longer runs become several messages.
	maxRun = 65507
)
