// libdatachannel (node-datachannel) as a peer of the tests of data channels: it
// sends back what comes on any channel, and does what a text beginning with "!"
// says. Usage: URL CHANNELS
import nodeDataChannel from 'node-datachannel';
import { post, until } from './common.mjs';

const [url, channels] = process.argv.slice(2);
const pc = new nodeDataChannel.PeerConnection('peer', { iceServers: [], disableAutoNegotiation: true, maxMessageSize: 10 << 20 });
let gathering = '';
pc.onGatheringStateChange((s) => { gathering = s; });
const kept = [];

function serve(dc, init = {}) {
  kept.push(dc);
  dc.onMessage((m) => {
    if (m === '!info') {
      const { ordered = true, maxRetransmits, maxPacketLifeTime } = init;
      dc.sendMessage(JSON.stringify({ label: dc.getLabel(), protocol: dc.getProtocol(), ordered, maxRetransmits, maxPacketLifeTime }));
    } else if (m === '!close') dc.close();
    else if (typeof m === 'string') dc.sendMessage(m);
    else dc.sendMessageBinary(m);
  });
}

pc.onDataChannel((dc) => serve(dc));
for (const { label, init } of JSON.parse(channels)) {
  const { ordered, protocol, maxRetransmits, maxPacketLifeTime } = init;
  serve(pc.createDataChannel(label, { unordered: !ordered, protocol, maxRetransmits, maxPacketLifeTime }), init);
}
pc.setLocalDescription('offer');
await until('gathering', 10000, () => gathering === 'complete');
const { answer } = await post(url, pc.localDescription().sdp);
pc.setRemoteDescription(answer, 'answer');
setInterval(() => {}, 1000); // until it is killed
