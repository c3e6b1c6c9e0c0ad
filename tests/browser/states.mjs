// What the page shows when something is missing, and that it can be used by everybody.

import assert from 'node:assert/strict';
import { accessible, after, enter, fits, have, inBrowser, keys, origin, settled, shot } from './browser.mjs';
import { figures, judge, range } from './overview.mjs';
import { address, focused, press, text } from './tables.mjs';

const MARKUP = '<img src=x onerror=alert(1)><script>alert(2)</script>';

export async function outage() {
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?time_zone=UTC');
    const before = await figures(page);
    await have({ do: 'stop' });
    await page.click('#refresh');
    await settled(page, 'away');
    assert.match(await text(page, '#outage'), /the database is not available.*Start PostgreSQL.*tries again by itself/s);
    // What was there stays, and is said to be of before.
    assert.match(await text(page, '#outage'), /reports below are from \d\d:\d\d/);
    assert.deepEqual((await figures(page)).panels, before.panels);
    assert.equal(await text(page, '#live-text'), 'Offline');
    await accessible(page, 'away');
    await shot(page, 'away');
    // Another range has no figures then, and none are made up.
    await page.click('#range');
    await page.click('.menu-box [data-value="7d"]');
    await page.waitForFunction(() => /No data/.test(document.getElementById('panel-time').textContent));
    await shot(page, 'away-without-figures');
    await have({ do: 'start' });
    // By itself.
    await settled(page);
    assert.equal(await page.$('#outage'), null);
    await judge(page);
  }, { allowed: [/status of 503/, /ERR_INCOMPLETE_CHUNKED/] });
}

export async function keyboard() {
  await inBrowser(async (page) => {
    await page.goto(`${origin}/?time_zone=UTC`);
    await settled(page, 'door');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'door-key');
    await page.keyboard.type(keys.a);
    await after(page, () => page.keyboard.press('Enter'));
    await after(page, () => page.reload());
    await page.evaluate(() => document.activeElement.blur());
    const order = [];
    for (let n = 0; n < 120; n += 1) {
      await page.keyboard.press('Tab');
      const at = await page.evaluate(() => {
        const { id, textContent } = document.activeElement;
        const box = document.activeElement.getBoundingClientRect();
        const style = getComputedStyle(document.activeElement);
        const isSeen = box.width > 0 && (style.outlineStyle !== 'none' || document.activeElement.type === 'radio');
        return { name: id || textContent.trim(), panel: document.activeElement.closest('section')?.id, isSeen };
      });
      if (at.name === 'API of this page') break;
      assert.ok(at.isSeen, `${at.name} shows no focus`);
      order.push(at);
    }
    assert.deepEqual(order.slice(0, 13).map(({ name }) => name), ['Skip to the reports', 'Overview', 'Events', 'Funnels', 'Retention', 'Experiments', 'Quality', 'zone', 'theme', 'account', 'range', 'compare', 'add-filter']);
    assert.deepEqual([...new Set(order.map(({ panel }) => panel).filter(Boolean))], ['panel-names', 'panel-subjects', 'panel-properties', 'panel-people']);
    // A menu: Enter opens it, Tab moves in it, Escape closes it and gives the focus back.
    await page.focus('#range');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.activeElement.closest('.menu-box'));
    await page.keyboard.press('Tab');
    await after(page, () => page.keyboard.press('Enter'));
    assert.equal(address(page).get('range'), '7d');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'range');
    // A filter is made of keys alone.
    await page.focus('#add-filter');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.activeElement.id === 'filter-key');
    await page.select('#filter-key', 'subject');
    await page.focus('#filter-value');
    await page.keyboard.type('tool/search');
    await press(page, 'Enter', 'Tab');
    await page.waitForFunction(() => [...document.querySelectorAll('.values input')].some((box) => box.checked));
    await page.focus('.filter-form button[type=submit]');
    await after(page, () => page.keyboard.press('Enter'));
    await judge(page, { where: "e.subject = 'tool/search'" });
    // It can be changed.
    await page.focus('.chip .menu-button');
    await page.keyboard.press('Enter');
    await page.select('#filter-operator', 'prefix');
    await page.waitForSelector('#filter-value[type=text]');
    await page.focus('#filter-value');
    await page.keyboard.type('tool/');
    await after(page, () => page.keyboard.press('Enter'));
    assert.equal(address(page).get('begins.subject'), 'tool/');
    await judge(page, { where: "starts_with(e.subject, 'tool/')" });
    // The chart as a table, which a screen reader has all along.
    assert.equal(await page.$eval('#table-time', (table) => table.closest('.vh') !== null), true);
    await page.focus('#time-table');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => !document.getElementById('table-time').closest('.vh'));
    assert.equal(await page.$('#panel-time canvas'), null);
    await accessible(page, 'table');
    await page.focus('#table-time tbody tr:last-child .row-button');
    await after(page, () => page.keyboard.press('Enter'));
    assert.equal(address(page).get('range'), 'custom');
    assert.ok(await focused(page) !== null);
  });
}

