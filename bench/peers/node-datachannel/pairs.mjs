// node-datachannel (libdatachannel) as a stack of the scenario datachannel.
import nodeDataChannel from "node-datachannel";
import { bell, lowWater, serve } from "../pairs.mjs";

const config = { iceServers: [], bindAddress: "127.0.0.1", disableAutoNegotiation: true };

let count = 0;

// described sets the local description and waits until it has its candidates.
function described(pc, type) {
  return new Promise((done) => {
    pc.onGatheringStateChange((s) => s === "complete" && done(pc.localDescription()));
    pc.setLocalDescription(type);
  });
}

serve(async (channels, unordered, heard) => {
  const pcs = [0, 1].map((side) => new nodeDataChannel.PeerConnection(`${count}-${side}`, config));
  count++;
  const ends = [[], []];
  const bells = Array.from({ length: channels }, bell);
  let opened = 0;
  let ready;
  const open = new Promise((done) => (ready = done));
  const use = (side, dc) => {
    const n = Number(dc.getLabel());
    ends[side][n] = dc;
    dc.onMessage((m) => heard(side, n, m.byteLength ?? m.length));
    let seen = false;
    const arrived = () => {
      if (!seen && ++opened === 2 * channels) ready();
      seen = true;
    };
    dc.onOpen(arrived);
    if (dc.isOpen()) arrived();
  };
  pcs[1].onDataChannel((dc) => use(1, dc));
  for (let n = 0; n < channels; n++) {
    const dc = pcs[0].createDataChannel(String(n), { unordered });
    dc.setBufferedAmountLowThreshold(lowWater);
    dc.onBufferedAmountLow(() => bells[n].ring());
    use(0, dc);
  }
  const offer = await described(pcs[0], "offer");
  pcs[1].setRemoteDescription(offer.sdp, "offer");
  const answer = await described(pcs[1], "answer");
  pcs[0].setRemoteDescription(answer.sdp, "answer");
  await open;
  return {
    send: (side, n, data) => ends[side][n].sendMessageBinary(data),
    buffered: (side, n) => ends[side][n].bufferedAmount(),
    low: (n) => bells[n].wait(),
    pcs, // or they would be collected
  };
});
