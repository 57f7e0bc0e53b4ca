package sctp

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// Start sends an INIT, if nothing has happened yet. In WebRTC both sides do
// (RFC 8831 §6.2); the collision resolves as in RFC 9260 §5.2.1.
func (a *Association) Start(now mono.Time) {
	if a.state != stateIdle {
		return
	}
	if a.imported != nil {
		a.startImported(now)
		return
	}
	a.state = stateCookieWait
	a.sendInit(now)
}

func (a *Association) sendInit(now mono.Time) {
	i := a.ownInit(a.tag, a.tsn)
	a.sendWhole(0, appendInit(nil, typeInit, &i))
	a.initAt = 0
	if a.retries == 0 {
		a.initAt = now
	}
	a.t1 = now.Add(a.rto.rto)
}

func (a *Association) ownInit(tag, tsn uint32) initChunk {
	return initChunk{
		tag: tag, tsn: tsn, window: uint32(a.rx.data.limit),
		out: a.cfg.MaxStreams, in: a.cfg.MaxStreams,
		forwardTSN: true, reconfig: true,
		interleave: a.cfg.Interleave, zeroChecksum: a.cfg.DTLS, pad: true,
	}
}

// handleInit answers an INIT, RFC 9260 §5.1 B and §5.2. It makes no state:
// everything is in the cookie.
func (a *Association) handleInit(now mono.Time, c chunk) error {
	i, ok := parseInit(c)
	if !ok || i.tag == 0 { // §3.3.2: tag 0 is silently discarded
		return ErrMalformed
	}
	if i.out == 0 || i.in == 0 {
		a.sendWhole(i.tag, appendError(nil, typeAbort, 0, causeInvalidParam, nil))
		return ErrProtocol
	}
	k := cookie{
		at: now, localTag: a.tag, localTSN: a.tsn, peerTag: i.tag, peerTSN: i.tsn, window: i.window,
		out: i.out, in: i.in, forwardTSN: i.forwardTSN, reconfig: i.reconfig,
		interleave: i.interleave, zeroChecksum: i.zeroChecksum, pad: i.pad,
	}
	switch a.state {
	case stateClosed:
		a.sendWhole(i.tag, appendError(nil, typeAbort, 0, 0, nil))
		return ErrUnexpected
	case stateShutdownAckSent: // §9.2
		a.shutdownDue = true
		return nil
	case stateIdle, stateCookieWait: // §5.2.1: as in our own INIT
	case stateCookieEchoed:
		k.localTie, k.peerTie = a.tag, a.peer.tag
	default: // §5.2.2
		k.localTie, k.peerTie = a.tag, a.peer.tag
		k.localTag, k.localTSN = a.newTag(), a.random32()
	}
	ack := a.ownInit(k.localTag, k.localTSN)
	ack.cookie = k.append(nil, &a.key)
	ack.unknown = i.unknown
	a.sendWhole(i.tag, appendInit(nil, typeInitAck, &ack))
	return nil
}

// handleInitAck is §5.1 C.
func (a *Association) handleInitAck(now mono.Time, c chunk) error {
	if a.state != stateCookieWait {
		return ErrUnexpected // §5.2.3
	}
	i, ok := parseInit(c)
	switch {
	case !ok:
		return ErrMalformed
	case i.tag == 0, i.out == 0, i.in == 0: // §3.3.3
		a.peer.tag = i.tag
		a.fail(ErrProtocol, causeInvalidParam, nil)
		return ErrProtocol
	case len(i.cookie) == 0:
		a.peer.tag = i.tag
		a.fail(ErrProtocol, causeMissingParam, []byte{0, 0, 0, 1, 0, byte(paramStateCookie)})
		return ErrProtocol
	}
	a.adopt(i.said())
	a.cookie = append([]byte(nil), i.cookie...)
	if len(i.unknown) > 0 {
		a.reportError(causeUnknownParams, i.unknown)
	}
	if a.initAt != 0 {
		a.rto.sample(now.Sub(a.initAt))
	}
	a.state = stateCookieEchoed
	a.cookieDue, a.retries = true, 0
	a.t1 = now.Add(a.rto.rto)
	return nil
}

// said is what a cookie keeps of an INIT or INIT ACK.
func (i *initChunk) said() *cookie {
	return &cookie{
		peerTag: i.tag, peerTSN: i.tsn, window: i.window, out: i.out, in: i.in,
		forwardTSN: i.forwardTSN, reconfig: i.reconfig, interleave: i.interleave, zeroChecksum: i.zeroChecksum, pad: i.pad,
	}
}

// adopt takes over what the peer said of itself.
func (a *Association) adopt(k *cookie) {
	a.peer = peerInfo{
		tag: k.peerTag, tsn: k.peerTSN, forwardTSN: k.forwardTSN, reconfig: k.reconfig,
		interleave: k.interleave && a.cfg.Interleave, zeroSum: k.zeroChecksum && a.cfg.DTLS, pad: k.pad,
	}
	a.tx.size(a.pmtu.base, a.pmtu.size, a.peer.interleave)
	a.rx.data.wide = a.peer.interleave
	a.outStreams = min(a.cfg.MaxStreams, k.in) // §5.1.1
	a.inStreams = min(a.cfg.MaxStreams, k.out)
	a.dropStreams()
	a.rx.start(k.peerTSN)
	a.rx.tune.rtt = k.trip
	a.rc.peerNext = k.peerTSN // RFC 6525 §4.1: starts at the initial TSN
	a.rc.next = a.tsn
	a.tx.peerWindow = int(min(k.window, 1<<31-1))
	a.cc.start(a.tx.end())
}

