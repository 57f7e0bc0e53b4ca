package dataplane

import (
	"net/netip"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtcp"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/sockets"
	"github.com/sluicertc/sluice/srtp"
)

// egress gathers what a turn sends: packets are written into an arena run by
// run, encrypted in one batch and sent in one call. Data lane.
type egress struct {
	s     *Shard
	arena []byte
	used  int
	msgs  []sockets.Message
	batch srtp.Batch
	jobs  []int // for each packet of the batch, its message

	sealer  dtls.Batch
	records []dtls.RecordJob
	holders []int // for each record, its message

	// The run being built: the message's index, -1 for none.
	t       *Transport
	run     int
	segs    int
	runFrom int
	rtx     [cellSize]byte
}

func (x *egress) init(s *Shard) {
	x.s = s
	x.arena = make([]byte, arenaSize)
	x.msgs = make([]sockets.Message, 0, outMessages)
	x.jobs = make([]int, 0, outPackets)
	x.records = make([]dtls.RecordJob, 0, outPackets)
	x.holders = make([]int, 0, outPackets)
	x.run = -1
}

func (x *egress) reset() {
	poison(x.arena[:x.used:x.used])
	x.batch.Reset()
	x.jobs = x.jobs[:0]
	clear(x.records)
	x.records, x.holders = x.records[:0], x.holders[:0]
	x.msgs = x.msgs[:0]
	x.used, x.run = 0, -1
}

// begin starts the packets of one receiver, or goes on with them.
func (x *egress) begin(t *Transport) {
	if x.t != t {
		x.t, x.run = t, -1
	}
}

// forward queues v's payload, padding included, behind a rewritten header.
func (x *egress) forward(v *rtp.View, rw *rtp.Rewrite) {
	payload := v.Body()
	x.need(rewriteRoom + len(payload))
	dst := x.arena[x.used:x.used:len(x.arena)]
	header := len(rtp.AppendRewritten(dst, *v, rw))
	size := header + len(payload) + x.t.overhead
	x.batch.AddSplit(x.t.srtpOut, x.arena[x.used:x.used+size], header, payload)
	x.place(size)
}

// retransmit queues v's payload as RFC 4588 §4 has it: the original sequence
// number in front.
func (x *egress) retransmit(v *rtp.View, rw *rtp.Rewrite, original uint16) {
	payload := append(x.rtx[:0], byte(original>>8), byte(original))
	payload = append(payload, v.Payload()...)
	x.need(rewriteRoom + len(payload))
	dst := x.arena[x.used:x.used:len(x.arena)]
	header := len(rtp.AppendRewritten(dst, *v, rw))
	size := header + len(payload) + x.t.overhead
	pkt := append(x.arena[x.used:x.used+header], payload...)
	x.batch.Add(x.t.srtpOut, x.arena[x.used:x.used+size], pkt)
	x.place(size)
}

// raw queues a packet as it is.
func (x *egress) raw(pkt []byte) {
	x.need(len(pkt) + x.t.overhead)
	size := len(pkt) + x.t.overhead
	dst := x.arena[x.used : x.used+size]
	x.batch.Add(x.t.srtpOut, dst, dst[:copy(dst, pkt)])
	x.place(size)
}

// place accounts for a packet of size bytes that was just queued: it joins
// the run, or begins one.
func (x *egress) place(size int) {
	x.jobs = append(x.jobs, x.join(size))
	if x.s.stages.on {
		bump(&x.s.stages.packets[StageRoute], 1)
	}
	x.used += size
	bump(&x.s.count.rtpOut, 1)
	bump(&x.s.count.rtpOutBytes, size)
	x.t.count.packetsOut++
	x.t.count.bytesOut += uint64(size)
}

// join is the message of the run that the next size bytes belong to. A run's
// packets are of one size, but for a shorter last.
func (x *egress) join(size int) int {
	if x.run >= 0 {
		m := &x.msgs[x.run]
		open := len(m.Buf) == x.segs*int(m.Seg)
		if open && size <= int(m.Seg) && x.segs < maxRunSegments && len(m.Buf)+size <= maxRunBytes {
			m.Buf = x.arena[x.runFrom : x.used+size]
			x.segs++
			return x.run
		}
	}
	x.run, x.segs, x.runFrom = len(x.msgs), 1, x.used
	x.msgs = append(x.msgs, sockets.Message{
		Buf: x.arena[x.used : x.used+size], Addr: x.t.remote, Local: x.t.local, Seg: uint16(size),
	})
	return x.run
}

