// werift's side of the scenario micro. It reads one JSON object a line and
// answers each with one: {"case", "input"} prepares and warms a case and gives
// its result for comparison, {"run": ms} works on it for that long and gives
// nanoseconds per operation.
import { createInterface } from "node:readline";
import * as w from "werift";
// The association alone, which its package of the name werift-sctp is.
import { SCTP } from "./node_modules/werift/lib/sctp/src/sctp.js";

const hex = (b) => Buffer.from(b).toString("hex");
const bytes = (s) => Buffer.from(s, "hex");

const rtpText = (p) =>
  `${p.header.sequenceNumber} ${p.header.timestamp} ${p.header.ssrc} ${p.payload.length}`;

function nack(i) {
  return new w.GenericNack({
    senderSsrc: 1,
    mediaSourceSsrc: 2,
    lost: i.lost.split(" ").map(Number),
  });
}
const parseNACK = (b) => w.GenericNack.deSerialize(b.subarray(4), w.RtcpHeader.deSerialize(b));

function request(i, key) {
  const m = new w.Message(w.methods.BINDING, w.classes.REQUEST, bytes(i.id));
  m.setAttribute("USERNAME", i.username);
  m.setAttribute("PRIORITY", 1853693695);
  m.setAttribute("ICE-CONTROLLING", BigInt("1234605616436508552"));
  m.addMessageIntegrity(key);
  m.addFingerprint();
  return m.bytes;
}

function srtp(i) {
  const [k, s] = [bytes(i.key), bytes(i.salt)];
  return new w.SrtpSession({
    profile: w.ProtectionProfileAeadAes128Gcm,
    keys: { localMasterKey: k, localMasterSalt: s, remoteMasterKey: k, remoteMasterSalt: s },
  });
}

const outline = (s) =>
  s.media
    .map((m) => `${m.kind} ${m.port} ${m.rtp.muxId} ${m.iceParams.usernameFragment} ${m.iceCandidates.length} ${m.fmt.join(" ")}\n`)
    .join("");
const printed = (text) => outline(w.SessionDescription.parse(text));

// Each prepares a case from its input and returns the operation and, where the
// result is compared, what shows it.
const cases = {
  "rtp/parse": (i, b = bytes(i.packet)) => [() => w.RtpPacket.deSerialize(b), rtpText],
  "rtp/parse-extensions": (i, b = bytes(i.packet)) => [() => w.RtpPacket.deSerialize(b), rtpText],
  "rtp/serialize": (i, p = w.RtpPacket.deSerialize(bytes(i.packet))) => [() => p.serialize(), hex],
  "rtp/round-trip": (i, b = bytes(i.packet)) => [() => w.RtpPacket.deSerialize(b).serialize(), hex],
  "rtcp/nack-serialize-small": (i, n = nack(i)) => [() => n.serialize(), hex],
  "rtcp/nack-serialize-large": (i, n = nack(i)) => [() => n.serialize(), hex],
  "rtcp/nack-parse": (i, b = bytes(i.packet)) => [() => parseNACK(b), (n) => n.lost.join(" ")],
  "rtcp/nack-round-trip": (i, n = nack(i)) => [() => parseNACK(n.serialize()), (m) => m.lost.join(" ")],
  "stun/parse-request": (i, b = bytes(i.packet), k = Buffer.from(i.password)) => [
    () => w.parseMessage(b, k),
    (m) => `${m.getAttributeValue("USERNAME")} ${m.getAttributeValue("PRIORITY")}`,
  ],
  "stun/parse-response": (i, b = bytes(i.packet), k = Buffer.from(i.password)) => [
    () => w.parseMessage(b, k),
    (m) => m.getAttributeValue("XOR-MAPPED-ADDRESS").join(":"),
  ],
  "stun/serialize-request": (i, k = Buffer.from(i.password)) => [() => request(i, k), hex],
  "stun/round-trip": (i, k = Buffer.from(i.password)) => [
    () => w.parseMessage(request(i, k), k),
    (m) => `${m.getAttributeValue("USERNAME")} ${m.getAttributeValue("PRIORITY")}`,
  ],
  "sdp/parse-realistic": (i) => [() => w.SessionDescription.parse(i.text), outline],
  "sdp/parse-simple": (i) => [() => w.SessionDescription.parse(i.text), outline],
  "sdp/serialize-realistic": (i, s = w.SessionDescription.parse(i.text)) => [() => s.string, printed],
  "sdp/round-trip": (i) => [() => w.SessionDescription.parse(i.text).string, printed],
  "ice/serialize": (i, c = w.Candidate.fromSdp(i.text)) => [() => c.toSdp(), String],
  "ice/round-trip": (i) => [() => w.Candidate.fromSdp(i.text).toSdp(), String],
  "srtp/encrypt-100B": encrypt,
  "srtp/encrypt-1KB": encrypt,
  "srtp/decrypt-1KB": (i, s = srtp(i), b = bytes(i.packet)) => [() => s.decrypt(b), hex],
};
for (const kind of ["host", "srflx", "relay", "tcp"]) {
  cases[`ice/parse-${kind}`] = (i) => [
    () => w.Candidate.fromSdp(i.text),
    (c) => `${c.foundation} ${c.priority} ${c.host} ${c.port} ${c.type}`,
  ];
}
for (const kind of ["single-nal", "stap-a", "fu-a-start"]) {
  cases[`h264/depacketize-${kind}`] = (i) => {
    const packets = [i.packet, i.next].filter(Boolean).map(bytes);
    return [
      () => {
        let p;
        for (const b of packets) p = w.H264RtpPayload.deSerialize(b, p?.fragment);
        return p;
      },
      (p) => hex(p.payload),
    ];
  };
}
for (const kind of ["simple", "extended"]) {
  cases[`vp8/depacketize-${kind}`] = (i, b = bytes(i.packet)) => [
    () => w.Vp8RtpPayload.deSerialize(b),
    (p) => `${p.sBit} ${p.pictureId ?? -1} ${p.payload.length}`,
  ];
}