// handleCookieEcho is §5.1 D and, for what comes unexpected, the table of
// §5.2.4.
func (a *Association) handleCookieEcho(now mono.Time, h header, c chunk) error {
	k, ok := parseCookie(c.value, &a.key)
	if !ok {
		a.stats.BadCookies++
		return ErrMalformed
	}
	if h.tag != k.localTag {
		return ErrTag
	}
	local, peer := k.localTag == a.tag, k.peerTag == a.peer.tag
	if late := k.staleness(now, a.cfg.CookieLife); late > 0 && !(local && peer) {
		us := be32(uint32(min(late/time.Microsecond, 1<<32-1)))
		a.sendWhole(k.peerTag, appendError(nil, typeError, 0, causeStaleCookie, us))
		return ErrUnexpected
	}
	switch {
	case a.state == stateClosed:
		return ErrUnexpected
	case a.state == stateIdle:
		k.trip = now.Sub(k.at)
		a.adopt(&k)
		a.establish(now)
	case !local && !peer && k.localTie == a.tag && k.peerTie == a.peer.tag && k.localTie != 0: // A
		return a.restart(now, &k)
	case local && !peer: // B
		if a.state < stateEstablished {
			k.trip = now.Sub(k.at)
			a.adopt(&k)
			a.establish(now)
		} else {
			a.peer.tag = k.peerTag
		}
	case local && peer: // D
		if a.state < stateEstablished {
			a.establish(now)
		}
	default: // C, and what matches nothing
		return ErrUnexpected
	}
	a.queueControl(appendChunk(nil, typeCookieAck, 0, nil))
	return nil
}

// restart is action A: the peer has lost the association and made a new one.
func (a *Association) restart(now mono.Time, k *cookie) error {
	if a.state == stateShutdownAckSent {
		a.shutdownDue = true
		a.reportError(causeShuttingDown, nil)
		return ErrUnexpected
	}
	a.tag, a.tsn = k.localTag, k.localTSN
	a.release()
	a.rx = receiver{data: a.newReassembly()}
	a.pmtu = newPathMTU(&a.cfg)
	a.cc.mtu = a.pmtu.size
	a.tx = a.newSender()
	a.tx.window.start(a.tsn)
	a.rack, a.minRTT = rack{}, minFilter{}
	a.rc = reconfig{}
	a.control.reset()
	a.t2, a.t5, a.shutdownDue = 0, 0, false
	a.adopt(k)
	a.events.push(Event{Kind: EventRestarted, Err: ErrRestarted})
	a.establish(now)
	a.queueControl(appendChunk(nil, typeCookieAck, 0, nil))
	return nil
}

func (a *Association) handleCookieAck(now mono.Time) error {
	switch {
	case a.state < stateCookieEchoed:
		return ErrUnexpected // §5.2.5
	case a.state == stateCookieEchoed:
		a.establish(now)
	} // otherwise both sides' handshakes were completed by the peer's cookie
	return nil
}

// establish enters ESTABLISHED.
func (a *Association) establish(now mono.Time) {
	a.state = stateEstablished
	a.t1, a.retries, a.tx.errors = 0, 0, 0
	a.cookie, a.cookieDue = nil, false
	a.tx.advanced = a.tx.base - 1
	a.tx.sampleFrom = a.tx.base
	a.hb.schedule(a, now)
	if a.tx.outstanding() {
		a.tx.startT3(now, mono.Time(a.rto.rto))
	}
	a.events.push(Event{Kind: EventConnected})
	a.tryReset(now)
}

// dropStreams forgets what was written, before the peer said how many streams
// it takes, to streams which it does not take.
func (a *Association) dropStreams() {
	t := &a.tx
	for sid, s := range t.streams {
		if sid < a.outStreams {
			continue
		}
		for s.queue.len() > 0 {
			if m := *s.queue.peek(); !m.gone {
				t.forget(m)
			}
			t.dequeue(s)
		}
		for _, m := range s.held {
			if !m.gone {
				t.forget(m)
			}
			t.pending--
		}
		delete(t.streams, sid)
	}
}

// onT1 repeats INIT or COOKIE ECHO, §5.1 and §6.3.3.
func (a *Association) onT1(now mono.Time) {
	if a.retries++; a.retries > a.cfg.MaxInitRetransmits {
		a.fail(ErrTimeout, causeUserAbort, []byte("handshake timed out"))
		return
	}
	a.stats.Timeouts++
	a.rto.backoff()
	if a.state == stateCookieWait {
		a.sendInit(now)
		return
	}
	a.echoAgain(now)
}

// echoAgain repeats COOKIE ECHO, with the DATA which went along.
func (a *Association) echoAgain(now mono.Time) {
	a.cookieDue = true
	a.t1 = now.Add(a.rto.rto)
	a.tx.markAll()
}

// staleCookie is §5.2.6: begin again with a new INIT.
func (a *Association) staleCookie(now mono.Time) {
	if a.retries++; a.retries > a.cfg.MaxInitRetransmits {
		a.fail(ErrTimeout, causeUserAbort, []byte("cookie always stale"))
		return
	}
	a.state, a.cookie, a.cookieDue = stateCookieWait, nil, false
	a.tx.markAll()
	a.sendInit(now)
}
