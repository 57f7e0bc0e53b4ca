// werift as a peer of the tests of data channels: it sends back what comes on any
// channel, and does what a text beginning with "!" says. Usage: URL CHANNELS
import { RTCPeerConnection } from 'werift';
import { post, until } from './common.mjs';

const [url, channels] = process.argv.slice(2);
const pc = new RTCPeerConnection({});

function serve(dc) {
  dc.onMessage.subscribe((m) => {
    if (m === '!info') {
      const { label, protocol, ordered, readyState } = dc;
      const { maxRetransmits, maxPacketLifeTime } = dc.parameters ?? dc;
      dc.send(JSON.stringify({ label, protocol, ordered, maxRetransmits, maxPacketLifeTime, state: readyState }));
    } else if (m === '!close') dc.close();
    else dc.send(m);
  });
}

pc.onDataChannel.subscribe(serve);
for (const { label, init } of JSON.parse(channels)) serve(pc.createDataChannel(label, init));
await pc.setLocalDescription(await pc.createOffer());
await until('gathering', 10000, () => pc.iceGatheringState === 'complete');
const { answer } = await post(url, pc.localDescription.sdp);
await pc.setRemoteDescription({ type: 'answer', sdp: answer });
