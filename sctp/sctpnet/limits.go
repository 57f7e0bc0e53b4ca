package sctpnet

import "time"

const (
	// defaultMTU is IPv6's least MTU of 1280 bytes less IPv6 (40) and UDP (8).
	defaultMTU = 1232
	// maxDatagram is the longest packet received. A longer one is cut, and its
	// checksum says so.
	maxDatagram = 65535
	// DefaultMaxConns bounds the associations of an endpoint. Who comes then is
	// not answered.
	DefaultMaxConns = 4096
	// DefaultBacklog bounds those not yet accepted. Others are aborted.
	DefaultBacklog = 128
	// DefaultCloseTimeout is how long Close waits for what was written to be
	// delivered.
	DefaultCloseTimeout = 5 * time.Second
)
