// The browser's side of the tests of data channels: it sends back what comes on
// any channel, and does what a text beginning with "!" says.

import { connected, newSession, offerTo } from './peer.js';

function fnv(data) {
  let h = 2166136261;
  for (const x of new Uint8Array(data)) h = Math.imul(h ^ x, 16777619);
  return h >>> 0;
}

function serve(s, dc) {
  dc.binaryType = 'arraybuffer';
  s.served.push(dc);
  let limit = Infinity; // longer messages are answered with their length and hash
  dc.onmessage = ({ data }) => {
    try {
      if (data === '!info') {
        const { label, protocol, ordered, maxRetransmits, maxPacketLifeTime, readyState } = dc;
        dc.send(JSON.stringify({ label, protocol, ordered, maxRetransmits, maxPacketLifeTime, state: readyState }));
      } else if (data === '!close') dc.close();
      else if (String(data).startsWith('!limit ')) {
        limit = Number(data.slice(7));
        dc.send('');
      } else if (data.byteLength > limit) dc.send(`${data.byteLength} ${fnv(data)}`);
      else dc.send(data);
    } catch (e) {
      dc.send(`!${e}`);
    }
  };
}

window.peer.data = async ({ url, channels }) => {
  const s = newSession(url);
  s.served = []; // a channel nobody refers to may be collected
  s.pc.ondatachannel = ({ channel }) => serve(s, channel);
  for (const { label, init } of channels) serve(s, s.pc.createDataChannel(label, init));
  await offerTo(s, {});
  await connected(s);
  return { session: s.id, status: s.status, location: s.location };
};
