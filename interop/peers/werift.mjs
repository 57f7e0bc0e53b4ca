// werift against the echo: RTP of both kinds and data channels. Prints one
// JSON object. Usage: werift.mjs URL
import { MediaStreamTrack, RTCPeerConnection, useOPUS, useVP8 } from 'werift';
import { compare, messages, post, remove, rtp, until, vp8 } from './common.mjs';

const url = process.argv[2];
const result = { channels: {}, audio: 0, video: 0 };
setTimeout(() => { console.error('no end'); process.exit(1); }, 80000).unref();

const pc = new RTCPeerConnection({ codecs: { audio: [useOPUS()], video: [useVP8()] } });
const tracks = { audio: new MediaStreamTrack({ kind: 'audio' }), video: new MediaStreamTrack({ kind: 'video' }) };
for (const kind of ['audio', 'video']) pc.addTransceiver(tracks[kind], { direction: 'sendrecv' });
pc.onTrack.subscribe((track) => track.onReceiveRtp.subscribe(() => { result[track.kind]++; }));

const channels = [['ordered', {}], ['unordered', { ordered: false }], ['partial', { ordered: false, maxRetransmits: 3 }]].map(([label, init]) => {
  const dc = pc.createDataChannel(label, init);
  const inbox = [];
  dc.onMessage.subscribe((m) => inbox.push(m));
  return { label, dc, inbox, ordered: init.ordered !== false };
});

await pc.setLocalDescription(await pc.createOffer());
await until('gathering', 10000, () => pc.iceGatheringState === 'complete');
const { status, location, answer } = await post(url, pc.localDescription.sdp);
result.status = status;
await pc.setRemoteDescription({ type: 'answer', sdp: answer });
await until('connection', 10000, () => pc.connectionState === 'connected');
result.state = pc.connectionState;

let n = 0;
const sending = setInterval(() => {
  n++;
  tracks.video.writeRtp(rtp(96, n, n * 3000, 1, vp8(900)));
  tracks.audio.writeRtp(rtp(111, n, n * 960, 2, Buffer.from([0xf8, 0xff, 0xfe])));
}, 20);

for (const c of channels) {
  await until('open', 10000, () => c.dc.readyState === 'open');
  const want = messages({ empty: false }); // werift 0.24.4 sends nothing for an empty one
  for (const [i, m] of want.entries()) {
    c.dc.send(m);
    if (i % 50 === 0) await until('room', 10000, () => c.dc.bufferedAmount < 1 << 17);
  }
  await until('echoes', 12000, () => c.inbox.length >= want.length);
  result.channels[c.label] = compare(want, c.inbox, c.ordered);
}
await until('media', 10000, () => result.audio > 50 && result.video > 30);
clearInterval(sending);
const dtls = pc.dtlsTransports[0];
result.dtls = `DTLS ${dtls.dtls?.cipher?.cipherSuite ?? ''} ${dtls.role ?? ''}`;
result.srtp = String(dtls.srtp?.config?.profile ?? '');
result.deleted = await remove(location);
await pc.close();
console.log(JSON.stringify(result));
process.exit(0);