// need makes room for a packet of size bytes, by sending what there is.
func (x *egress) need(size int) {
	if x.used+size+cellTailroom > len(x.arena) || len(x.msgs) == outMessages ||
		len(x.jobs) == outPackets || len(x.records) == outPackets {
		x.flush()
	}
}

// plain is where the message of a record is written that record then queues.
func (x *egress) plain(r *dtls.Records) []byte {
	x.need(cellSize)
	return x.arena[x.used+r.Headroom() : x.used+cellSize-dtls.RecordOverhead]
}

// record queues the first n bytes of plain as a record of application data.
func (x *egress) record(r *dtls.Records, n int) {
	size, at := n+r.Overhead(), x.used+r.Headroom()
	x.records = append(x.records, dtls.RecordJob{
		Records: r,
		Dst:     x.arena[x.used : x.used+size],
		Src:     x.arena[at : at+n],
	})
	x.holders = append(x.holders, x.join(size))
	x.used += size
	x.t.count.packetsOut++
	x.t.count.bytesOut += uint64(size)
}

// wholeRecord is record for a probe of the path's MTU: it leaves by itself, and
// not in fragments.
func (x *egress) wholeRecord(r *dtls.Records, n int) {
	x.run = -1
	x.record(r, n)
	x.msgs[x.run].Whole = true
	x.run = -1
}

// reserve is room for a datagram that is not SRTP; datagram sends what was
// written to it.
func (x *egress) reserve(size int) []byte {
	x.need(size)
	return x.arena[x.used : x.used+size]
}

func (x *egress) datagram(t *Transport, b []byte) {
	x.run = -1
	x.msgs = append(x.msgs, sockets.Message{Buf: b, Addr: t.remote, Local: t.local})
	x.used += len(b)
	t.count.packetsOut++
	t.count.bytesOut += uint64(len(b))
}

// flush encrypts and sends (steps 7 and 8 of the walk).
func (x *egress) flush() {
	if len(x.msgs) == 0 {
		return
	}
	stages := &x.s.stages
	before := stages.enter(StageProtect, len(x.jobs)+len(x.records))
	x.batch.Protect()
	for i, msg := range x.jobs {
		if _, err := x.batch.Result(i); err != nil {
			x.refuse(msg)
		}
	}
	x.sealer.SealBatch(x.records)
	for i, msg := range x.holders {
		if x.records[i].Err != nil {
			x.refuse(msg)
		}
	}
	stages.enter(StageSend, len(x.jobs)+len(x.records))
	x.send()
	x.reset()
	stages.enter(before, 0)
}

// refuse keeps a message back: the packet that could not be protected lies
// there in plaintext.
func (x *egress) refuse(msg int) {
	x.s.drop(DropProtect)
	x.msgs[msg].Buf = nil
	x.msgs[msg].Addr = netip.AddrPort{}
}

// send tries once more when the socket is full, then drops: media that waits
// is late, and a shard that waits stalls every other receiver.
func (x *egress) send() {
	ms := x.msgs
	for tries := 0; len(ms) > 0; {
		n, err := x.s.conn.WriteBatch(ms)
		ms = ms[n:]
		if err == nil {
			continue
		}
		if tries++; tries > 1 {
			bump(&x.s.count.drops[DropSend], len(ms))
			return
		}
	}
}

// sendRTCP protects and sends one RTCP packet.
func (t *Transport) sendRTCP(pkt []byte) {
	if !t.sendable() {
		return
	}
	x := &t.shard.tx
	dst := x.reserve(len(pkt) + t.overheadRTCP)
	n, err := t.srtpOut.ProtectRTCP(dst, pkt)
	if err != nil {
		t.shard.drop(DropProtect)
		return
	}
	bump(&t.shard.count.rtcpOut, 1)
	x.datagram(t, dst[:n])
}

// startRTCP is an empty packet of feedback: with a report in front where the
// peer did not agree to reduced size (RFC 5506 §3.4.1).
func (t *Transport) startRTCP() []byte {
	b := t.shard.rtcp[:0]
	if !t.receivers.ReducedSize {
		b = rtcp.AppendRR(b, t.ssrc, nil)
		b = rtcp.AppendSDES(b, t.ssrc, t.cname)
	}
	return b
}

// sendTWCC reports the arrivals since the last time.
func (t *Transport) sendTWCC(mono.Time) {
	for t.twcc.Pending() > 0 && t.sendable() {
		t.sendRTCP(t.twcc.Append(t.startRTCP(), t.ssrc, t.twccMedia))
	}
}
