// The browser's side of the interop tests. A page holds many sessions; each
// function of window.peer is called by name from the Go test and answers JSON.

const sessions = new Map();
let nextSession = 1;

const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

async function until(what, ms, f) {
  const end = performance.now() + ms;
  for (;;) {
    const v = await f();
    if (v) return v;
    if (performance.now() > end) throw new Error(`no ${what} after ${ms} ms`);
    await sleep(20);
  }
}

// canvasStream is a moving picture with a tone, for browsers without fake
// devices and for connections that must not have asked for a camera.
function canvasStream({ audio, video, width = 640, height = 480 }) {
  const out = new MediaStream();
  if (video) {
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width, height });
    document.body.append(canvas);
    const g = canvas.getContext('2d');
    let n = 0;
    setInterval(() => {
      g.fillStyle = `hsl(${n % 360} 80% 50%)`;
      g.fillRect(0, 0, width, height);
      g.fillStyle = '#fff';
      g.font = '64px sans-serif';
      g.fillText(String(n++), 40 + (n % 200), 200);
    }, 33);
    out.addTrack(canvas.captureStream(30).getVideoTracks()[0]);
  }
  if (audio) {
    const ctx = new AudioContext();
    const osc = ctx.createOscillator();
    const dst = ctx.createMediaStreamDestination();
    osc.connect(dst);
    osc.start();
    out.addTrack(dst.stream.getAudioTracks()[0]);
  }
  return out;
}

async function capture(o) {
  if (o.source !== 'canvas') {
    try {
      const size = { width: o.width ?? 640, height: o.height ?? 480 };
      return await navigator.mediaDevices.getUserMedia({ audio: !!o.audio, video: o.video ? size : false });
    } catch (e) {
      console.warn('no fake devices, drawing instead:', String(e));
    }
  }
  return canvasStream(o);
}

function newSession(url) {
  const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  const s = { id: nextSession++, pc, url, states: [], channels: new Map(), elements: [], tracks: [], candidates: [] };
  sessions.set(s.id, s);
  pc.addEventListener('connectionstatechange', () => s.states.push(pc.connectionState));
  pc.addEventListener('icecandidate', (e) => {
    if (e.candidate?.candidate) {
      s.candidates.push(e.candidate.candidate);
      if (s.trickling) trickle(s, [e.candidate]);
    }
  });
  pc.addEventListener('track', (e) => {
    s.tracks.push({ kind: e.track.kind, mid: e.transceiver.mid });
    const el = document.createElement(e.track.kind);
    Object.assign(el, { srcObject: new MediaStream([e.track]), autoplay: true, playsInline: true, muted: e.track.kind === 'video' });
    document.body.append(el);
    el.play().catch((err) => console.warn('play:', String(err)));
    s.elements.push(el);
  });
  return s;
}

const credentials = (sdp) => ({
  ufrag: sdp.match(/^a=ice-ufrag:(\S+)/m)[1],
  pwd: sdp.match(/^a=ice-pwd:(\S+)/m)[1],
});

async function request(s, method, url, type, body, headers = {}) {
  if (type) headers['Content-Type'] = type;
  const r = await fetch(url, { method, body, headers });
  const text = await r.text();
  if (!r.ok) throw new Error(`${method} ${url}: ${r.status} ${text.slice(0, 300)}`);
  return { status: r.status, text, headers: r.headers };
}

function fragment(s, candidates, end) {
  const { ufrag, pwd } = credentials(s.pc.localDescription.sdp);
  const mid = s.pc.localDescription.sdp.match(/^a=mid:(\S+)/m)[1];
  const kind = s.pc.localDescription.sdp.match(/^m=(\S+)/m)[1];
  let f = `a=ice-ufrag:${ufrag}\r\na=ice-pwd:${pwd}\r\nm=${kind} 9 ${kind === 'application' ? 'UDP/DTLS/SCTP webrtc-datachannel' : 'UDP/TLS/RTP/SAVPF 0'}\r\na=mid:${mid}\r\n`;
  for (const c of candidates) f += `a=${c.candidate}\r\n`;
  if (end) f += 'a=end-of-candidates\r\n';
  return f;
}

async function trickle(s, candidates) {
  await s.posted;
  const r = await request(s, 'PATCH', s.location, 'application/trickle-ice-sdpfrag', fragment(s, candidates));
  s.trickled = (s.trickled ?? 0) + 1;
  s.trickleStatus = r.status;
}

async function gathered(s) {
  await until('complete gathering', 10000, () => s.pc.iceGatheringState === 'complete');
}