function encrypt(i) {
  const s = srtp(i);
  const p = w.RtpPacket.deSerialize(bytes(i.packet));
  const payload = p.payload;
  let first = true;
  return [
    () => {
      if (!first) p.header.sequenceNumber = (p.header.sequenceNumber + 1) & 0xffff;
      first = false;
      return s.encrypt(payload, p.header);
    },
    hex,
  ];
}

// Two associations with nothing between them.
async function twins() {
  const end = () => ({ onData: undefined, send: async () => {}, close: () => {} });
  const [ta, tb] = [end(), end()];
  const [a, b] = [SCTP.client(ta), SCTP.server(tb)];
  // An association takes an answer only after it has returned from sending.
  ta.send = async (buf) => void setImmediate(() => b.handleData(buf));
  tb.send = async (buf) => void setImmediate(() => a.handleData(buf));
  const up = new Promise((resolve) => a.stateChanged.connected.once(resolve));
  await b.start(5000);
  await a.start(5000);
  await up;
  ta.send = async (buf) => b.handleData(buf);
  tb.send = async (buf) => a.handleData(buf);
  return { a, b, ta, tb };
}
const one = Buffer.from([1]);

// Takes n messages in flight off by one acknowledgement. The other end is told
// that it has received them, which it need not do each time.
const removal = (n) => async () => {
  const { a, b, ta, tb } = await twins();
  let sack;
  ta.send = async () => {};
  tb.send = async (buf) => {
    sack = buf;
  };
  const prepare = async () => {
    a.cwnd = 1 << 20; // as ours: all messages go at once
    a.rto = 60; // nothing is sent again meanwhile
    await Promise.all(Array.from({ length: n }, () => a.send(0, 53, one)));
    b.lastReceivedTsn = (a.localTsn + 0xffffffff) % 0x100000000;
    b.sackNeeded = true;
    await b.sendSack();
  };
  const run = async () => {
    await a.handleData(sack);
    return n;
  };
  await prepare();
  if (a.sentQueue.length !== n) throw new Error(`${a.sentQueue.length} messages in flight`);
  await run();
  if (a.sentQueue.length) throw new Error(`${a.sentQueue.length} messages were not acknowledged`);
  return { prepare, run };
};

// Work that waits for promises, or has something to prepare.
const queues = {
  "sctp/queue-batch-removal-1000": removal(1000),
  "sctp/queue-remove-range-5000": removal(5000),
  // Looks up a thousand numbers that have been received before, and answers.
  "sctp/queue-tsn-lookup": async () => {
    const { a, b, ta, tb } = await twins();
    const packets = [];
    ta.send = async (buf) => {
      packets.push(buf);
      await b.handleData(buf);
    };
    for (let i = 0; i < 1000; i++) await a.send(0, 53, one);
    tb.send = async () => {};
    return {
      run: async () => {
        for (const p of packets) await b.handleData(p);
        return packets.length;
      },
    };
  },
  // Writes a message, sends it, and takes it off when it is acknowledged.
  "sctp/queue-add-remove": async () => {
    const { a } = await twins();
    return {
      run: async () => {
        for (let i = 0; i < 64; i++) await a.send(0, 53, one);
        return 64;
      },
    };
  },
};

let op = null;
let queue = null; // instead of op
let kept; // so that no operation is dead code
let chunk = 1;

function work(ms) {
  const end = process.hrtime.bigint() + BigInt(Math.round(ms * 1e6));
  const start = process.hrtime.bigint();
  let n = 0;
  let now = start;
  while (now < end) {
    for (let i = 0; i < chunk; i++) kept = op();
    n += chunk;
    now = process.hrtime.bigint();
  }
  return Number(now - start) / n;
}

async function workQueue(ms) {
  let [spent, n] = [0, 0];
  const begun = process.hrtime.bigint();
  let now = begun;
  do {
    await queue.prepare?.();
    const start = process.hrtime.bigint();
    n += await queue.run();
    now = process.hrtime.bigint();
    spent += Number(now - start);
  } while (spent < ms * 1e6 && Number(now - begun) < 10 * ms * 1e6); // preparing takes longer
  return spent / n;
}

async function answer(q) {
  if (q.run) return { ns: await (queue ? workQueue(q.run) : work(q.run)) };
  if (queues[q.case]) {
    queue = await queues[q.case]();
    await workQueue(60);
    await workQueue(60);
    return { result: "" };
  }
  queue = null;
  const make = cases[q.case];
  if (!make) return { missing: true };
  const [f, show] = make(q.input);
  op = f;
  chunk = 1;
  const result = show ? show(op()) : "";
  const ns = work(60); // the compiler takes notice
  chunk = Math.max(1, Math.min(1000, Math.floor(50000 / ns)));
  work(60);
  return { result };
}

for await (const line of createInterface({ input: process.stdin })) {
  let a;
  try {
    a = await answer(JSON.parse(line));
  } catch (e) {
    a = { error: String(e) };
  }
  process.stdout.write(JSON.stringify(a) + "\n");
}
void kept;
process.exit(0); // whatever timers an association has left

