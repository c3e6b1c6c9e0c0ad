// What people do with the dashboard. Figures are judged by the test that runs this, which asks the log.

import assert from 'node:assert/strict';
import { accessible, after, drawn, enter, figures, fits, have, inBrowser, keys, LONG, origin, range, settled, shot } from './browser.mjs';

const MARKUP = '<img src=x onerror=alert(1)><script>alert(2)</script>';
const text = (page, selector) => page.$eval(selector, (element) => element.textContent);
const judge = async (page, asked) => have({ judge: { ...asked, ...await figures(page) } });

/** The charts have the figures of the tables beside them. */
async function chartsAreTables(page) {
  const { tables } = await figures(page);
  const charts = await drawn(page);
  const columns = { time: [1, 2], share: [1], names: [1], subjects: [1], actors: [1, 2, 3] };
  for (const [id, positions] of Object.entries(columns)) {
    if (!tables[id]) continue;
    assert.deepEqual(charts[id], positions.map((n) => tables[id].map((row) => Number(row[n]))), id);
  }
}

export async function ranges() {
  await inBrowser(async (page) => {
    await enter(page, keys.a);
    await judge(page, { range: '30d', unit: 'day', names: [] });
    await chartsAreTables(page);
    await shot(page, 'light');
    for (const [value, unit] of [['24h', 'hour'], ['7d', 'day'], ['90d', 'day']]) {
      await range(page, value);
      await judge(page, { range: value, unit, names: [] });
      await chartsAreTables(page);
    }
    // A custom range.
    await range(page, 'own');
    const day = (ago) => new Date(Date.now() - ago * 864e5).toISOString().slice(0, 10);
    for (const [id, value] of [['own-from', day(40)], ['own-to', day(20)]]) {
      await after(page, () => page.$eval(`#${id}`, (input, given) => {
        input.value = given;
        input.dispatchEvent(new Event('change', { bubbles: true }));
      }, value));
    }
    assert.ok(page.url().includes(`range=own&from=${day(40)}&to=${day(20)}`), page.url());
    await judge(page, { range: 'own', unit: 'day', names: [] });
  });
}

export async function filters() {
  await inBrowser(async (page) => {
    await enter(page, keys.a);
    const choose = async (name) => after(page, () => page.click(`#names-list input[value="${name}"]`));
    await page.click('#names-summary');
    // The browser tells the page of it later.
    await page.waitForSelector('#names-list input');
    await choose('skill_executed');
    await judge(page, { range: '30d', unit: 'day', names: ['skill_executed'] });
    await choose('tool_used');
    await judge(page, { range: '30d', unit: 'day', names: ['skill_executed', 'tool_used'] });
    await chartsAreTables(page);
    assert.equal(await text(page, '#names-summary'), '2 names');
    const { search } = new URL(page.url());
    assert.equal(search, `?key=${keys.a.slice(0, 21)}&range=30d&name=skill_executed&name=tool_used`);
    await page.keyboard.press('Escape');
    assert.equal(await page.$eval('#names', (names) => names.open), false);

    // The address brings it back: in this tab without the key, in another with it.
    await range(page, '7d');
    await after(page, () => page.goBack());
    assert.equal(new URL(page.url()).search, search);
    await after(page, () => page.reload());
    await judge(page, { range: '30d', unit: 'day', names: ['skill_executed', 'tool_used'] });
    assert.equal(await page.$eval('input[value="30d"]', (radio) => radio.checked), true);

    // A name that has no events says so, and how to go on.
    await page.goto(`${origin}/?range=7d&name=checkout_completed`);
    await settled(page);
    assert.match(await text(page, '#notices'), /No events of these types/);
    await accessible(page, 'empty');
    await shot(page, 'empty');
    await after(page, () => page.evaluate(() => [...document.querySelectorAll('#notices button')].at(-1).click()));
    await judge(page, { range: '7d', unit: 'day', names: [] });

    // Custom steps of a funnel.
    await page.click('#panel-funnel summary');
    await page.select('#panel-funnel select[data-step="0"]', 'tool_used');
    await after(page, () => page.click('#panel-funnel button[type=submit]'));
    assert.ok(page.url().includes('step=tool_used&step=message_sent'), page.url());
    await judge(page, { range: '7d', unit: 'day', names: [] });
  });
}