// offerTo posts the first offer and takes the answer.
async function offerTo(s, options) {
  let posted;
  s.posted = new Promise((r) => { posted = r; });
  s.trickling = options.trickle;
  await s.pc.setLocalDescription(await s.pc.createOffer());
  if (!options.trickle) await gathered(s);
  s.offer = s.pc.localDescription.sdp;
  const r = await request(s, 'POST', s.url, 'application/sdp', s.offer);
  s.status = r.status;
  s.location = new URL(r.headers.get('Location'), s.url).href;
  s.answer = r.text;
  posted();
  await s.pc.setRemoteDescription({ type: 'answer', sdp: r.text });
}

// reoffer sends the whole description anew.
async function reoffer(s) {
  await s.pc.setLocalDescription(await s.pc.createOffer());
  await gathered(s);
  s.offer = s.pc.localDescription.sdp;
  const r = await request(s, 'PATCH', s.location, 'application/sdp', s.offer);
  s.answer = r.text;
  await s.pc.setRemoteDescription({ type: 'answer', sdp: r.text });
  return r.status;
}

async function connected(s, ms = 15000) {
  await until(`connection (states ${s.states}, ICE ${s.pc.iceConnectionState})`, ms, () => {
    if (s.pc.connectionState === 'failed') throw new Error(`the connection failed: ${JSON.stringify(s.states)}`);
    return s.pc.connectionState === 'connected';
  });
}

// Little enough for three encoders and their estimate of the bandwidth to get
// there on a small and busy machine.
const encodings = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 80000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 200000 },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 500000 },
];

function preferCodec(tr, name) {
  const list = RTCRtpReceiver.getCapabilities('video').codecs;
  const is = (c) => c.mimeType.toLowerCase() === `video/${name.toLowerCase()}`;
  const chosen = list.filter(is);
  if (!chosen.length) return false;
  tr.setCodecPreferences([...chosen, ...list.filter((c) => c.mimeType.toLowerCase() === 'video/rtx')]);
  return true;
}

function addMedia(s, stream, o) {
  for (const track of stream.getTracks()) {
    const video = track.kind === 'video';
    const init = { direction: o.direction ?? 'sendonly', streams: [stream] };
    if (video && o.simulcast) init.sendEncodings = encodings;
    else if (video && o.maxBitrate) init.sendEncodings = [{ maxBitrate: o.maxBitrate }];
    const tr = s.pc.addTransceiver(track, init);
    if (video && o.codec && !preferCodec(tr, o.codec)) throw new Error(`unsupported codec ${o.codec}`);
  }
}

function addChannel(s, c) {
  const dc = s.pc.createDataChannel(c.label, c.init);
  dc.binaryType = 'arraybuffer';
  const ch = { dc, inbox: [], closed: false, error: '' };
  dc.onmessage = (e) => ch.inbox.push(e.data);
  dc.onclose = () => { ch.closed = true; };
  dc.onerror = (e) => { ch.error = String(e.error ?? e); };
  s.channels.set(c.label, ch);
  return ch;
}

async function abandon(s, e) {
  s.pc.close();
  throw e;
}

function payload(m, i) {
  if (m.text) return m.size ? (String(i) + 'é').padEnd(m.size, 'x').slice(0, m.size) : '';
  const b = new Uint8Array(m.size);
  for (let k = 0; k < b.length; k++) b[k] = (k * 31 + i * 7) & 0xff;
  if (m.size >= 4) new DataView(b.buffer).setUint32(0, i);
  return b.buffer;
}

function describe(data) {
  if (typeof data === 'string') return 't:' + data;
  const b = new Uint8Array(data);
  let h = 2166136261;
  for (const x of b) h = Math.imul(h ^ x, 16777619);
  return `b:${b.length}:${h >>> 0}`;
}

