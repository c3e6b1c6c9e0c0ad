// A real Chromium on the dashboard, and what must hold of whatever is done in it.

import { readFileSync, mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';
import puppeteer from 'puppeteer-core';

export const { origin, keys, shots, chromium } = JSON.parse(process.env.EVENTLOG_BROWSER);

/** Far beyond what the slowest machine takes. */
export const LONG = 240_000;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Has the test that started this do something, or judge figures; waits until it has. */
export async function have(request) {
  console.log(JSON.stringify(request));
  const { value } = await lines.next();
  assert.equal(value, 'done', JSON.stringify(request));
}

const arguments_ = [
  // Root has no sandbox; containers have little shared memory.
  '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--hide-scrollbars',
  // No name is looked up: what is not the gateway fails.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
];

/** A page in a new browser, watched; `run` gets it. `allowed` is what its console may say. */
export async function inBrowser(run, { width = 1280, height = 900, scheme = 'light', allowed = [], prepare = async () => {} } = {}) {
  const browser = await puppeteer.launch({ executablePath: chromium, args: arguments_, headless: true, timeout: LONG, protocolTimeout: 2 * LONG });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(LONG);
    const faults = [];
    page.on('console', (message) => {
      const text = `${message.text()} ${message.location()?.url ?? ''}`;
      if (['error', 'warn', 'assert'].includes(message.type()) && ![/status of 401.*\/api\/session$/, ...allowed].some((shape) => shape.test(text))) faults.push(`console: ${text}`);
    });
    page.on('pageerror', (error) => faults.push(`script: ${error.stack ?? error}`));
    page.on('dialog', (dialog) => { faults.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on('request', (request) => {
      const { origin: to, search, protocol } = new URL(request.url());
      // Chromium's own pictures of its controls are data within it.
      if (to !== origin && protocol !== 'data:') faults.push(`a request leaves for ${request.url()}`);
      if (Object.values(keys).some((key) => search.includes(key.slice(22)))) faults.push(`a key is in the address ${request.url()}`);
    });
    await page.evaluateOnNewDocument(() => {
      window.violations = [];
      document.addEventListener('securitypolicyviolation', (event) => window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
    });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.setViewport({ width, height });
    await prepare(page);
    await run(page);
    faults.push(...await page.evaluate(() => window.violations));
    assert.deepEqual(faults, []);
  } finally {
    await browser.close();
  }
}

/** Waits until the page is in a state: shown, door, away. */
export async function settled(page, state = 'shown') {
  try {
    // Panels ask once they are drawn, so the page is at rest when it has been for some frames.
    await page.waitForFunction(async (wanted) => {
      const isAtRest = () => document.body.dataset.state === wanted && (wanted !== 'shown' || document.getElementById('page')?.ariaBusy === 'false');
      for (let frames = 0; frames < 10; frames += 1) {
        if (!isAtRest()) return false;
        await new Promise(requestAnimationFrame);
      }
      return isAtRest();
    }, { timeout: LONG, polling: 50 }, state);
  } catch {
    const found = await page.evaluate(() => `${document.body.dataset.state}: ${document.body.innerText.slice(0, 500)}`);
    throw new Error(`the page is not ${state}, but ${found}`);
  }
}

/** Waits until the page has begun to load anew, and has ended. */
export async function after(page, act) {
  await page.evaluate(() => { document.body.dataset.state = 'before'; });
  await act();
  await settled(page);
}

/** Opens the page with a key. */
export async function enter(page, key, search = '') {
  await page.goto(`${origin}/${search}`);
  await page.waitForSelector('#door-key', { visible: true });
  await page.type('#door-key', key);
  await after(page, () => page.keyboard.press('Enter'));
}

/** What is drawn, as Chart.js has it: the values of each series, by panel. */
export const drawn = (page) => page.evaluate(() => Object.fromEntries([...document.querySelectorAll('#page canvas')].map((canvas) => {
  const { data } = window.Chart.getChart(canvas);
  return [canvas.closest('[id^="panel-"]').id.replace('panel-', ''), data.datasets.map((set) => [...set.data])];
})));

/** A picture of all of the page. */
export async function shot(page, name) {
  mkdirSync(shots, { recursive: true });
  const { width, height } = page.viewport();
  const whole = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewport({ width, height: Math.max(height, whole) });
  await new Promise((done) => { setTimeout(done, 400); });
  await page.screenshot({ path: `${shots}/${name}.png` });
  await page.setViewport({ width, height });
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** No fault that axe-core finds, of any weight. */
export async function accessible(page, what) {
  const inPage = await page.evaluate(`(() => { const module = undefined; const exports = undefined; ${axe}; return axe.run(document, { resultTypes: ['violations'] }); })()`);
  const found = inPage.violations.map(({ id, impact, nodes }) => `${what}: ${id} (${impact}): ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).slice(0, 3).join('; ')}`);
  assert.deepEqual(found, []);
}

/** Nothing is cut off at the right, or must be scrolled to, once the charts have followed the window. */
export async function fits(page) {
  const wide = () => page.evaluate(() => {
    const most = document.documentElement.clientWidth;
    const isCut = (element) => element.getBoundingClientRect().right > most + 1 && element.checkVisibility() && !element.closest('.scroll, pre, .vh, .skip');
    return [document.documentElement.scrollWidth > most ? 'the page' : '', ...[...document.querySelectorAll('body *')].filter(isCut).map((element) => `${element.tagName}.${element.className}`)].filter(Boolean);
  });
  let found = await wide();
  for (let tries = 0; found.length > 0 && tries < 100; tries += 1) {
    await new Promise((done) => { setTimeout(done, 100); });
    found = await wide();
  }
  assert.deepEqual(found, []);
}
