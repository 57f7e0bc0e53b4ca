package dtls

import "github.com/sluicertc/sluice/internal/mono"

// Hold suspends, or resumes, the timers which presume that datagrams leave when
// Transmit yields them: nothing is sent again, and the handshake has no deadline.
// It is for the time in which another protocol carries the datagrams and repeats
// them until they are acknowledged (draft-hancke-webrtc-sped §6), and may begin
// before Start. Resumed, a flight that is not answered is sent again after its
// interval, and Config.HandshakeTimeout begins anew. Acknowledgements of DTLS 1.3
// go on meanwhile.
func (c *Conn) Hold(now mono.Time, held bool) {
	if c.held == held {
		return
	}
	if c.held = held; held {
		return
	}
	if c.phase != phaseNew {
		c.deadline = now.Add(c.cfg.HandshakeTimeout)
	}
	if c.out.resendAt != 0 {
		c.out.resendAt = now.Add(c.out.interval)
	}
}

// SetMTU changes Config.MTU, for what is transmitted from now on. n is taken to
// the nearest value within 256 to 16384. It is of no effect on Records that have
// been handed over.
func (c *Conn) SetMTU(n int) {
	n = min(max(n, minMTU), maxMTU)
	if n == c.cfg.MTU {
		return
	}
	c.cfg.MTU = n
	for _, r := range []*Records{c.hand, c.records} {
		if r != nil && !c.handed {
			r.mtu = n
		}
	}
}
