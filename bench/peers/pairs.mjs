// A stack in Node as a process of the scenario datachannel: the HTTP of bench's
// own children (serve_data_linux.go), until standard input ends.
import { createServer } from "node:http";

// A sender waits while more than highWater is buffered, until it is lowWater.
export const lowWater = 512 << 10;
const highWater = 1 << 20;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

const pairs = [];
let channels = 0;
let heard = null; // (pair, side, channel, bytes)

const units = { ms: 1, s: 1000 };

// A duration as Go prints it.
function milliseconds(text) {
  const m = /^([0-9.]+)(ms|s)$/.exec(text);
  if (!m) throw new Error(`"${text}" is no duration`);
  return Number(m[1]) * units[m[2]];
}

function within(ms, promise, what) {
  return Promise.race([promise, sleep(ms).then(() => Promise.reject(new Error(what)))]);
}

async function connect(stack, q) {
  channels = Number(q.get("channels"));
  for (let n = Number(q.get("n")); n > 0; n--) {
    const i = pairs.length;
    const tell = (side, channel, bytes) => heard && heard(i, side, channel, bytes);
    pairs.push(await within(20000, stack(channels, q.has("unordered"), tell), "the channels did not open"));
  }
  return {};
}

function census() {
  const m = process.memoryUsage();
  return { Heap: m.heapUsed + m.external, Stack: 0, RSS: m.rss, Goroutines: 0, FDs: 0 };
}

function median(list) {
  const s = [...list].sort((a, b) => a - b);
  const at = (s.length - 1) / 2;
  return (s[Math.floor(at)] + s[Math.ceil(at)]) / 2;
}

async function rtt(q) {
  const data = Buffer.alloc(Number(q.get("size")));
  const pair = pairs[0];
  let back;
  heard = (_, side) => (side === 1 ? pair.send(1, 0, data) : back());
  const times = [];
  const cpu = cpuSeconds();
  const end = performance.now() + milliseconds(q.get("for"));
  while (performance.now() < end) {
    const t = performance.now();
    let watch;
    await new Promise((resolve, reject) => {
      back = resolve;
      // One timer a trip would be part of what is measured.
      if (times.length % 64 === 0) watch = setTimeout(() => reject(new Error("a round trip did not end")), 5000);
      pair.send(0, 0, data);
    });
    if (watch) clearTimeout(watch);
    times.push((performance.now() - t) * 1e3);
  }
  heard = null;
  return { Micros: median(times), CPU: ((cpuSeconds() - cpu) * 1e6) / times.length, Trips: times.length };
}

async function pump(pair, channel, data, running) {
  while (running()) {
    if (pair.buffered(0, channel) > highWater) {
      await Promise.race([pair.low(channel), sleep(100)]); // it may have fallen before we looked
    } else {
      pair.send(0, channel, data);
    }
  }
}

async function flow(q) {
  const data = Buffer.alloc(Number(q.get("size")));
  const ms = milliseconds(q.get("for"));
  let arrived = 0;
  let running = true;
  heard = (_, side, _channel, bytes) => {
    if (side === 1) arrived += bytes;
  };
  const pumps = pairs.flatMap((pair) => Array.from({ length: channels }, (_, c) => pump(pair, c, data, () => running)));
  await sleep(ms / 5); // windows open
  const [cpu, bytes, start] = [cpuSeconds(), arrived, performance.now()];
  await sleep(ms);
  const result = { Bytes: arrived - bytes, Seconds: (performance.now() - start) / 1e3, CPU: cpuSeconds() - cpu };
  running = false;
  await Promise.all(pumps);
  // What is under way belongs to nobody's next turn.
  const end = performance.now() + 5000;
  for (let last = -1; last !== arrived && performance.now() < end; ) {
    last = arrived;
    await sleep(50);
  }
  heard = null;
  return result;
}

// serve answers for stack(channels, unordered, heard), which resolves to a pair
// of connected ends, 0 and 1: send(side, channel, data), buffered(side, channel)
// and low(channel), a promise of the next time that what side 0 has buffered
// falls to lowWater.
export function serve(stack) {
  const paths = {
    "/connect": (q) => connect(stack, q),
    "/census": census,
    "/rtt": rtt,
    "/flow": flow,
    "/profile/start": () => ({}), // bench profiles programs in Go alone
    "/profile/stop": () => ({}),
  };
  const server = createServer(async (req, res) => {
    const url = new URL(req.url, "http://localhost");
    try {
      const body = JSON.stringify(await paths[url.pathname](url.searchParams));
      res.writeHead(200, { "Content-Type": "application/json" }).end(body);
    } catch (e) {
      res.writeHead(500).end(String(e));
    }
  });
  // A parent that is busy with others for long comes back on the same connection.
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
  process.stdin.on("end", () => process.exit(0)).resume();
}

// A bell wakes those who wait for it.
export function bell() {
  let waiting = [];
  return {
    ring() {
      const list = waiting;
      waiting = [];
      for (const wake of list) wake();
    },
    wait: () => new Promise((wake) => waiting.push(wake)),
  };
}
