package dataplane

import (
	"net/netip"
	"time"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtcp"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/sockets"
	"github.com/sluicertc/sluice/srtp"
)

// TransportConfig describes a Transport.
type TransportConfig struct {
	// Since is an instant before the peer could know that it may speak: DTLS which
	// came earlier is of another association between the same two ports.
	Since    mono.Time
	Lane     *Lane    // on which Endpoint lives
	Endpoint Endpoint // takes STUN, handshakes and events
	CNAME    string   // of everything sent (RFC 7022)
	SSRC     uint32   // sender of feedback, when nothing else is sent
}

// Transport is the data lane's half of one connection: addresses, keys, the
// streams that come in and the legs that go out. It lives on one shard.
type Transport struct {
	// Immutable.
	engine   *Engine
	shard    *Shard
	lane     *Lane
	endpoint Endpoint
	cname    string
	ssrc     uint32
	since    mono.Time
	outbox   *outbox // nil before SetChannels

	// Data lane.
	closed                 bool
	addrs                  []netip.AddrPort
	remote                 netip.AddrPort
	local                  netip.Addr
	srtpIn                 *srtp.Context
	srtpOut                *srtp.Context
	records                *dtls.Records
	overhead, overheadRTCP int // of srtpOut, in bytes
	chans                  channels
	rtt                    time.Duration

	receivers Receivers
	bySSRC    map[uint32]binding
	retired   map[uint32]struct{} // sources of sections that are gone, at most maxStreams
	streams   []*Stream
	legs      map[uint32]*leg // by media and RTX SSRC
	legList   []*leg
	pending   []*leg               // with a burst to forward, in this turn
	ended     map[uint32]numbering // by media SSRC, of legs that are gone
	twcc      rtcp.Recorder
	twccMedia uint32

	node       timerNode
	nextReport mono.Time // 0: nothing to report about
	nextAsk    mono.Time // not before, for keys
	nextTWCC   mono.Time
	nextNACK   mono.Time
	draining   bool
	rtcpOut    bool // streams or legs have feedback to send at once
	count      transportCounters
}

type transportCounters struct {
	packetsIn, packetsOut, bytesIn, bytesOut uint64
}

func (t *Transport) timerNode() *timerNode { return &t.node }

// NewTransport makes a transport, on shard s or, where the kernel steers, on
// that of cfg.Lane: lanes are given out in turn, and what the hash did to the
// first check does not matter. Nothing reaches it before AddRemote names an
// address.
func (e *Engine) NewTransport(s *Shard, cfg TransportConfig) *Transport {
	if e.steered != nil {
		s = cfg.Lane.shard
	}
	t := &Transport{
		engine: e, shard: s, lane: cfg.Lane, endpoint: cfg.Endpoint, cname: cfg.CNAME, ssrc: cfg.SSRC, since: cfg.Since,
		bySSRC: map[uint32]binding{}, retired: map[uint32]struct{}{}, legs: map[uint32]*leg{}, rtt: defaultRTT,
	}
	s.Post(func(s *Shard, _ mono.Time) { bump(&s.count.transports, 1) })
	return t
}

// Shard is where the transport lives.
func (t *Transport) Shard() *Shard { return t.shard }

// Post queues u on the transport's shard.
func (t *Transport) Post(u Update) { t.shard.Post(u) }