export async function tenants() {
  await inBrowser(async (page) => {
    // A door that says what is wrong with a key.
    await page.goto(origin);
    await settled(page, 'door');
    await accessible(page, 'door');
    await shot(page, 'door');
    for (const [key, says] of [['x', /not a key/], [keys.write, /write key/], [keys.a.slice(0, 40), /incomplete/], [`${keys.a.slice(0, -4)}0000`, /unknown, revoked or expired/]]) {
      await page.$eval('#door-key', (input) => { input.value = ''; });
      await page.type('#door-key', key);
      await page.keyboard.press('Enter');
      await page.waitForFunction((shape) => new RegExp(shape).test(document.getElementById('door-fault').textContent), {}, says.source);
    }
    await enter(page, keys.a);
    // A second key, and back to the first.
    await page.click('#keys-open');
    await accessible(page, 'keys');
    await page.click('#keys-add');
    await page.type('#door-key', keys.b);
    await after(page, () => page.keyboard.press('Enter'));
    await judge(page, { tenant: 'b', range: '30d', unit: 'day', names: [] });
    assert.ok(page.url().includes(`key=${keys.b.slice(0, 21)}`));
    assert.ok(!page.url().includes(keys.b));
    await after(page, () => page.select('#tenant-choice', keys.a.slice(0, 21)));
    await judge(page, { range: '30d', unit: 'day', names: [] });
    await after(page, () => page.goBack());
    await judge(page, { tenant: 'b', range: '30d', unit: 'day', names: [] });

    // A revoked key closes the door again, and is forgotten.
    await have({ do: 'revoke b' });
    await page.waitForFunction(() => {
      if (document.body.dataset.state === 'shown') document.getElementById('refresh').click();
      return document.body.dataset.state === 'door';
    }, { polling: 1000, timeout: LONG });
    assert.match(await text(page, '#door-why'), /revoked/);
    const kept = await page.evaluate(() => [sessionStorage.length, localStorage.length, JSON.parse(sessionStorage.getItem('eventlog.keys')).length, document.cookie]);
    assert.deepEqual(kept, [1, 0, 1, '']);
  }, { allowed: [/status of 401/] });
}

export async function outage() {
  await inBrowser(async (page) => {
    await enter(page, keys.a);
    const before = await figures(page);
    await have({ do: 'stop' });
    await page.click('#refresh');
    await settled(page, 'away');
    assert.match(await text(page, '#notices'), /the database is not available.*Start PostgreSQL.*tries again by itself/s);
    // What was there stays, and is said to be of before.
    assert.match(await text(page, '#notices'), /reports below are from \d\d:\d\d UTC/);
    assert.deepEqual((await figures(page)).tables, before.tables);
    assert.equal(await text(page, '#live-text'), 'Offline');
    await accessible(page, 'away');
    await shot(page, 'away');

    // Another range has no figures then, and none are made up.
    await page.click('input[value="7d"] + span');
    await settled(page, 'away');
    assert.match(await text(page, '#panel-time'), /No data/);
    await shot(page, 'away-without-figures');
    await have({ do: 'start' });
    // By itself.
    await settled(page);
    assert.equal(await text(page, '#notices'), '');
    await judge(page, { range: '7d', unit: 'day', names: [] });
  }, { allowed: [/status of 503/, /ERR_INCOMPLETE_CHUNKED/] });
}

export async function narrow() {
  for (const scheme of ['light', 'dark']) {
    await inBrowser(async (page) => {
      await page.goto(origin);
      await settled(page, 'door');
      await fits(page);
      await enter(page, keys.a);
      await fits(page);
      await page.click('#names-summary');
      await fits(page);
      await page.click('#names-summary');
      await chartsAreTables(page);
      await accessible(page, `narrow, ${scheme}`);
      await shot(page, `narrow-${scheme}`);
    }, { width: 360, height: 740, scheme });
  }
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?range=90d');
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await background();
    await accessible(page, 'dark');
    await shot(page, 'dark');
    // As the system says; then light; then dark, and so after a reload.
    assert.equal(await text(page, '#theme'), 'Theme: auto');
    await page.click('#theme');
    assert.notEqual(await background(), dark);
    await accessible(page, 'light');
    await page.click('#theme');
    await after(page, () => page.reload());
    assert.equal(await text(page, '#theme'), 'Theme: dark');
    assert.equal(await background(), dark);
    await page.setViewport({ width: 800, height: 900 });
    await fits(page);
    await shot(page, 'tablet');
  }, { scheme: 'dark' });
}

