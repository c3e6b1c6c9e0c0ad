// What people do with the overview.

import assert from 'node:assert/strict';
import { accessible, after, drawn, enter, fits, have, inBrowser, keys, settled, shot } from './browser.mjs';
import { address, text } from './tables.mjs';

const METRICS = ['events', 'people', 'success', 'errors', 'p95'];

/** All figures of the page, as the values behind them. */
export const figures = (page) => page.evaluate(() => {
  const value = (element) => element?.dataset.value ?? '';
  const rows = (panel) => [...panel.querySelectorAll('.row')].map((row) => ({
    value: row.classList.contains('is-rest') ? null : row.dataset.row, isOthers: row.dataset.row === 'others' && row.classList.contains('is-rest'),
    events: value(row), share: row.querySelector('.share').textContent, change: value(row.querySelector('.delta')), isNew: row.querySelector('.delta')?.textContent === 'new',
  }));
  const { since, until, beforeSince, beforeUntil, unit, zone } = document.getElementById('page').dataset;
  const table = document.getElementById('table-time');
  return {
    since, until, unit, zone, before: beforeSince ? [beforeSince, beforeUntil] : null,
    cards: Object.fromEntries([...document.querySelectorAll('.card')].map((card) => [card.id.replace('card-', ''), value(card)])),
    changes: Object.fromEntries([...document.querySelectorAll('.card')].map((card) => [card.id.replace('card-', ''), value(card.querySelector('.delta'))])),
    series: [...table.querySelectorAll('thead th')].slice(1).map((cell) => cell.textContent),
    time: [...table.querySelectorAll('tbody tr')].map((row) => [...row.children].map(value)),
    panels: Object.fromEntries(['names', 'subjects', 'properties', 'people'].map((id) => [id, document.getElementById(`panel-${id}`)]).filter(([, panel]) => panel).map(([id, panel]) => [id, rows(panel)])),
    property: document.querySelector('#property')?.firstChild.textContent,
  };
});

/** Has the test compare all figures with the raw rows; `where` is the condition of the page's filters, in SQL. */
export async function judge(page, { where = 'true', metric = 'events', split = null, tenant = 'a' } = {}) {
  const found = await figures(page);
  await have({ judge: { page: 'overview', where, metric, split, tenant, ...found } });
  // The chart draws what the table says.
  const { time } = await drawn(page);
  const numbers = (n) => found.time.map((row) => (row[n] === '' ? null : Number(row[n])));
  assert.deepEqual(time, found.series.map((_, n) => numbers(n + 1)));
  return found;
}

export const range = async (page, value) => {
  await page.click('#range');
  await after(page, () => page.click(`.menu-box [data-value="${value}"]`));
};
const unit = (page, value) => after(page, () => page.click(`#panel-time input[value="${value}"] + span`));
const metric = (page, value) => after(page, () => page.click(`#card-${value}`));

export async function ranges() {
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?time_zone=UTC');
    await judge(page);
    await shot(page, 'overview-light');
    await accessible(page, 'overview');
    for (const one of METRICS.slice(1)) {
      await metric(page, one);
      await judge(page, { metric: one });
    }
    await metric(page, 'events');
    for (const value of ['24h', '7d', '90d', 'week', 'month', 'year']) {
      await range(page, value);
      await judge(page);
    }
    await range(page, '90d');
    for (const value of ['week', 'month']) {
      await unit(page, value);
      assert.equal(address(page).get('unit'), value);
      await judge(page);
      await metric(page, 'people');
      await judge(page, { metric: 'people' });
      await metric(page, 'events');
    }
    // A custom range, with the year before, and without a comparison.
    await page.click('#range');
    const day = (ago) => new Date(Date.now() - ago * 864e5).toISOString().slice(0, 10);
    for (const [id, value] of [['custom-from', day(40)], ['custom-to', day(20)]]) {
      await page.$eval(`#${id}`, (input, given) => { input.value = given; input.dispatchEvent(new Event('input', { bubbles: true })); }, value);
    }
    await after(page, () => page.click('.custom button'));
    assert.deepEqual(['range', 'since', 'until'].map((name) => address(page).get(name)), ['custom', day(40), day(20)]);
    await judge(page);
    for (const value of ['year', 'none']) {
      await page.click('#compare');
      await after(page, () => page.click(`.menu-box [data-value="${value}"]`));
      await judge(page);
    }
  });
}