// AddRemote admits datagrams from an address that has passed an authenticated
// connectivity check on the socket of shard via. Another transport that held
// the address loses it: the check has just proved who is there.
func (t *Transport) AddRemote(via *Shard, addr netip.AddrPort) {
	admit := func(s *Shard, _ mono.Time) {
		if s == t.shard && t.closed {
			t.forget(addr)
			return
		}
		old := s.addrs[addr]
		known := old == t
		if old != nil && !known && s == via {
			// A peer that begins anew on its port, or a second connection
			// between one pair of ports, of which only one can be served.
			bump(&s.count.takeovers, 1)
		}
		s.addrs[addr] = t
		if s == t.shard && !known {
			t.addrs = append(t.addrs, addr)
			t.forgetOldest()
		}
	}
	if k := t.engine.known; k != nil {
		k.add(addr, t)
	}
	if t.engine.steered == nil {
		if via != t.shard {
			via.Post(admit)
		}
		t.shard.Post(admit)
		return
	}
	// Until the map has the address, and for good when it is full, the hash
	// may send it anywhere.
	t.engine.steered.add(addr, t)
	for _, s := range t.engine.shards {
		s.Post(admit)
	}
}

// forgetOldest keeps a peer that checks from ever new addresses within
// maxAddrs. The address that we send to stays.
func (t *Transport) forgetOldest() {
	for len(t.addrs) > maxAddrs {
		i := 0
		if t.addrs[i] == t.remote {
			i++
		}
		old := t.addrs[i]
		t.addrs = without(t.addrs, old)
		t.forget(old)
	}
}

// forget removes addresses, which other shards may know too, that the kernel
// sent there.
func (t *Transport) forget(addrs ...netip.AddrPort) {
	t.unsteer(addrs...)
	for _, o := range t.engine.shards {
		forget := func(s *Shard, _ mono.Time) {
			for _, a := range addrs {
				if s.addrs[a] == t {
					delete(s.addrs, a)
				}
			}
		}
		if o == t.shard {
			forget(o, 0)
		} else {
			o.Post(forget)
		}
	}
}

// SetRemote chooses where to send. An invalid address stops sending, as the
// loss of consent demands (RFC 7675 §5.1).
func (t *Transport) SetRemote(local netip.Addr, remote netip.AddrPort) {
	t.shard.Post(func(s *Shard, now mono.Time) {
		t.local, t.remote = local, remote
		t.wantDrain()
	})
}

// SetRTT tells the round-trip time that the control plane has measured.
func (t *Transport) SetRTT(d time.Duration) {
	t.shard.Post(func(*Shard, mono.Time) { t.rtt = max(d, time.Millisecond) })
}

// SetRecords hands the protection of records over to the data lane, which owns
// it from then on.
func (t *Transport) SetRecords(records *dtls.Records) {
	t.shard.Post(func(*Shard, mono.Time) { t.records = records })
}

// SetSRTP hands the protection of media over to the data lane, which owns it
// from then on. It is needed when media is negotiated.
func (t *Transport) SetSRTP(in, out *srtp.Context) {
	t.shard.Post(func(_ *Shard, now mono.Time) {
		t.srtpIn, t.srtpOut = in, out
		t.overhead, t.overheadRTCP = out.Profile().Overhead(), out.Profile().OverheadRTCP()
		t.wantReports(now)
	})
}

// SendRecord seals and sends a record for the handshake machine. Its content
// is copied.
func (t *Transport) SendRecord(contentType uint8, content []byte) {
	b := append([]byte(nil), content...)
	t.shard.Post(func(s *Shard, now mono.Time) {
		if t.records == nil || !t.remote.IsValid() {
			return
		}
		dst := s.tx.reserve(len(b) + dtls.RecordOverhead)
		if n, err := t.records.SealAs(dst, contentType, b); err == nil {
			s.tx.datagram(t, dst[:n])
		}
	})
}

// Close removes the transport from its shard; then, on the shard's data lane,
// done is called if it is not nil.
func (t *Transport) Close(done func()) {
	t.shard.Post(func(s *Shard, _ mono.Time) {
		t.remove(s)
		if done != nil {
			done()
		}
	})
}

