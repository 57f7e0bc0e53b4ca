// What the peers in Node have in common.
export const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

export async function until(what, ms, f) {
  const end = Date.now() + ms;
  while (!f()) {
    if (Date.now() > end) return false;
    await sleep(20);
  }
  return true;
}

export async function post(url, sdp) {
  const r = await fetch(url, { method: 'POST', body: sdp, headers: { 'Content-Type': 'application/sdp' } });
  const answer = await r.text();
  if (!r.ok) throw new Error(`${r.status} ${answer}\n${sdp}`);
  return { status: r.status, location: new URL(r.headers.get('Location'), url).href, answer };
}

export async function remove(location) {
  return (await fetch(location, { method: 'DELETE' })).status;
}

export function messages({ empty }) {
  const out = [];
  for (let i = 0; i < 10; i++) out.push(Buffer.from([i]));
  for (let i = 0; i < 3; i++) out.push(Buffer.alloc(65536).map((_, k) => (k + i) & 255));
  for (let i = 0; i < 1000; i++) {
    const b = Buffer.alloc(1024, i & 255);
    b.writeUInt32BE(i);
    out.push(b);
  }
  for (let i = 0; i < 20; i++) out.push(`text ${i} é`);
  if (empty) out.push('', Buffer.alloc(0), 'end');
  return out;
}

const name = (m) => (typeof m === 'string' ? 't:' + m : 'b:' + Buffer.from(m).toString('latin1'));

export function compare(want, got, ordered) {
  const w = want.map(name);
  const g = got.map(name);
  if (!ordered) { w.sort(); g.sort(); }
  const wrong = w.findIndex((x, i) => x !== g[i]);
  return { sent: w.length, received: g.length, wrong, ordered, wanted: wrong < 0 ? '' : w[wrong].slice(0, 40), got: wrong < 0 ? '' : String(g[wrong]).slice(0, 40) };
}

// vp8 is a payload of one key frame of VP8, of 16 by 16 pixels and as many bytes.
export function vp8(size) {
  const b = Buffer.alloc(Math.max(size, 11));
  b.set([0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 16, 0, 16, 0]);
  return b;
}

export function rtp(pt, seq, timestamp, ssrc, payload, marker = true) {
  const h = Buffer.alloc(12);
  h[0] = 0x80;
  h[1] = pt | (marker ? 0x80 : 0);
  h.writeUInt16BE(seq & 0xffff, 2);
  h.writeUInt32BE(timestamp >>> 0, 4);
  h.writeUInt32BE(ssrc, 8);
  return Buffer.concat([h, payload]);
}
