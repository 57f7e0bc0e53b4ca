import { Chart, bits, ms, percent } from './chart.js';
import { Meter, Problem, Session, request } from './client.js';
import { pattern } from './pattern.js';

const token = document.getElementById('token');
token.value = sessionStorage.getItem('token') ?? '';
token.addEventListener('change', () => {
  sessionStorage.setItem('token', token.value);
  refresh();
});
document.getElementById('token-form').addEventListener('submit', (e) => e.preventDefault());

// capture opens a source; stop ends it.
async function capture(source, large) {
  if (source === 'pattern') return large ? pattern(1280, 720) : pattern(640, 360);
  if (!navigator.mediaDevices) throw new Problem('No camera without https', 'Browsers give camera and screen only to pages that come by https, or from localhost.');
  try {
    const stream = source === 'screen'
      ? await navigator.mediaDevices.getDisplayMedia({ video: true, audio: true })
      : await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: { ideal: 1280 }, height: { ideal: 720 } } });
    return { stream, stop: () => stream.getTracks().forEach((t) => t.stop()) };
  } catch (e) {
    const why = { NotAllowedError: 'The permission was not given.', NotFoundError: 'There is no such device.', NotReadableError: 'Another program is using it.' };
    throw new Problem(`The ${source} cannot be used`, why[e.name] ?? e.message);
  }
}

const layers = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 200_000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 700_000 },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 2_500_000 },
];

// Panel is one of the three sections: a form, a video, charts, one session.
class Panel {
  constructor(id, charts, start) {
    this.root = document.getElementById(id);
    this.form = this.root.querySelector('form');
    this.go = this.form.querySelector('[type=submit]');
    this.stopper = this.form.querySelector('.stop');
    this.video = this.root.querySelector('video');
    this.statusLine = this.root.querySelector('.status');
    this.problem = this.root.querySelector('.problem');
    this.chartBox = this.root.querySelector('.charts');
    this.chartsOf = charts;
    this.startSession = start;
    this.form.addEventListener('submit', (e) => {
      e.preventDefault();
      this.start();
    });
    this.stopper.addEventListener('click', () => this.stop());
    const name = this.form.elements.name;
    const path = this.root.querySelector('.path');
    name?.addEventListener('input', () => { path.textContent = name.value; });
  }

  value(name) {
    return this.form.elements[name].value;
  }

  status(state, text) {
    this.statusLine.dataset.state = state;
    this.statusLine.textContent = text;
  }

  fail(e) {
    const title = document.createElement('strong');
    title.textContent = e instanceof Problem ? e.message : 'Something went wrong';
    this.problem.replaceChildren(title, e instanceof Problem ? e.detail : String(e));
    this.problem.hidden = false;
  }

  async start() {
    this.stop();
    this.problem.hidden = true;
    this.busy(true);
    const run = { stopped: false };
    this.run = run;
    try {
      await this.startSession(run);
      if (run.stopped) return;
      await run.session.open();
      if (!run.stopped) this.measure(run);
    } catch (e) {
      if (run.stopped) return;
      this.stop();
      this.status('ended', '');
      this.fail(e);
    }
  }

  // session makes the run's session; its end is the run's.
  session(run, url) {
    run.session = new Session(url, token.value, (state, text) => {
      if (this.run !== run) return;
      this.status(state, text);
      if (state === 'ended') this.stop();
    });
    if (run.stopped) run.session.close();
    return run.session.pc;
  }

  busy(on) {
    this.go.disabled = on;
    this.stopper.disabled = !on;
    for (const e of this.form.elements) if (e.tagName !== 'BUTTON') e.disabled = on;
  }

  show(stream) {
    this.video.srcObject = stream;
    this.video.hidden = false;
  }

  measure(run) {
    const meter = new Meter(run.session.pc);
    this.chartBox.replaceChildren();
    this.chartBox.hidden = false;
    const charts = this.chartsOf.map(([title, format, of, series]) => [new Chart(this.chartBox, title, format, series), of]);
    run.timer = setInterval(async () => {
      const m = await meter.read().catch(() => undefined);
      if (!m || run.stopped) return;
      for (const [chart, of] of charts) chart.add(of(m, run));
      if (run.session.pc.connectionState === 'connected') {
        this.status('connected', ['Connected.', m.codec, m.size].filter(Boolean).join(' '));
      }
    }, 1000);
  }

  stop() {
    const run = this.run;
    if (!run || run.stopped) return;
    run.stopped = true;
    clearInterval(run.timer);
    clearInterval(run.pinger);
    run.session?.close();
    run.source?.stop();
    this.video.srcObject = null;
    this.video.hidden = true;
    this.busy(false);
    setTimeout(refresh, 200);
  }
}