// remove is Close on the data lane. What was sealed before still goes out.
func (t *Transport) remove(s *Shard) {
	if t.closed {
		return
	}
	t.closed = true
	s.timers.set(t, 0)
	bump(&s.count.transports, -1)
	t.forget(t.addrs...)
	for _, st := range t.streams {
		st.unbind()
	}
	for len(t.legList) > 0 {
		s.removeLeg(t.legList[0])
	}
	if t.srtpIn != nil {
		t.srtpIn.Close()
	}
	if t.srtpOut != nil {
		t.srtpOut.Close()
	}
	t.srtpIn, t.srtpOut, t.records = nil, nil, nil
	t.remote = netip.AddrPort{}
	if t.chans.c != nil {
		t.chans.untally(s)
	}
	t.chans = channels{}
}

// arm makes sure that fire runs at the given instant or earlier.
func (t *Transport) arm(at mono.Time) {
	if !t.closed {
		t.shard.timers.advance(t, at)
	}
}

// wantDrain has transmit called before this turn ends.
func (t *Transport) wantDrain() {
	if !t.draining && !t.closed {
		t.draining = true
		t.shard.drain = append(t.shard.drain, t)
	}
}

// fire does what is due and sets the next deadline.
func (t *Transport) fire(now mono.Time) {
	if due(t.nextReport, now) {
		t.nextReport = 0
		t.sendReports(now)
		t.wantReports(now)
	}
	if due(t.nextTWCC, now) {
		t.nextTWCC = 0
		t.sendTWCC(now)
	}
	if due(t.nextNACK, now) {
		t.nextNACK = 0
		t.sendFeedback(now)
	}
	if at := t.chans.timeout(); due(at, now) {
		t.chans.handleTimeout(now)
		t.wantDrain()
	}
	t.arm(t.nextReport)
	t.arm(t.nextTWCC)
	t.arm(t.nextNACK)
	t.arm(t.chans.timeout())
}

// wantReports has reports sent every reportInterval, while there is something to
// report about: who only has data channels is not woken.
func (t *Transport) wantReports(now mono.Time) {
	if t.nextReport == 0 && t.srtpOut != nil && len(t.streams)+len(t.legList) > 0 {
		t.nextReport = nextTick(now.Add(reportInterval))
		t.arm(t.nextReport)
	}
}

// askForKeys tells the handshake machine that the sealing key is nearly used up
// (RFC 9147 §4.5.3), once in keyInterval until new keys are on their way.
func (t *Transport) askForKeys(now mono.Time) {
	if now < t.nextAsk {
		return
	}
	t.nextAsk = now.Add(keyInterval)
	t.shard.toCtl(t, &sockets.Message{Addr: t.remote, Local: t.local, At: now}, dtls.KeyLimitNear, nil)
}

// nextTick moves a deadline that need not be exact to the next multiple of
// reportTick, so that many transports share a wake-up and a system call.
func nextTick(at mono.Time) mono.Time {
	const tick = mono.Time(reportTick)
	return (at + tick - 1) / tick * tick
}

func due(at, now mono.Time) bool { return at != 0 && at <= now }

// transmit drains what the transport's machines want to send.
func (t *Transport) transmit(now mono.Time) {
	t.draining = false
	if t.closed {
		return
	}
	if t.rtcpOut {
		t.rtcpOut = false
		t.sendFeedback(now)
	}
	if t.chans.c != nil {
		t.transmitChannels(now)
	}
}

// receiveDTLS takes a datagram of one or more records, which wait for
// openRecords.
func (t *Transport) receiveDTLS(m *sockets.Message) {
	s := t.shard
	// It waited in the socket since before: it is of another association between
	// the same two ports, and a handshake that began with its hello would never
	// end.
	if m.At.Before(t.since) {
		s.drop(DropUnknownAddr)
		return
	}
	if t.records == nil {
		s.toCtl(t, m, 0, m.Buf)
		return
	}
	for b := m.Buf; len(b) > 0; {
		rec, rest, ok := dtls.SplitRecord(b)
		if !ok {
			s.drop(DropRecord)
			return
		}
		b = rest
		// The peer's last flight again, because ours or its ACK was lost (RFC
		// 6347 §4.2.4, RFC 9147 §5.8); the handshake machine knows.
		if !t.records.Owns(rec) {
			s.toCtl(t, m, 0, rec)
			continue
		}
		s.records = append(s.records, dtls.RecordJob{Records: t.records, Src: rec})
		s.recordFrom = append(s.recordFrom, recordFrom{t, *m})
	}
}