/** Both sides of a change to summer time and back, half an hour beside UTC, and beyond the date line. */
export async function timeZones() {
  for (const zone of ['America/New_York', 'Asia/Kolkata', 'Pacific/Auckland', 'Europe/Berlin']) {
    await inBrowser(async (page) => {
      await enter(page, keys.a, '');
      // The browser's zone is the default one; the address keeps it.
      assert.equal(await page.$eval('#page', ({ dataset }) => dataset.zone), zone);
      for (const value of ['24h', '7d', '90d', 'month']) {
        await range(page, value);
        await judge(page);
      }
      // The weeks around the change, by hour on the day itself.
      await page.goto(`${page.url().split('?')[0]}?range=custom&since=2026-10-20&until=2026-11-08&time_zone=${zone}`);
      await settled(page);
      await judge(page);
      for (const day of ['2026-10-25', '2026-11-01']) {
        await page.goto(`${page.url().split('?')[0]}?range=custom&since=${day}&until=${day}&time_zone=${zone}`);
        await settled(page);
        const { time } = await judge(page);
        const long = { 'Europe/Berlin': '2026-10-25', 'America/New_York': '2026-11-01' }[zone] === day;
        assert.equal(time.length, long ? 25 : 24, `${zone} ${day}`);
      }
      assert.equal(address(page).get('time_zone'), zone);
      // Chosen from the list.
      await page.click('#zone');
      await page.type('.menu-box input[type=search]', 'kolk');
      await after(page, () => page.click('.menu-box [data-value="Asia/Kolkata"]'));
      assert.equal(address(page).get('time_zone'), 'Asia/Kolkata');
    }, { prepare: (page) => page.emulateTimezone(zone) });
  }
}

export async function clicks() {
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?time_zone=UTC&property=data.skillName');
    await judge(page);
    // A row is a filter, a chip shows it, another click takes it away.
    const row = (panel, value) => `#panel-${panel} .row[data-row="${value}"] .row-button`;
    await after(page, () => page.click(row('names', 'skill_executed')));
    assert.equal(address(page).get('is.name'), 'skill_executed');
    assert.match(await text(page, '.chip'), /name is skill_executed/);
    await judge(page, { where: "e.name = 'skill_executed'" });
    await after(page, () => page.click(row('properties', 's2')));
    await judge(page, { where: "e.name = 'skill_executed' AND e.data ->> 'skillName' = 's2'" });
    await shot(page, 'overview-filters');
    const person = await page.$eval('#panel-people .row', (first) => first.dataset.row);
    await after(page, () => page.click(row('people', person)));
    await judge(page, { where: `e.name = 'skill_executed' AND e.data ->> 'skillName' = 's2' AND e.actor = '${person}'` });
    await after(page, () => page.click(row('people', person)));
    await after(page, () => page.click('.chip:nth-child(2) .remove'));
    await after(page, () => page.click(row('subjects', 'skill/s1')));
    await judge(page, { where: "e.name = 'skill_executed' AND e.subject = 'skill/s1'" });
    await after(page, () => page.goBack());
    await judge(page, { where: "e.name = 'skill_executed'" });
    await after(page, () => page.click('.chip .remove'));
    await judge(page);
    // Domains.
    await page.click('#panel-names input[value="domains"] + span');
    await page.waitForSelector('#panel-names .row[data-row="skills"], #panel-names .row');
    await accessible(page, 'domains');
    await page.click('#panel-names input[value="names"] + span');
    // Split, by name and by a key of the payload; a series keeps its colour whatever its rank.
    const split = async (value) => { await page.click('#split'); await after(page, () => page.click(`.menu-box [data-value="${value}"]`)); };
    await split('name');
    await judge(page, { split: 'name' });
    const colours = () => page.$$eval('.legend li', (items) => Object.fromEntries(items.map((item) => [item.textContent.trim(), item.style.getPropertyValue('--bar')])));
    const before = await colours();
    await range(page, '7d');
    const after_ = await colours();
    for (const name of Object.keys(after_)) assert.equal(after_[name], before[name] ?? after_[name], name);
    await judge(page, { split: 'name' });
    await shot(page, 'overview-split');
    await split('data.skillName');
    await judge(page, { split: 'data.skillName' });
    for (const one of ['errors', 'people', 'success']) {
      await metric(page, one);
      await judge(page, { split: 'data.skillName', metric: one });
    }
    await metric(page, 'events');
    await split('null');
    // A click on a bar is that day; a drag is those days.
    const box = async () => (await page.$('#panel-time canvas')).boundingBox();
    let { x, y, width, height } = await box();
    await range(page, '30d');
    ({ x, y, width, height } = await box());
    await after(page, () => page.mouse.click(x + width / 2, y + height / 2));
    assert.equal(address(page).get('range'), 'custom');
    assert.equal(address(page).get('since'), address(page).get('until'));
    await judge(page);
    await after(page, () => page.goBack());
    ({ x, y, width, height } = await box());
    await page.mouse.move(x + width * 0.3, y + height / 2);
    await page.mouse.down();
    await page.mouse.move(x + width * 0.6, y + height / 2, { steps: 5 });
    await after(page, () => page.mouse.up());
    assert.ok(address(page).get('since') < address(page).get('until'));
    await judge(page);
  });
}

