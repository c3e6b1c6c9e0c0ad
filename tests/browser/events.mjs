// What people do with the stream of events.

import assert from 'node:assert/strict';
import { accessible, after, enter, have, inBrowser, keys, LONG, settled, shot } from './browser.mjs';
import { address, text } from './tables.mjs';

/** The events shown, newest first. */
const shown = (page) => page.$$eval('#table-events tr[data-id]', (rows) => rows.map((row) => [row.dataset.id, ...[...row.children].slice(1, 4).map((cell) => cell.textContent)]));

async function judge(page, where = 'true') {
  const { since, until } = await page.$eval('#page', ({ dataset }) => ({ ...dataset }));
  await have({ judge: { page: 'events', since, until, where, rows: await shown(page) } });
}

export async function eventStream() {
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?page=events&range=7d&time_zone=UTC');
    await judge(page);
    await accessible(page, 'events');
    // Older ones, until there are none.
    for (let turn = 0; turn < 3; turn += 1) {
      const before = (await shown(page)).length;
      await page.click('#older');
      await page.waitForFunction((count) => document.querySelectorAll('#table-events tr[data-id]').length > count, {}, before);
      await judge(page);
    }
    await shot(page, 'events');
    // A name is a filter; so is a person.
    await after(page, () => page.click('#table-events tr[data-id]:last-child td:nth-child(2) .row-button'));
    const name = address(page).get('is.name');
    assert.ok(name);
    await judge(page, `e.name = '${name}'`);
    await after(page, () => page.click('.chip .remove'));
    // The drawer: all of the event, with ids as text, and what its person did.
    const [id] = (await shown(page)).at(-1);
    await page.focus(`tr[data-id="${id}"] .when button`);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#event[open]');
    const json = JSON.parse(await text(page, '#event pre'));
    assert.equal(json.id, id);
    await have({ judge: { page: 'event', event: json } });
    await page.click('#person');
    await page.waitForSelector('.timeline li[aria-current]');
    const timeline = await page.$$eval('.timeline time', (times) => times.map((time) => time.dateTime));
    assert.deepEqual(timeline, [...timeline].sort().reverse());
    await accessible(page, 'event');
    await shot(page, 'event');
    // Escape closes it and gives the focus back.
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => !document.querySelector('#event'));
    assert.equal(await page.evaluate(() => document.activeElement.closest('tr')?.dataset.id), id);
    // A value of the payload is a filter too.
    await page.evaluate((wanted) => document.querySelector(`tr[data-id="${wanted}"] .when button`).click(), id);
    await page.waitForSelector('#event[open]');
    await after(page, () => page.click('#event .facts dd:last-child .link'));
    assert.equal([...address(page).keys()].filter((key) => key.startsWith('is.data.')).length, 1);
  });
}

export async function newEvents() {
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?range=24h');
    await page.waitForFunction(() => document.getElementById('live-text').textContent === 'Live', { timeout: LONG });
    const before = await page.$eval('#card-events', ({ dataset }) => dataset.value);
    await have({ do: 'log' });
    await page.waitForFunction((events) => document.getElementById('card-events').dataset.value === String(Number(events) + 1), { timeout: LONG, polling: 200 }, before);
    // In the stream too; not while it is paused.
    await page.goto(`${page.url()}&page=events`);
    await settled(page);
    const [[last]] = await shown(page);
    await page.click('#pause');
    await have({ do: 'log' });
    await page.waitForFunction(() => document.getElementById('live-text').textContent === 'Live', { timeout: LONG });
    await after(page, () => page.click('#refresh'));
    assert.equal((await shown(page))[0][0], last);
    await page.click('#pause');
    await page.waitForFunction((id) => document.querySelector('#table-events tr[data-id]').dataset.id !== id, { timeout: LONG, polling: 200 }, last);
    await judge(page);
  });
}