export async function markup() {
  await inBrowser(async (page) => {
    const count = () => page.evaluate(() => [document.querySelectorAll('main img, main script').length, document.scripts.length]);
    await enter(page, keys.a, '?range=7d&property=data.skillName&split=data.skillName');
    // It is there, as text, in every place that a client writes to.
    for (const panel of ['subjects', 'properties', 'people', 'time']) assert.ok((await text(page, `#panel-${panel}`)).includes('<img src=x'), panel);
    assert.deepEqual(await count(), [0, 2]);
    await page.goto(`${page.url()}&page=events`);
    await settled(page);
    assert.ok((await text(page, '#table-events')).includes('<img src=x'));
    await page.click('#table-events tr[data-id] .when button');
    await page.waitForSelector('#event[open]');
    assert.deepEqual(await count(), [0, 2]);
    // Nor out of an address.
    const made = encodeURIComponent(MARKUP);
    await page.goto(`${origin}/?range=${made}&since=${made}&page=${made}&is.name=${made}&is.${made}=x&split=data.${made}&property=${made}&time_zone=${made}&tenant=${made}#${made}`);
    await settled(page);
    assert.ok((await text(page, '.chip')).includes('<img src=x'));
    assert.deepEqual(await count(), [0, 2]);
    await page.evaluate((html) => { const made_ = document.createElement('div'); made_.innerHTML = html; document.body.append(made_); }, '<b id="probe" onclick="alert(4)">x</b>');
    await page.$eval('#probe', (probe) => probe.click());
    // The policy of the page refused that, as it would refuse what the scripts had let through.
    assert.deepEqual(await page.evaluate(() => window.violations.splice(0)), ['script-src-attr: inline']);
  }, { allowed: [/Content Security Policy/, /status of 400/] });
}

export async function withoutCharts() {
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?time_zone=UTC');
    assert.match(await text(page, '#no-charts'), /built without its charts: run make dashboard/);
    assert.equal(await page.$('canvas'), null);
    assert.equal(await page.$eval('#table-time', (table) => table.checkVisibility() && !table.closest('.vh')), true);
    await accessible(page, 'without charts');
  }, {
    prepare: async (page) => {
      await page.setRequestInterception(true);
      page.on('request', (request) => {
        if (request.url().endsWith('/chart.js')) request.respond({ status: 200, contentType: 'text/javascript', body: '' });
        else request.continue();
      });
    },
  });
}

export async function emptyRange() {
  await inBrowser(async (page) => {
    // A name that has no events says so, and how to go on.
    await enter(page, keys.a, '?range=7d&is.name=checkout_completed&time_zone=UTC');
    assert.match(await text(page, '#empty'), /No events match these filters/);
    await accessible(page, 'empty');
    await shot(page, 'empty');
    await after(page, () => page.click('#empty button'));
    await judge(page);
    // One that nobody knows, too.
    await page.goto(`${origin}/?range=7d&is.name=tool_usd&is.data.skilName=x&time_zone=UTC`);
    await settled(page);
    assert.match(await text(page, '#notices'), /tool_usd/);
    await fits(page);
    await range(page, '24h');
  });
}