export async function details() {
  await inBrowser(async (page) => {
    const downloads = [];
    await page.exposeFunction('downloaded', (content) => downloads.push(content));
    await page.evaluateOnNewDocument(() => {
      // Nothing is saved; the test reads what would be.
      HTMLAnchorElement.prototype.click = () => {};
      const make = URL.createObjectURL;
      URL.createObjectURL = (blob) => { blob.text().then((content) => window.downloaded(content)); return make.call(URL, blob); };
    });
    await enter(page, keys.a, '?time_zone=UTC');
    await page.click('#panel-subjects .tools > button');
    await page.waitForSelector('#table-details tbody tr');
    await accessible(page, 'details');
    await shot(page, 'overview-details');
    const rows = await page.$$eval('#table-details tbody tr', (all) => all.map((row) => [...row.children].map((cell) => cell.dataset.value)));
    const { since, until } = await page.$eval('#page', ({ dataset }) => ({ ...dataset }));
    await have({ judge: { page: 'details', since, until, key: 'subject', where: 'true', rows } });
    // All rows are in the file; a search leaves those that fit.
    await page.click('#details .csv');
    await page.type('#details input[type=search]', 'skill/');
    await page.waitForFunction(() => [...document.querySelectorAll('#table-details tbody th')].every((cell) => cell.dataset.value.includes('skill/')));
    const [csv] = downloads;
    assert.equal(csv.trim().split('\r\n').length, rows.length + 1);
    assert.ok(csv.startsWith('subject,Events,Share,People,Errors,Success,p95 ms,events before\r\n'), csv);
    await after(page, () => page.click('#table-details tbody .row-button'));
    assert.match(address(page).get('is.subject'), /^skill\//);
    assert.equal(await page.$('#details'), null);
  });
}

export async function narrow() {
  for (const scheme of ['light', 'dark']) {
    await inBrowser(async (page) => {
      await enter(page, keys.a, '?time_zone=UTC&is.name=skill_executed');
      await fits(page);
      for (const id of ['range', 'compare', 'add-filter', 'zone', 'account', 'split', 'property', 'time-save']) {
        await page.click(`#${id}`);
        await fits(page);
        await page.keyboard.press('Escape');
      }
      await accessible(page, `narrow, ${scheme}`);
      await shot(page, `overview-narrow-${scheme}`);
      await page.goto(`${page.url()}&page=events`);
      await settled(page);
      await fits(page);
      await accessible(page, `narrow events, ${scheme}`);
      await shot(page, `events-narrow-${scheme}`);
    }, { width: 360, height: 740, scheme });
  }
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?range=90d&time_zone=UTC');
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await background();
    await accessible(page, 'dark');
    await shot(page, 'overview-dark');
    // As the system says; then light; then dark, and so after a reload.
    assert.equal(await text(page, '#theme .vh'), 'Theme: auto');
    await page.click('#theme');
    assert.notEqual(await background(), dark);
    await accessible(page, 'light');
    await page.click('#theme');
    await after(page, () => page.reload());
    assert.equal(await text(page, '#theme .vh'), 'Theme: dark');
    assert.equal(await background(), dark);
    await page.setViewport({ width: 1920, height: 1000 });
    await fits(page);
    await shot(page, 'overview-wide');
  }, { scheme: 'dark' });
}
