// A WHIP or WHEP session of this page: offer, trickle ICE, ICE restart, end.

// Problem is what the server says is wrong, or why it cannot be asked.
export class Problem extends Error {
  constructor(title, detail = '') {
    super(title);
    this.detail = detail;
  }

  static async of(response) {
    try {
      const p = await response.json();
      return new Problem(p.title, p.detail);
    } catch {
      return new Problem(`The server answered ${response.status} ${response.statusText}`);
    }
  }
}

export async function request(url, token, options = {}) {
  const headers = new Headers(options.headers);
  if (token) headers.set('Authorization', `Bearer ${token}`);
  let response;
  try {
    response = await fetch(url, { ...options, headers, redirect: 'follow', cache: 'no-store' });
  } catch (e) {
    throw new Problem('The server cannot be reached', e.message);
  }
  if (!response.ok) throw await Problem.of(response);
  return response;
}

export class Session {
  // onstate gets a state's name and a sentence.
  constructor(url, token, onstate) {
    this.url = url;
    this.token = token;
    this.onstate = onstate;
    this.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    this.candidates = [];
    this.done = false;
    this.pc.addEventListener('icecandidate', (e) => this.candidate(e.candidate));
    this.pc.addEventListener('connectionstatechange', () => this.changed());
  }

  async open() {
    this.onstate('waiting', 'Connecting…');
    await this.pc.setLocalDescription(await this.pc.createOffer());
    const r = await this.send('POST', this.url, 'application/sdp', this.pc.localDescription.sdp);
    this.location = new URL(r.headers.get('Location'), new URL(this.url, location.href)).href;
    this.etag = r.headers.get('ETag');
    if (this.done) { // stopped meanwhile
      this.remove();
      return;
    }
    await this.pc.setRemoteDescription({ type: 'answer', sdp: await r.text() });
    this.watchTransport();
    this.trickle();
  }

  send(method, url, type, body, headers = {}) {
    return request(url, this.token, { method, body, headers: { ...headers, 'Content-Type': type } });
  }

  candidate(c) {
    this.candidates.push(c);
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.trickle(), 20); // several at once
  }

  // trickle sends the candidates that have been found (RFC 9725 §4.3.2).
  async trickle() {
    if (!this.location || this.done || !this.candidates.length || this.restarting) return;
    const list = this.candidates;
    this.candidates = [];
    const sdp = this.pc.localDescription.sdp;
    const line = (pattern) => (sdp.match(pattern) ?? [''])[0].trim();
    const text = [line(/^a=ice-ufrag:.*$/m), line(/^a=ice-pwd:.*$/m), line(/^m=.*$/m), line(/^a=mid:.*$/m),
      ...list.map((c) => (c && c.candidate ? `a=${c.candidate}` : 'a=end-of-candidates'))];
    try {
      await this.send('PATCH', this.location, 'application/trickle-ice-sdpfrag', text.join('\r\n') + '\r\n', this.etag ? { 'If-Match': this.etag } : {});
    } catch (e) {
      console.warn('candidates were not taken', e.message, e.detail);
    }
  }

  // restart offers new ICE credentials, and what else has changed.
  async restart() {
    if (this.done || this.restarting) return;
    this.restarting = true;
    this.onstate('waiting', 'The connection is interrupted: reconnecting…');
    try {
      await this.pc.setLocalDescription(await this.pc.createOffer({ iceRestart: true }));
      const r = await this.send('PATCH', this.location, 'application/sdp', this.pc.localDescription.sdp);
      this.etag = r.headers.get('ETag');
      await this.pc.setRemoteDescription({ type: 'answer', sdp: await r.text() });
    } catch (e) {
      this.end(`The connection was lost. ${e.message}.`);
      return;
    } finally {
      this.restarting = false;
    }
    this.trickle();
  }

  watchTransport() {
    const t = this.pc.getTransceivers().map((x) => x.sender.transport ?? x.receiver.transport).find(Boolean) ?? this.pc.sctp?.transport;
    // Firefox tells it by the connection's state alone.
    t?.addEventListener('statechange', () => {
      if (t.state === 'closed') this.end('The server has ended the session.');
    });
  }

  changed() {
    switch (this.pc.connectionState) {
      case 'connected': this.onstate('connected', 'Connected.'); break;
      case 'disconnected': this.onstate('waiting', 'No sign of life from the server…'); break;
      case 'failed': this.restart(); break;
      case 'closed': this.end('The session has ended.'); break;
    }
  }

  end(why) {
    if (this.done) return;
    this.done = true;
    clearTimeout(this.soon);
    this.pc.close();
    this.onstate('ended', why);
  }

  // close ends the session there and here.
  close() {
    if (this.done) return;
    this.remove();
    this.end('Stopped.');
  }

  remove() {
    // keepalive lets it happen while the page is being left.
    if (this.location) request(this.location, this.token, { method: 'DELETE', keepalive: true }).catch(() => {});
    this.location = undefined;
  }
}

// Meter makes rates of the counters of getStats.
export class Meter {
  constructor(pc) {
    this.pc = pc;
  }

  async read() {
    const now = { at: performance.now(), sent: 0, received: 0, packets: 0, lost: 0, fraction: undefined, rtt: undefined, size: '', codec: '' };
    const report = await this.pc.getStats();
    let width = 0;
    const picture = (s) => { // of a simulcast, the largest
      now.codec = report.get(s.codecId)?.mimeType ?? now.codec;
      if (s.frameWidth > width) {
        width = s.frameWidth;
        now.size = `${s.frameWidth}×${s.frameHeight}`;
      }
    };
    report.forEach((s) => {
      switch (s.type) {
        case 'outbound-rtp':
          now.sent += s.bytesSent;
          if (s.kind === 'video') picture(s);
          break;
        case 'inbound-rtp':
          now.received += s.bytesReceived;
          now.packets += s.packetsReceived;
          now.lost += s.packetsLost;
          if (s.kind === 'video') picture(s);
          break;
        case 'remote-inbound-rtp':
          now.fraction = Math.max(now.fraction ?? 0, s.fractionLost ?? 0);
          break;
        case 'candidate-pair':
          if ((s.nominated || s.selected) && s.state === 'succeeded' && s.currentRoundTripTime !== undefined) now.rtt = s.currentRoundTripTime * 1000;
          break;
      }
    });
    const old = this.old;
    this.old = now;
    if (!old) return undefined;
    const seconds = (now.at - old.at) / 1000;
    const lost = Math.max(0, now.lost - old.lost);
    const all = lost + Math.max(0, now.packets - old.packets);
    return {
      out: ((now.sent - old.sent) * 8) / seconds, in: ((now.received - old.received) * 8) / seconds,
      lossIn: all ? (lost / all) * 100 : undefined, lossOut: now.fraction === undefined ? undefined : now.fraction * 100,
      rtt: now.rtt, size: now.size, codec: now.codec.replace('video/', ''),
    };
  }
}