const peer = {
  async publish(o) {
    const s = newSession(o.url);
    const stream = await capture(o);
    s.stream = stream;
    addMedia(s, stream, o);
    try {
      await offerTo(s, o);
      await connected(s);
    } catch (e) { await abandon(s, e); }
    return { session: s.id, status: s.status, location: s.location };
  },

  async view(o) {
    const s = newSession(o.url);
    if (o.audio) s.pc.addTransceiver('audio', { direction: 'recvonly' });
    if (o.video) s.pc.addTransceiver('video', { direction: 'recvonly' });
    const start = performance.now();
    try {
      await offerTo(s, o);
      await connected(s);
    } catch (e) { await abandon(s, e); }
    return { session: s.id, status: s.status, location: s.location, connectedAfter: performance.now() - start };
  },

  async echo(o) {
    const s = newSession(o.url);
    if (o.audio || o.video) {
      s.stream = await capture(o);
      addMedia(s, s.stream, { ...o, direction: 'sendrecv' });
    }
    for (const c of o.channels ?? []) addChannel(s, c);
    try {
      await offerTo(s, o);
      await connected(s);
    } catch (e) { await abandon(s, e); }
    return { session: s.id, status: s.status, location: s.location };
  },

  // messages sends count messages of each kind and compares what comes back.
  async messages({ session, label, kinds, timeout = 20000 }) {
    const s = sessions.get(session);
    const ch = s.channels.get(label);
    await until(`open channel ${label}`, 10000, () => ch.dc.readyState === 'open');
    const want = [];
    ch.inbox.length = 0;
    for (const m of kinds) {
      for (let i = 0; i < m.count; i++) {
        if (ch.dc.bufferedAmount > 1 << 20) await until('room in the send buffer', timeout, () => ch.dc.bufferedAmount < 1 << 18);
        const data = payload(m, i);
        want.push(describe(data));
        ch.dc.send(data);
      }
    }
    try {
      await until('all echoes', timeout, () => ch.inbox.length >= want.length);
    } catch { /* the counts say it */ }
    const got = ch.inbox.map(describe);
    if (ch.dc.ordered === false) { want.sort(); got.sort(); }
    const wrong = want.findIndex((w, i) => got[i] !== w);
    return {
      sent: want.length, received: got.length, wrong, ordered: ch.dc.ordered,
      wanted: wrong < 0 ? '' : want[wrong].slice(0, 60), got: wrong < 0 ? '' : String(got[wrong]).slice(0, 60), error: ch.error,
    };
  },

  async descriptions({ session }) {
    const { pc } = sessions.get(session);
    return { offer: pc.localDescription.sdp, answer: pc.remoteDescription.sdp };
  },

  async addChannel({ session, label, init }) {
    const ch = addChannel(sessions.get(session), { label, init });
    await until(`open channel ${label}`, 10000, () => ch.dc.readyState === 'open');
    return { channel: ch.dc.id };
  },

  async closeChannel({ session, label }) {
    const s = sessions.get(session);
    const ch = s.channels.get(label);
    ch.dc.close();
    await until(`close event of ${label} (${ch.dc.readyState})`, 10000, () => ch.closed);
    s.channels.delete(label);
    return { state: ch.dc.readyState };
  },

  async reoffer({ session, iceRestart, addVideo, stopMid, source }) {
    const s = sessions.get(session);
    if (iceRestart) s.pc.restartIce();
    if (addVideo) {
      const stream = await capture({ video: true, source, width: 320, height: 240 });
      s.pc.addTransceiver(stream.getVideoTracks()[0], { direction: addVideo, streams: [stream] });
    }
    if (stopMid) {
      const tr = s.pc.getTransceivers().find((t) => t.mid === stopMid);
      tr.stop();
    }
    const before = credentials(s.pc.currentLocalDescription.sdp).ufrag;
    const remoteBefore = credentials(s.pc.currentRemoteDescription.sdp).ufrag;
    const status = await reoffer(s);
    await until('ICE connection', 15000, () => ['connected', 'completed'].includes(s.pc.iceConnectionState));
    return {
      status,
      restarted: before !== credentials(s.pc.currentLocalDescription.sdp).ufrag,
      remoteRestarted: remoteBefore !== credentials(s.pc.currentRemoteDescription.sdp).ufrag,
    };
  },

  // restartByFragment restarts ICE with a sdpfrag alone (RFC 9725 §4.3.2): the
  // remote description gets the server's new credentials and candidates.
  async restartByFragment({ session }) {
    const s = sessions.get(session);
    const old = s.pc.currentRemoteDescription.sdp;
    s.trickling = false;
    await s.pc.setLocalDescription(await s.pc.createOffer({ iceRestart: true }));
    await gathered(s);
    const cands = s.pc.localDescription.sdp.match(/^a=candidate:.*$/gm) ?? [];
    const body = fragment(s, cands.map((c) => ({ candidate: c.trim().slice(2) })), true);
    const r = await request(s, 'PATCH', s.location, 'application/trickle-ice-sdpfrag', body, { 'If-Match': '*' });
    const { ufrag, pwd } = credentials(r.text);
    let sdp = old.replace(/^a=ice-ufrag:.*$/gm, `a=ice-ufrag:${ufrag}`).replace(/^a=ice-pwd:.*$/gm, `a=ice-pwd:${pwd}`);
    sdp = sdp.replace(/^a=(candidate:.*|end-of-candidates)\r?\n/gm, '');
    const fresh = (r.text.match(/^a=candidate:.*$/gm) ?? []).map((c) => c.trim() + '\r\n').join('');
    sdp = sdp.replace(/^a=ice-pwd:.*\r\n/m, (l) => l + fresh);
    await s.pc.setRemoteDescription({ type: 'answer', sdp });
    await until('ICE connection', 15000, () => ['connected', 'completed'].includes(s.pc.iceConnectionState));
    return { status: r.status, fragment: r.text, changed: !old.includes(ufrag) };
  },

  async stats({ session }) { return summary(sessions.get(session)); },

  async dump({ session }) {
    const s = sessions.get(session);
    const report = [];
    if (s.pc.signalingState !== 'closed') (await s.pc.getStats()).forEach((x) => report.push(x));
    return { states: s.states, offer: s.offer, answer: s.answer, report };
  },

  async close({ session }) { sessions.get(session).pc.close(); return {}; },

  async remove({ session, andClose }) {
    const s = sessions.get(session);
    const gone = fetch(s.location, { method: 'DELETE' });
    if (andClose) s.pc.close();
    return { status: (await gone).status };
  },

  async closedByPeer({ session }) {
    const s = sessions.get(session);
    // The server's close_notify ends DTLS at once, long before ICE gives up.
    const dtls = s.pc.sctp?.transport ?? (s.pc.getSenders()[0] ?? s.pc.getReceivers()[0]).transport ?? s.pc.getReceivers()[0].transport;
    await until('end of the connection', 10000, () => dtls.state === 'closed');
    return { state: s.pc.connectionState };
  },
};

