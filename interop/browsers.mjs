// Drives the browsers for the Go tests: one JSON request a line on stdin, one
// JSON answer a line on stdout. The end of stdin closes every browser.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import puppeteer from 'puppeteer-core';

const browsers = new Map();
const pages = new Map();
let nextPage = 1;

function chromium(path, extra) {
  const profile = mkdtempSync(join(tmpdir(), 'sluice-chromium-'));
  return {
    profile,
    options: {
      browser: 'chrome', executablePath: path, headless: true, userDataDir: profile, acceptInsecureCerts: true,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream',
        '--autoplay-policy=no-user-gesture-required', '--disable-background-timer-throttling',
        '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows', '--mute-audio', ...extra],
    },
  };
}

function firefox(path, prefs) {
  const profile = mkdtempSync(join(tmpdir(), 'sluice-firefox-'));
  return {
    profile,
    options: {
      browser: 'firefox', executablePath: path, headless: true, userDataDir: profile, protocol: 'webDriverBiDi',
      extraPrefsFirefox: {
        'media.navigator.streams.fake': true,
        'media.navigator.permission.disabled': true,
        // Only with the permission for devices does Firefox gather the loopback interface.
        'media.peerconnection.ice.loopback': true,
        'permissions.default.camera': 1,
        'permissions.default.microphone': 1,
        'media.autoplay.default': 0,
        'media.gmp-manager.updateEnabled': false,
        'dom.min_background_timeout_value': 4,
        'app.update.enabled': false,
        'network.captive-portal-service.enabled': false,
        'network.connectivity-service.enabled': false,
        ...prefs,
      },
    },
  };
}

const commands = {
  async launch({ name, browser, path, args, prefs }) {
    const { profile, options } = browser === 'firefox' ? firefox(path, prefs ?? {}) : chromium(path, args ?? []);
    try {
      const b = await puppeteer.launch({ ...options, timeout: 60000, protocolTimeout: 120000, handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false });
      browsers.set(name, { b, profile });
      return { pid: b.process().pid, version: await b.version() };
    } catch (e) {
      rmSync(profile, { recursive: true, force: true });
      throw e;
    }
  },

  async open({ name, url }) {
    const page = await browsers.get(name).b.newPage();
    page.on('console', (m) => process.stderr.write(`${name}: ${m.text()}\n`));
    page.on('pageerror', (e) => process.stderr.write(`${name}: ${e}\n`));
    await page.goto(url);
    await page.waitForFunction('window.peer !== undefined', { timeout: 20000 });
    pages.set(nextPage, page);
    return { page: nextPage++ };
  },

  async call({ page, fn, arg }) {
    // Errors come back as values: what a thrown one becomes differs between protocols.
    const r = await pages.get(page).evaluate(async (fn, arg) => {
      try {
        return JSON.stringify({ ok: await window.peer[fn](arg) });
      } catch (e) {
        return JSON.stringify({ error: String(e) });
      }
    }, fn, arg);
    const v = JSON.parse(r);
    if (v.error) throw new Error(v.error);
    return v.ok;
  },

  async close({ page }) {
    const p = pages.get(page);
    pages.delete(page);
    await p.close();
    return {};
  },
};

async function end() {
  await Promise.allSettled([...browsers.values()].map(async ({ b, profile }) => {
    const kill = setTimeout(() => b.process()?.kill('SIGKILL'), 5000);
    await b.close();
    clearTimeout(kill);
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }));
  process.exit(0);
}

const lines = createInterface({ input: process.stdin });
lines.on('line', async (line) => {
  const { id, command, ...arg } = JSON.parse(line);
  let answer;
  try {
    answer = { id, ok: await commands[command](arg) };
  } catch (e) {
    answer = { id, error: String(e?.message ?? e) };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
});
lines.on('close', end);
process.on('SIGTERM', end);