// openRecords opens the records that wait, of all transports together, and
// passes them on in their order.
func (s *Shard) openRecords(now mono.Time) {
	if len(s.records) == 0 {
		return
	}
	before := s.current
	s.opener.OpenBatch(s.records)
	for i := range s.records {
		j, from := &s.records[i], &s.recordFrom[i]
		s.current = from.t
		switch {
		case j.Err != nil:
			s.drop(DropRecord)
		case j.ContentType != dtls.ContentApplicationData:
			s.toCtl(from.t, &from.m, j.ContentType, j.Dst[:j.N])
		default:
			from.t.receiveSCTP(now, j.Dst[:j.N])
		}
	}
	s.current = before
	s.forgetRecords()
}

func (s *Shard) forgetRecords() {
	clear(s.records)
	clear(s.recordFrom)
	s.records, s.recordFrom = s.records[:0], s.recordFrom[:0]
}

// Redeliver takes back a DTLS datagram that went up to the endpoint before the
// keys came down, and that only the data lane can open. It is copied.
func (t *Transport) Redeliver(p *Packet) {
	m := sockets.Message{Buf: append([]byte(nil), p.Buf...), Addr: p.Remote, Local: p.Local.Addr(), At: p.At}
	t.shard.Post(func(_ *Shard, now mono.Time) {
		if !t.closed && t.records != nil {
			t.receiveDTLS(&m)
			t.shard.openRecords(now)
		}
	})
}

// receiveHandedOver takes a datagram that reached another shard's socket.
func (t *Transport) receiveHandedOver(now mono.Time, h *handover) {
	s := t.shard
	if t.closed {
		s.drop(DropUnknownAddr)
		return
	}
	m := sockets.Message{Buf: h.buf, Addr: h.remote, Local: h.local, At: h.at}
	switch b := h.buf[0]; {
	case b < 4:
		s.toCtl(t, &m, 0, h.buf)
	case b >= 20 && b < 64:
		t.receiveDTLS(&m)
		s.openRecords(now)
	case b >= 128 && b < 192:
		t.receiveSRTP(now, &m)
	default:
		s.drop(DropUnknownClass)
	}
}

// receiveSRTP opens one packet that lies in another shard's cell, into a cell
// of this shard.
func (t *Transport) receiveSRTP(now mono.Time, m *sockets.Message) {
	s := t.shard
	if t.srtpIn == nil {
		s.drop(DropNoKeys)
		return
	}
	if rtcp.IsRTCP(m.Buf) {
		t.receiveRTCP(now, m)
		return
	}
	cell, buf := s.borrow()
	if cell < 0 {
		return
	}
	n, err := t.srtpIn.Unprotect(buf, m.Buf)
	if err != nil {
		s.dropSRTP(err)
		return
	}
	t.receiveRTP(now, buf[:n], m.At, cell)
}

// Send protects and sends one RTP packet as it is. It is copied.
func (e *Engine) Send(t *Transport, pkt []byte) {
	b := append([]byte(nil), pkt...)
	t.shard.Post(func(s *Shard, now mono.Time) {
		if _, ok := rtp.Parse(b); !ok || len(b) > maxPacket {
			s.drop(DropFormat)
			return
		}
		if !t.sendable() {
			s.drop(DropPaused)
			return
		}
		s.tx.begin(t)
		s.tx.raw(b)
	})
}

// sendable reports whether media may go out: keys, and consent.
func (t *Transport) sendable() bool { return t.srtpOut != nil && t.remote.IsValid() }