export async function keyboard() {
  await inBrowser(async (page) => {
    await page.goto(origin);
    await settled(page, 'door');
    const focus = () => page.evaluate(() => {
      const { id, name, value, textContent, tagName } = document.activeElement;
      const own = document.activeElement.closest('#panels section')?.id;
      return own ? `${own} ${tagName}` : id || (name ? `${name} ${value}` : textContent.trim());
    });
    // The key is asked for first.
    assert.equal(await focus(), 'door-key');
    await page.keyboard.type(keys.a);
    await after(page, () => page.keyboard.press('Enter'));
    await after(page, () => page.reload());
    await page.keyboard.press('Tab');
    const order = [];
    while (order.length < 40) {
      const at = await focus();
      if (at === 'API of this page') break;
      const seen = await page.evaluate(() => { const box = document.activeElement.getBoundingClientRect(); const style = getComputedStyle(document.activeElement); return box.width > 0 && (style.outlineStyle !== 'none' || document.activeElement.type === 'radio' || document.activeElement.id === 'figures'); });
      assert.ok(seen, `${at} shows no focus`);
      order.push(at);
      await page.keyboard.press('Tab');
    }
    assert.deepEqual(order.slice(0, 7), ['Skip to the reports', 'tenant-choice', 'keys-open', 'theme', 'range 30d', 'names-summary', 'refresh']);
    const panels = [...new Set(order.slice(7).map((at) => at.split(' ')[0]))];
    assert.deepEqual(panels, ['panel-time', 'panel-share', 'panel-names', 'panel-subjects', 'panel-actors', 'panel-retention', 'panel-funnel', 'panel-errors', 'panel-rejected', 'panel-taxonomy']);

    // Arrows change the range.
    await page.focus('input[value="30d"]');
    await after(page, () => page.keyboard.press('ArrowLeft'));
    await judge(page, { range: '7d', unit: 'day', names: [] });
    assert.match(await text(page, '#said'), /^Showing .*\.$/);
    // Space opens the names, checks one, and Escape gives the focus back.
    await page.focus('#names-summary');
    await page.keyboard.press('Space');
    await page.waitForFunction(() => document.activeElement.id === 'names-search');
    await page.keyboard.type('tool');
    await page.keyboard.press('Tab');
    await after(page, () => page.keyboard.press('Space'));
    await judge(page, { range: '7d', unit: 'day', names: ['tool_used'] });
    await page.keyboard.press('Escape');
    assert.equal(await focus(), 'names-summary');
    // Each chart as a table, which a screen reader has all along.
    assert.equal(await page.$eval('#table-time', (table) => table.closest('.vh') !== null), true);
    await page.focus('#panel-time .toggle');
    await page.keyboard.press('Enter');
    assert.equal(await page.$eval('#table-time', (table) => table.closest('.vh') !== null), false);
    assert.equal(await page.$eval('#panel-time .toggle', (toggle) => toggle.getAttribute('aria-pressed')), 'true');
    assert.equal(await page.$('#panel-time canvas'), null);
    await accessible(page, 'table');
    const tree = await page.accessibility.snapshot();
    assert.match(JSON.stringify(tree), /Names with the most events/);
  });
}

export async function news() {
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?range=24h');
    await page.waitForFunction(() => document.getElementById('live-text').textContent === 'Live', { timeout: LONG });
    const before = (await figures(page)).cards[0];
    await have({ do: 'log' });
    await page.waitForFunction((events) => document.getElementById('card-events').dataset.value === String(Number(events) + 1), { timeout: LONG, polling: 200 }, before);
    await settled(page);
    await judge(page, { range: '24h', unit: 'hour', names: [] });
  });
}

export async function markup() {
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?range=7d');
    // It is there, as text, in every place that a client writes to.
    for (const panel of ['subjects', 'errors', 'rejected', 'taxonomy']) {
      assert.ok((await text(page, `#panel-${panel}`)).includes('<img src=x'), panel);
    }
    const elements = () => page.evaluate(() => [document.querySelectorAll('main img, main script').length, document.scripts.length]);
    assert.deepEqual(await elements(), [0, 2]);
    // Nor out of an address.
    const made = encodeURIComponent(MARKUP);
    await page.goto(`${origin}/?range=${made}&from=${made}&to=${made}&name=${made}&step=${made}&key=${made}`);
    await settled(page);
    assert.equal(await text(page, '#names-summary'), MARKUP);
    assert.deepEqual(await elements(), [0, 2]);
    await page.goto(`${origin}/?key=el_r_0000000000000000"><script>alert(3)</script>`);
    await settled(page);
    await page.evaluate((markup_) => { const made_ = document.createElement('div'); made_.innerHTML = markup_; document.body.append(made_); }, '<b id="probe" onclick="alert(4)">x</b>');
    await page.$eval('#probe', (probe) => probe.click());
    // The policy of the page refused that, as it would refuse what the scripts had let through.
    const violations = await page.evaluate(() => window.violations.splice(0));
    assert.deepEqual(violations, ['script-src-attr: inline']);
  }, { allowed: [/Content Security Policy/] });
}

export async function withoutCharts() {
  await inBrowser(async (page) => {
    await enter(page, keys.a);
    assert.match(await text(page, '#no-charts'), /built without its charts: run make dashboard/);
    assert.equal(await page.$('canvas'), null);
    assert.equal(await page.$$eval('#panels table', (tables) => tables.filter((made) => made.checkVisibility() && !made.closest('.vh')).length >= 8), true);
    await judge(page, { range: '30d', unit: 'day', names: [] });
    await accessible(page, 'without charts');
    await shot(page, 'without-charts');
  }, {
    prepare: async (page) => {
      await page.setRequestInterception(true);
      page.on('request', (request) => {
        if (request.url().endsWith('/dashboard/chart.js')) request.respond({ status: 200, contentType: 'text/javascript', body: '' });
        else request.continue();
      });
    },
  });
}
