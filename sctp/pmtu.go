package sctp

import (
	"encoding/binary"

	"github.com/sluicertc/sluice/internal/mono"
)

// pathMTU finds the largest packet the path carries by probes, whatever ICMP
// says of it. It searches between Config.MTU, which every path must carry, and
// Config.MaxMTU. A probe is a HEARTBEAT with a PAD chunk (RFC 8899 §6.2.1, RFC
// 4820).
//
// Deviates: a peer must skip PAD chunks that it does not know (RFC 9260 §3.2);
// werift 0.24 ends the association instead. One that does not list them (RFC 5061
// §4.2.7) gets a HEARTBEAT with as much information, which comes back as long:
// a size then counts if it passes both ways.
//
// No fragment is longer than Config.MTU has room for, whatever the size found:
// one that was sent cannot be cut again (RFC 9260 §6.9), and so can always be
// sent again when a path turns out to carry less than before.
type pathMTU struct {
	base, most int
	size       int // in use: packets as long as this arrive
	low, high  int // of the search: low arrives, nothing above high is tried

	wanted bool // long packets were sent since the last probe
	probe  int  // length of the probe under way; 0: none
	info   int  // of which HEARTBEAT information
	nonce  uint64
	due    bool // the next packet is the probe
	sent   bool // the last one was
	tries  int
	timer  mono.Time // of the probe, or when to search again
	silent int       // timeouts since a long packet was acknowledged
}

const probeInfoLen = 12 // nonce and length

// probeFrame is what a probe has besides the information.
const probeFrame = headerLen + chunkHeaderLen + paramHeaderLen

func newPathMTU(c *Config) pathMTU {
	return pathMTU{base: c.MTU, most: c.MaxMTU, size: c.MTU, low: c.MTU, high: c.MaxMTU}
}

// Probing reports whether the packet that Transmit wrote last is a probe of the
// path's MTU, which proves nothing if IP fragments it (RFC 8899 §3 item 2).
func (a *Association) Probing() bool { return a.pmtu.sent }

// searching reports whether there is anything left to find out.
func (p *pathMTU) searching() bool { return p.high-p.low >= probeStep }

// next is the length to try: first the most, as most paths are of the usual
// length, and then halfway.
func (p *pathMTU) next() int {
	if p.high == p.most || p.high-p.low < 2*probeStep {
		return p.high &^ 3
	}
	return (p.low + p.high) / 2 &^ 3
}

// noticed sets a probe off when packets are sent which could be longer: an
// application of short messages needs none (RFC 8899 §4.1, §5.3).
func (a *Association) noticed(now mono.Time, n int) {
	p := &a.pmtu
	if n < p.size*3/4 || a.state != stateEstablished {
		return
	}
	p.wanted = true
	if p.probe == 0 && p.timer == 0 && p.searching() {
		a.probePath(now)
	}
}

func (a *Association) probePath(now mono.Time) {
	p := &a.pmtu
	var b [8]byte
	a.random(b[:])
	p.probe, p.nonce, p.tries = p.next(), binary.BigEndian.Uint64(b[:]), 0
	a.sendProbe(now)
}

// sendProbe sets PROBE_TIMER, RFC 8899 §5.1.1.
func (a *Association) sendProbe(now mono.Time) {
	p := &a.pmtu
	p.due, p.wanted = true, false
	p.timer = now.Add(max(a.rto.rto, minProbeTimer))
}

// appendProbe writes the probe, with a PAD chunk or without; pkt is a header. It
// goes beyond the congestion window, and its loss says nothing of congestion
// (RFC 8899 §3 item 8).
func (p *pathMTU) appendProbe(pkt []byte, pad bool) []byte {
	p.due = false
	p.tries++
	p.info = probeInfoLen
	if !pad {
		p.info = p.probe - probeFrame
	}
	start := len(pkt)
	pkt = beginParam(beginChunk(pkt, typeHeartbeat, 0), paramHeartbeatInfo)
	info := len(pkt)
	pkt = binary.BigEndian.AppendUint64(pkt, p.nonce)
	pkt = binary.BigEndian.AppendUint32(pkt, uint32(p.probe))
	pkt = extend(pkt, info+p.info)
	binary.BigEndian.PutUint16(pkt[start+6:], uint16(paramHeaderLen+p.info))
	pkt = endChunk(pkt, start)
	if pad {
		start = len(pkt)
		pkt = endChunk(extend(beginChunk(pkt, typePad, 0), p.probe), start)
	}
	return pkt
}

// extend adds zeros to b, which has the room for n bytes.
func extend(b []byte, n int) []byte {
	from := len(b)
	clear(b[from:n])
	return b[:n]
}

// onProbeTimer counts a probe lost after maxProbes tries, and begins a new
// search when it is time for one.
func (a *Association) onProbeTimer(now mono.Time) {
	p := &a.pmtu
	switch {
	case p.probe == 0:
		p.low, p.high = p.size, p.most // PMTU_RAISE_TIMER
	case a.state != stateEstablished:
		p.probe, p.due = 0, false
	case p.tries < maxProbes:
		a.sendProbe(now)
	default:
		a.stats.PathProbesLost++
		p.high = min(p.probe-probeStep, p.high)
		a.nextProbe(now)
	}
}

// probeAnswered takes the information a HEARTBEAT ACK brings back. It reports
// false when that is of no probe.
func (a *Association) probeAnswered(now mono.Time, info []byte) bool {
	p := &a.pmtu
	if p.probe == 0 || len(info) < probeInfoLen || len(info) != p.info ||
		binary.BigEndian.Uint64(info) != p.nonce || binary.BigEndian.Uint32(info[8:]) != uint32(p.probe) {
		return false
	}
	p.low = p.probe
	p.silent = 0
	a.setSize(max(p.size, p.low))
	a.nextProbe(now)
	return true
}

// nextProbe goes on with the search, or rests until PMTU_RAISE_TIMER.
func (a *Association) nextProbe(now mono.Time) {
	p := &a.pmtu
	p.probe, p.due, p.timer = 0, false, 0
	switch {
	case !p.searching():
		if p.size < p.most {
			p.timer = now.Add(raiseInterval)
		}
	case p.wanted:
		a.probePath(now)
	}
}

// setSize takes a size into use.
func (a *Association) setSize(n int) {
	if n == a.pmtu.size {
		return
	}
	a.pmtu.size = n
	a.cc.resize(n)
	a.tx.size(a.pmtu.base, n, a.peer.interleave)
}

// lostLong is a sign that long packets vanish: a timeout, or a chunk sent
// again and again (RFC 8899 §4.3). The search begins anew below.
func (a *Association) lostLong(now mono.Time) {
	p := &a.pmtu
	if p.size == p.base {
		return
	}
	a.stats.BlackHoles++
	p.low, p.high = p.base, max(p.size-probeStep, p.base)
	p.silent = 0
	a.setSize(p.base)
	p.probe, p.due = 0, false
	p.timer = now.Add(blackHolePause)
	if p.searching() {
		p.timer = 0
	}
}