async function summary(s) {
  const all = new Map();
  (await s.pc.getStats()).forEach((x) => all.set(x.id, x));
  const of = (type) => [...all.values()].filter((x) => x.type === type);
  const transport = of('transport')[0] ?? {};
  const pair = all.get(transport.selectedCandidatePairId) ?? of('candidate-pair').find((p) => p.selected || (p.nominated && p.state === 'succeeded')) ?? {};
  const codec = (x) => all.get(x.codecId)?.mimeType ?? '';
  const types = (id) => all.get(id)?.candidateType ?? '';
  return {
    state: s.pc.connectionState, ice: s.pc.iceConnectionState, states: s.states, candidates: s.candidates, trickled: s.trickled ?? 0, trickleStatus: s.trickleStatus ?? 0,
    dtls: { version: transport.tlsVersion ?? '', cipher: transport.dtlsCipher ?? '', srtp: transport.srtpCipher ?? '', role: transport.dtlsRole ?? '', group: transport.tlsGroup ?? '' },
    pair: { local: types(pair.localCandidateId), remote: types(pair.remoteCandidateId), rtt: pair.currentRoundTripTime ?? 0, available: pair.availableOutgoingBitrate ?? 0 },
    outbound: of('outbound-rtp').map((x) => ({
      kind: x.kind, mid: x.mid ?? '', rid: x.rid ?? '', codec: codec(x), packets: x.packetsSent, bytes: x.bytesSent, frames: x.framesEncoded ?? 0,
      width: x.frameWidth ?? 0, height: x.frameHeight ?? 0, target: x.targetBitrate ?? 0, nacks: x.nackCount ?? 0, plis: x.pliCount ?? 0, firs: x.firCount ?? 0,
      keyFrames: x.keyFramesEncoded ?? 0, limited: x.qualityLimitationReason ?? '', retransmitted: x.retransmittedPacketsSent ?? 0,
    })),
    inbound: of('inbound-rtp').map((x) => ({
      kind: x.kind, mid: x.mid ?? '', codec: codec(x), packets: x.packetsReceived, lost: x.packetsLost, frames: x.framesDecoded ?? 0, width: x.frameWidth ?? 0,
      height: x.frameHeight ?? 0, keyFrames: x.keyFramesDecoded ?? 0, energy: x.totalAudioEnergy ?? 0, samples: x.totalSamplesReceived ?? 0,
      concealed: x.concealedSamples ?? 0, nacks: x.nackCount ?? 0, plis: x.pliCount ?? 0, freezes: x.freezeCount ?? 0, dropped: x.framesDropped ?? 0,
    })),
    remoteInbound: of('remote-inbound-rtp').map((x) => ({ kind: x.kind, lost: x.packetsLost ?? 0, fraction: x.fractionLost ?? 0, rtt: x.roundTripTime ?? 0, jitter: x.jitter ?? 0 })),
    sizes: s.elements.filter((e) => e.videoWidth).map((e) => [e.videoWidth, e.videoHeight]),
    tracks: s.tracks,
  };
}

window.peer = peer;

export { connected, newSession, offerTo }; // for data.js
