import { Chart, bits, count, ms, percent } from './chart.js';

const byID = (id) => document.getElementById(id);
const charts = {
  in: new Chart(byID('charts'), 'Media in', bits, 1),
  out: new Chart(byID('charts'), 'Media out', bits, 2),
  sessions: new Chart(byID('charts'), 'Sessions', count, 3),
  drops: new Chart(byID('charts'), 'Drops a second', count, 2),
};
const earlier = new Map(); // session id -> transport counters
let last;
let chosen;

function tiles(box, values) {
  box.replaceChildren(...values.map(([name, value]) => {
    const div = document.createElement('div');
    const dt = document.createElement('dt');
    const dd = document.createElement('dd');
    dt.textContent = name;
    dd.textContent = value;
    div.append(dt, dd);
    return div;
  }));
}

function duration(s) {
  const h = Math.floor(s / 3600);
  const m = Math.floor((s % 3600) / 60);
  return h ? `${h} h ${m} min` : m ? `${m} min ${Math.floor(s % 60)} s` : `${Math.floor(s)} s`;
}

function of(session, type) {
  return Object.values(session.stats ?? {}).filter((x) => x.type === type);
}

function row(s, seconds) {
  const t = of(s, 'transport');
  const sum = (list, key) => list.reduce((n, x) => n + (x[key] ?? 0), 0);
  const now = { in: sum(t, 'bytesReceived'), out: sum(t, 'bytesSent') };
  const old = earlier.get(s.id);
  earlier.set(s.id, now);
  const rate = (key) => (old && seconds ? bits(Math.max(0, now[key] - old[key]) * 8 / seconds) : '–');
  const remote = of(s, 'remote-inbound-rtp');
  const inbound = of(s, 'inbound-rtp');
  const received = sum(inbound, 'packetsReceived');
  const lost = Math.max(0, sum(inbound, 'packetsLost'));
  const loss = remote.length ? Math.max(...remote.map((x) => x.fractionLost)) * 100 : received ? (lost / (lost + received)) * 100 : undefined;
  const pair = of(s, 'candidate-pair').find((p) => p.id === t[0]?.selectedCandidatePairId);
  const cells = [s.id, s.role, s.stream ? s.stream + (s.rid ? ` (${s.rid})` : '') : '', duration(s.age), s.state, rate('in'), rate('out'),
    loss === undefined ? '–' : percent(loss), pair?.currentRoundTripTime ? ms(pair.currentRoundTripTime * 1000) : '–', t[0]?.srtpCipher ?? ''];
  const tr = document.createElement('tr');
  for (const text of cells) tr.insertCell().textContent = text;
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'quiet';
  button.textContent = chosen === s.id ? 'Hide' : 'Details';
  button.setAttribute('aria-label', `${button.textContent} of ${s.id}`);
  button.dataset.id = s.id;
  button.addEventListener('click', () => {
    chosen = chosen === s.id ? undefined : s.id;
    if (last) show(last, 0);
  });
  tr.insertCell().append(button);
  return tr;
}

function show(v, seconds) {
  const e = v.engine;
  byID('about').textContent = `${v.version}, up ${duration(v.uptime)}, UDP ${v.udp}, ${e.Shards} shards`;
  const k = e.Sockets;
  tiles(byID('tiles'), [
    ['Sessions', count(v.count)], ['Streams', count(v.streams.length)], ['Transports', count(e.Transports)],
    ['RTP in', count(e.RTPIn)], ['RTP out', count(e.RTPOut)], ['Sent again', count(e.Retransmitted)],
    ['Key frames asked', count(e.KeyframeRequests)], ['Datagrams per write', k.Writes ? (k.Sent / k.Writes).toFixed(1) : '–'],
    ['Datagrams per read', k.Reads ? (k.Received / k.Reads).toFixed(1) : '–'], ['GSO runs', count(k.GSORuns)],
  ]);
  const dropped = Object.entries(e.Drops).filter(([, n]) => n).sort((a, b) => b[1] - a[1]);
  tiles(byID('drops'), dropped.length ? dropped.map(([c, n]) => [c.replaceAll('_', ' '), count(n)]) : [['none', '0']]);
  const focused = document.activeElement?.dataset?.id;
  byID('rows').replaceChildren(...v.sessions.map((s) => row(s, seconds)));
  if (focused) byID('rows').querySelector(`button[data-id="${CSS.escape(focused)}"]`)?.focus();
  const s = v.sessions.find((x) => x.id === chosen);
  byID('detail').hidden = !s;
  if (s) {
    byID('detail-title').textContent = `Session ${s.id}`;
    byID('dump').textContent = JSON.stringify(s, null, 2);
  }
}

async function tick() {
  try {
    const r = await fetch('/debug/webrtc?format=json', { cache: 'no-store' });
    if (!r.ok) throw new Error(`the server answered ${r.status}`);
    const v = await r.json();
    const seconds = last ? v.uptime - last.uptime : 0;
    const total = (x) => Object.values(x.engine.Drops).reduce((a, b) => a + b, 0);
    if (last && seconds > 0) {
      charts.in.add((v.engine.RTPInBytes - last.engine.RTPInBytes) * 8 / seconds);
      charts.out.add((v.engine.RTPOutBytes - last.engine.RTPOutBytes) * 8 / seconds);
      charts.drops.add((total(v) - total(last)) / seconds);
    }
    charts.sessions.add(v.count);
    show(v, seconds);
    last = v;
    byID('problem').hidden = true;
  } catch (e) {
    byID('problem').textContent = `No news from the server: ${e.message}`;
    byID('problem').hidden = false;
  }
  setTimeout(tick, 1000);
}

tick();
