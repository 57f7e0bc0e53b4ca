// werift as a stack of the scenario datachannel.
import { RTCPeerConnection } from "werift";
import { bell, lowWater, serve } from "../pairs.mjs";

const config = { iceServers: [], iceUseIpv6: false, iceAdditionalHostAddresses: ["127.0.0.1"] };

function gathered(pc) {
  if (pc.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((done) => pc.iceGatheringStateChange.subscribe((s) => s === "complete" && done()));
}

serve(async (channels, unordered, heard) => {
  const pcs = [new RTCPeerConnection(config), new RTCPeerConnection(config)];
  const ends = [[], []];
  const bells = Array.from({ length: channels }, bell);
  let opened = 0;
  let ready;
  const open = new Promise((done) => (ready = done));
  const use = (side, dc) => {
    const n = Number(dc.label);
    ends[side][n] = dc;
    dc.onMessage.subscribe((m) => heard(side, n, m.length));
    const arrived = () => ++opened === 2 * channels && ready();
    if (dc.readyState === "open") arrived();
    else dc.stateChanged.subscribe((s) => s === "open" && arrived());
  };
  pcs[1].onDataChannel.subscribe((dc) => use(1, dc));
  for (let n = 0; n < channels; n++) {
    const dc = pcs[0].createDataChannel(String(n), { ordered: !unordered });
    dc.bufferedAmountLowThreshold = lowWater;
    dc.bufferedAmountLow.subscribe(() => bells[n].ring());
    use(0, dc);
  }
  await pcs[0].setLocalDescription(await pcs[0].createOffer());
  await gathered(pcs[0]);
  await pcs[1].setRemoteDescription(pcs[0].localDescription);
  await pcs[1].setLocalDescription(await pcs[1].createAnswer());
  await gathered(pcs[1]);
  await pcs[0].setRemoteDescription(pcs[1].localDescription);
  await open;
  return {
    send: (side, n, data) => ends[side][n].send(data),
    buffered: (side, n) => ends[side][n].bufferedAmount,
    low: (n) => bells[n].wait(),
  };
});
