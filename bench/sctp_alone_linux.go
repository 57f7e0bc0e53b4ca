package main

import (
	"net"
	"runtime"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/internal/simtest"
	"github.com/sluicertc/sluice/sctp"
)

const aloneMissing = ""

// aloneEnds are two associations of ours with nothing between them. The clock
// is virtual: it goes on with every packet, and to the next timer when nothing
// else happens.
type aloneEnds struct {
	*sctpEnds
	now mono.Time
	buf []byte
}

func newAloneEnds(size int) *aloneEnds {
	e := &aloneEnds{newSCTPEnds(size), simtest.Epoch, make([]byte, 2048)}
	e.a.Start(e.now)
	return e
}

// turn lets either send what it has.
func (e *aloneEnds) turn() {
	quiet := true
	e.work(e.now)
	for i, from := range []*sctp.Association{e.a, e.b} {
		to := []*sctp.Association{e.b, e.a}[i]
		for n := from.Transmit(e.now, e.buf); n > 0; n = from.Transmit(e.now, e.buf) {
			quiet = false
			e.now = e.now.Add(time.Microsecond)
			_ = to.HandlePacket(e.now, e.buf[:n]) // a refusal comes as an event
		}
		if at := from.Timeout(); at != 0 && at <= e.now {
			from.HandleTimeout(e.now)
		}
	}
	if quiet {
		e.now = max(e.now, mono.Earliest(e.a.Timeout(), e.b.Timeout()))
	}
}

// sluiceAlone works for d of processor time and returns MB per second of it.
func (c sctpCase) sluiceAlone(d time.Duration) (float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begun := threadCPU()
	e := newAloneEnds(c.size)
	for {
		for range 16 {
			e.turn()
		}
		if e.closed != nil {
			return 0, e.closed
		}
		if used := threadCPU() - begun; used >= d {
			return float64(e.arrived) / 1e6 / used.Seconds(), nil
		}
	}
}

// pionAlone counts the processor time of the process, in which nobody else has
// anything to do.
func (c sctpCase) pionAlone(d time.Duration) (float64, error) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	begun := processCPU()
	arrived, err := c.pionFlow([2]net.Conn{a, b}, d)
	return float64(arrived) / 1e6 / (processCPU() - begun).Seconds(), err
}