const publish = new Panel('publish', [
  ['Bit rate', bits, (m) => m.out, 1], ['Loss', percent, (m) => m.lossOut, 2], ['Round trip', ms, (m) => m.rtt, 3],
], async (run) => {
  const simulcast = publish.form.elements.simulcast.checked;
  const name = publish.value('name');
  run.source = await capture(publish.value('source'), simulcast);
  if (run.stopped) {
    run.source.stop();
    return;
  }
  const { stream } = run.source;
  const pc = publish.session(run, `whip/${encodeURIComponent(name)}`);
  for (const track of stream.getTracks()) {
    const video = track.kind === 'video';
    pc.addTransceiver(track, {
      direction: 'sendonly', streams: [stream],
      ...(video && { sendEncodings: simulcast ? layers : [{ maxBitrate: 2_500_000 }] }),
    });
    track.addEventListener('ended', () => publish.stop()); // by the browser's own button
  }
  publish.show(stream);
  setTimeout(refresh, 700);
});

const watch = new Panel('watch', [
  ['Bit rate', bits, (m) => m.in, 1], ['Loss', percent, (m) => m.lossIn, 2], ['Round trip', ms, (m) => m.rtt, 3],
], async (run) => {
  const name = watch.value('name');
  const rid = watch.value('rid');
  const pc = watch.session(run, `whep/${encodeURIComponent(name)}${rid ? `?rid=${encodeURIComponent(rid)}` : ''}`);
  receive(pc, watch);
  pc.addTransceiver('video', { direction: 'recvonly' });
  pc.addTransceiver('audio', { direction: 'recvonly' });
});

const echo = new Panel('echo', [
  ['Sent', bits, (m) => m.out, 1], ['Received', bits, (m) => m.in, 1], ['Loss', percent, (m) => m.lossIn ?? m.lossOut, 2],
  ['Round trip', ms, (m) => m.rtt, 3], ['Data round trip', ms, (m, run) => run.ping, 3],
], async (run) => {
  const source = echo.value('source');
  if (source !== 'none') {
    run.source = await capture(source, false);
    if (run.stopped) {
      run.source.stop();
      return;
    }
  }
  const pc = echo.session(run, 'echo');
  receive(pc, echo);
  for (const track of run.source?.stream.getTracks() ?? []) pc.addTransceiver(track, { direction: 'sendrecv', streams: [run.source.stream] });
  const channel = pc.createDataChannel('ping', { ordered: false, maxRetransmits: 0 });
  channel.onmessage = (e) => { run.ping = performance.now() - Number(e.data); };
  run.pinger = setInterval(() => {
    if (channel.readyState === 'open') channel.send(String(performance.now()));
  }, 250);
});

function receive(pc, panel) {
  const stream = new MediaStream();
  pc.addEventListener('track', (e) => {
    stream.addTrack(e.track);
    panel.show(stream);
  });
}

// The list of streams, made of text nodes only: names come from others.
const list = watch.root.querySelector('.streams');
const ridField = watch.form.elements.rid;
let known = [];

async function refresh() {
  let streams;
  try {
    ({ streams } = await (await request('api/streams', token.value)).json());
  } catch (e) {
    list.replaceChildren(item(e.message));
    list.dataset.shown = '';
    return;
  }
  known = streams.filter((s) => s.live);
  showLayers();
  const shown = JSON.stringify(known);
  if (shown === list.dataset.shown) return; // keeps the focus
  const focused = document.activeElement?.closest('.streams li')?.dataset.name;
  list.dataset.shown = shown;
  list.replaceChildren(...(known.length ? known.map(entry) : [item('Nothing yet.')]));
  if (focused) [...list.children].find((li) => li.dataset.name === focused)?.querySelector('button')?.focus();
}

function item(text) {
  const li = document.createElement('li');
  const span = document.createElement('span');
  span.className = 'about';
  span.textContent = text;
  li.append(span);
  return li;
}

function entry(s) {
  const layerNames = s.tracks.flatMap((t) => t.layers);
  const codecs = s.tracks.flatMap((t) => t.codecs).map((c) => c.split('/')[1]);
  const li = item([codecs.join(', '), layerNames.length ? `layers ${layerNames.join(' ')}` : '', `${s.viewers} watching`].filter(Boolean).join(' · '));
  li.dataset.name = s.name;
  const name = document.createElement('span');
  name.className = 'name';
  name.textContent = s.name;
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Watch';
  button.setAttribute('aria-label', `Watch ${s.name}`);
  button.addEventListener('click', () => {
    watch.stop();
    const field = watch.form.elements.name;
    field.value = s.name;
    field.dispatchEvent(new Event('input'));
    showLayers();
    watch.start();
  });
  li.prepend(button, name);
  return li;
}

function showLayers() {
  const s = known.find((x) => x.name === watch.value('name'));
  const rids = s ? s.tracks.flatMap((t) => t.layers) : [];
  if ([...ridField.options].slice(1).map((o) => o.value).join() === rids.join()) return;
  const old = ridField.value;
  ridField.replaceChildren(ridField.options[0], ...rids.map((r) => new Option(r, r)));
  ridField.value = rids.includes(old) ? old : '';
}

watch.form.elements.name.addEventListener('input', showLayers);
addEventListener('pagehide', () => [publish, watch, echo].forEach((p) => p.stop()));
refresh();
setInterval(() => { if (!document.hidden) refresh(); }, 2000);
