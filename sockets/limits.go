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

	// writeBatch bounds the headers of one sendmmsg, some 10 µs each where they
	// are runs, because nobody can stop a goroutine meanwhile; the kernel's own
	// limit is UIO_MAXIOV, 1024. WriteBatch loops beyond it.
	writeBatch = 64

	// landings is how many messages one recvmmsg takes where datagrams may come
	// merged, and landing the bytes of a run beyond the message's own buffer:
	// the largest UDP payload and more. 2 MiB a socket of address space, of
	// which the system gives memory to what runs have reached. What one read
	// finds beyond the caller's messages waits for the next read, in at most as
	// much again.
	landings = 32
	landing  = 1 << 16

	// xdpFrames is how many frames of xdpFrame bytes an interface's ring has: 4
	// MiB a socket. What does not fit waits as in a full buffer.
	xdpFrames = 2048
	xdpFrame  = 2048

	// maxQueues is how many queues of an interface are tried for one that is
	// free; each socket has its own.
	maxQueues = 64

	// queueWait is for how long Listen waits until a queue is free, and
	// queueRetry how often it tries.
	queueWait  = 500 * time.Millisecond
	queueRetry = 5 * time.Millisecond

	// maxHops bounds the remote addresses whose way is known, 150 bytes each;
	// beyond it all are looked up again. maxAsks bounds the look-ups of one
	// write, some 10 µs each; what is beyond goes by the kernel meanwhile.
	maxHops = 1 << 16
	maxAsks = 8

	// hopLife is for how long a way stays true without a look, twice as long
	// while others are looked up, and hopRetry one that leads by the kernel.
	hopLife  = 2 * time.Second
	hopRetry = 200 * time.Millisecond

	// maxRun bounds the bytes of one segmented message: the largest UDP
	// payload over IPv4, 65535 - 20 - 8. Longer runs become several messages.
	maxRun = 65507
)
