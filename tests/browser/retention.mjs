// What people do with retention.

import assert from 'node:assert/strict';
import { accessible, after, enter, fits, have, inBrowser, keys, shot } from './browser.mjs';
import { address, select, span, tables } from './tables.mjs';

async function judge(page, asked = {}) {
  const definition = { period: 'week', first: null, returning: null, is_ever: true, time_zone: 'UTC', where: 'true', ...asked };
  const cells = await page.$$eval('#table-retention tbody tr', (rows) => rows.map((row) => [...row.querySelectorAll('.heat')].map((cell) => ({
    text: cell.textContent, share: cell.style.getPropertyValue('--share'), isUnfinished: cell.classList.contains('unfinished'), title: cell.title,
  }))));
  const { retention } = await tables(page);
  await have({ judge: { page: 'retention', ...definition, ...await span(page), rows: retention, cells } });
}

export async function retentionDefinitions() {
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?page=retention&time_zone=UTC');
    await judge(page);
    await accessible(page, 'retention');
    await shot(page, 'retention');
    await select(page, 'retention-ever', 'range');
    await judge(page, { is_ever: false });
    await select(page, 'retention-first', 'conversation_started');
    await judge(page, { is_ever: false, first: 'conversation_started' });
    await select(page, 'retention-ever', 'ever');
    await select(page, 'retention-returning', 'tool_used');
    await judge(page, { first: 'conversation_started', returning: 'tool_used' });
    for (const period of ['month', 'day']) {
      await after(page, () => page.click(`#panel-retention input[value="${period}"] + span`));
      await judge(page, { period, first: 'conversation_started', returning: 'tool_used' });
    }
    // As counts; the address has all of it, and brings it back.
    await after(page, () => page.click('#panel-retention input[value="counts"] + span'));
    assert.equal(address(page).get('shown'), 'counts');
    await after(page, () => page.reload());
    await judge(page, { period: 'day', first: 'conversation_started', returning: 'tool_used', as_counts: true });
    // Days are those of the time zone, over the end of summer time too.
    await after(page, () => page.goto(`${new URL(page.url()).origin}/?page=retention&range=90d&period=week&time_zone=Pacific/Auckland`));
    await judge(page, { time_zone: 'Pacific/Auckland' });
    // Filters count for those who come back.
    await after(page, () => page.goto(`${page.url()}&is.subject=tool/search`));
    await judge(page, { time_zone: 'Pacific/Auckland', where: "e.subject = 'tool/search'" });
  });
}

export async function retentionNarrow() {
  for (const scheme of ['light', 'dark']) {
    await inBrowser(async (page) => {
      await enter(page, keys.a, '?page=retention&range=90d&time_zone=UTC');
      await fits(page);
      // The box scrolls, the first column stays, and a shadow says that there is more.
      const box = '.shadowed';
      assert.equal(await page.$eval(box, ({ dataset }) => dataset.more), 'right');
      const left = () => page.$eval('#table-retention tbody th', (cell) => cell.getBoundingClientRect().left);
      const before = await left();
      await page.$eval(`${box} .scroll`, (scroll) => { scroll.scrollLeft = 120; });
      await page.waitForFunction(() => document.querySelector('.shadowed').dataset.more === 'left right');
      assert.ok(Math.abs(await left() - before) < 3);
      await accessible(page, `retention, narrow, ${scheme}`);
      await shot(page, `retention-narrow-${scheme}`);
      await page.$eval(`${box} .scroll`, (scroll) => { scroll.scrollLeft = 1e6; });
      await page.waitForFunction(() => document.querySelector('.shadowed').dataset.more === 'left');
      // A screen reader hears which figures can grow.
      const cell = await page.$eval('#table-retention td.unfinished', (found) => found.textContent);
      assert.match(cell, /so far$/);
    }, { width: 360, height: 740, scheme });
  }
}
