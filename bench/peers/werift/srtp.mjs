// werift's side of the scenario srtp. It reads one JSON object a line and
// answers each with one: {"case"} prepares and
// warms a case and gives the last packet of its first run, {"run": ms} works
// for that long and gives nanoseconds per packet.
//
// werift has no batches, so that those are one by one, and no replay window, so
// that the same packets can be decrypted again.
import { createInterface } from "node:readline";
import * as w from "werift";

const packets = 64; // a run
const fixed = 12; // bytes of a header without extensions

// srtpExtensions of bench.
const extensions = Buffer.from("bede0005108a221234563100074030500161686972000102", "hex");

const profiles = {
  gcm128: w.ProtectionProfileAeadAes128Gcm,
  cm80: w.ProtectionProfileAes128CmHmacSha1_80,
};

// The keys of receiver i, as bench's srtpKeys makes them.
function session(profile, i) {
  const k = Buffer.from(Array.from({ length: 16 }, (_, n) => n * 7 + i));
  const s = Buffer.from(Array.from({ length: profile === "cm80" ? 14 : 12 }, (_, n) => n * 11 + i + 1));
  return new w.SrtpSession({
    profile: profiles[profile],
    keys: { localMasterKey: k, localMasterSalt: s, remoteMasterKey: k, remoteMasterSalt: s },
  });
}

let run;
let last; // so that no work is dead code

function protect(profile, size, ext, keys) {
  const sessions = Array.from({ length: keys }, (_, i) => session(profile, i));
  const header = fixed + (ext ? extensions.length : 0);
  const plain = Buffer.alloc(header + size);
  plain.set([ext ? 0x90 : 0x80, 96, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7]);
  if (ext) plain.set(extensions, fixed);
  for (let i = 0; i < size; i++) plain[header + i] = fixed + i;
  const p = w.RtpPacket.deSerialize(plain);
  let seq = 0;
  return () => {
    for (let i = 0; i < packets; i++) {
      if (i % keys === 0) seq = (seq + 1) & 0xffff;
      p.header.sequenceNumber = seq;
      last = sessions[i % keys].encrypt(p.payload, p.header);
    }
  };
}

function unprotect(profile, size, ext, keys) {
  const sealed = [];
  const seal = protect(profile, size, ext, keys);
  // Every packet of one run of the sender, one after the other.
  const encrypt = w.SrtpSession.prototype.encrypt;
  w.SrtpSession.prototype.encrypt = function (...args) {
    const b = encrypt.apply(this, args);
    sealed.push(Buffer.from(b));
    return b;
  };
  seal();
  w.SrtpSession.prototype.encrypt = encrypt;
  const sessions = Array.from({ length: keys }, (_, i) => session(profile, i));
  return () => {
    for (let i = 0; i < packets; i++) last = sessions[i % keys].decrypt(sealed[i]);
  };
}

function work(ms) {
  let spent = 0n;
  let n = 0;
  const target = BigInt(Math.round(ms * 1e6));
  while (spent < target) {
    const t = process.hrtime.bigint();
    run();
    spent += process.hrtime.bigint() - t;
    n += packets;
  }
  return Number(spent) / n;
}

function answer(q) {
  if (q.run) return { ns: work(q.run) };
  const [op, profile, size, batch] = q.case.split("/");
  if (profiles[profile] === undefined) return { missing: true };
  const keys = { one: 1, batch16: 16, fan64: 64 }[batch];
  run = (op === "protect" ? protect : unprotect)(profile, parseInt(size, 10), size.endsWith("-ext"), keys);
  run();
  const result = Buffer.from(last).toString("hex");
  work(100); // the compiler takes notice
  return { result };
}

for await (const line of createInterface({ input: process.stdin })) {
  let a;
  try {
    a = answer(JSON.parse(line));
  } catch (e) {
    a = { error: String(e) };
  }
  process.stdout.write(JSON.stringify(a) + "\n");
}
