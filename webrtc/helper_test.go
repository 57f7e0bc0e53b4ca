package webrtc

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

type monoTime = mono.Time

// tick paces a writer whose packets have nowhere to wait. Nothing depends on
// how long it takes.
func tick() { <-time.After(200 * time.Microsecond) }
