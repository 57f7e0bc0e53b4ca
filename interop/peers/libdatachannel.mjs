// libdatachannel (node-datachannel) against the echo: RTP of a picture and data
// channels. Prints one JSON object. Usage: libdatachannel.mjs URL
import nodeDataChannel from 'node-datachannel';
import { compare, messages, post, remove, rtp, until, vp8 } from './common.mjs';

const url = process.argv[2];
const result = { channels: {}, audio: 0, video: 0 };
setTimeout(() => { console.error('no end'); process.exit(1); }, 80000).unref();

const pc = new nodeDataChannel.PeerConnection('peer', { iceServers: [], disableAutoNegotiation: true });
let gathering = '';
pc.onGatheringStateChange((s) => { gathering = s; });

const video = new nodeDataChannel.Video('video', 'SendRecv');
video.addVP8Codec(96);
video.addSSRC(42, 'cname', 'stream', 'track');
const track = pc.addTrack(video);
track.onMessage((m) => { if ((m[1] & 0x7f) === 96) result.video++; });

const channels = [['ordered', {}], ['unordered', { unordered: true }], ['partial', { unordered: true, maxRetransmits: 3 }]].map(([label, init]) => {
  const dc = pc.createDataChannel(label, init);
  const inbox = [];
  dc.onMessage((m) => inbox.push(m));
  return { label, dc, inbox, ordered: !init.unordered };
});

pc.setLocalDescription('offer');
await until('gathering', 10000, () => gathering === 'complete');
// Without candidates, as of a peer behind a NAT: libdatachannel may lose its ICE
// transport to checks that come while it takes the answer.
const offer = pc.localDescription().sdp.replace(/^a=(candidate:.*|end-of-candidates)\r?\n/gm, '');
const { status, location, answer } = await post(url, offer);
result.status = status;
pc.setRemoteDescription(answer, 'answer');
await until('connection', 15000, () => pc.state() === 'connected');
result.state = pc.state();

let n = 0;
const sending = setInterval(() => {
  n++;
  if (track.isOpen()) track.sendMessageBinary(rtp(96, n, n * 3000, 42, vp8(900)));
}, 20);

for (const c of channels) {
  await until('open', 10000, () => c.dc.isOpen());
  const want = messages({ empty: true });
  for (const m of want) {
    if (typeof m === 'string') c.dc.sendMessage(m);
    else c.dc.sendMessageBinary(m);
  }
  await until('echoes', 12000, () => c.inbox.length >= want.length);
  result.channels[c.label] = compare(want, c.inbox, c.ordered);
}
await until('media', 15000, () => result.video > 30);
clearInterval(sending);
result.fingerprint = String(pc.remoteFingerprint?.()?.algorithm ?? '');
result.deleted = await remove(location);
pc.close();
console.log(JSON.stringify(result));
nodeDataChannel.cleanup();
process.exit(0);
