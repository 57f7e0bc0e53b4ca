package webrtc

import (
	"slices"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

type monoTime = mono.Time

// transportsOf are the transports of a connection, to be counted.
func transportsOf(pc *PeerConnection) (list []*transport) {
	_ = pc.do(func(mono.Time) error { list = slices.Clone(pc.transports); return nil })
	return list
}

// tick paces a writer whose packets have nowhere to wait. Nothing depends on
// how long it takes.
func tick() { <-time.After(200 * time.Microsecond) }
