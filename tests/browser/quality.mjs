// What people do with quality.

import assert from 'node:assert/strict';
import { accessible, after, enter, fits, have, inBrowser, keys, shot } from './browser.mjs';
import { address, close, focused, open, span, tables, text } from './tables.mjs';

async function judge(page, asked = {}) {
  const found = await tables(page);
  const states = await page.$$eval('.states li', (items) => items.map(({ dataset }) => [dataset.state, dataset.value]));
  const { errors, durations, rejected, 'rejected-events': events, taxonomy } = found;
  await have({ judge: { page: 'quality', where: 'true', ...await span(page), errors, durations, rejected, events, taxonomy, states, ...asked } });
}

export async function qualityFigures() {
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?page=quality&time_zone=UTC');
    await judge(page);
    await accessible(page, 'quality');
    await shot(page, 'quality');
    await after(page, () => page.goto(`${page.url()}&range=7d&is.name=skill_executed`));
    await judge(page, { where: "e.name = 'skill_executed'" });
    // The last event of an error, and from it to its subject.
    await open(page, '#table-errors tbody button', '#event');
    const [type, name] = (await tables(page)).errors[0];
    assert.equal(await text(page, '#event-title'), name);
    assert.ok((await text(page, '#event pre')).includes(`"errorType": ${JSON.stringify(type)}`));
    await accessible(page, 'event of an error');
    await shot(page, 'quality-event');
    await close(page, '#event');
    assert.match(await focused(page), /^Show the last event of/);
    await open(page, '#table-errors tbody button', '#event');
    await after(page, () => page.click('#event .facts button'));
    assert.ok(address(page).has('is.actor'));
    // A rejected event.
    await after(page, () => page.goto(`${new URL(page.url()).origin}/?page=quality`));
    await open(page, '#table-rejected-events tbody button', '#rejected-event');
    assert.match(await text(page, '#rejected-event'), /SQLSTATE/);
    await accessible(page, 'rejected event');
    await shot(page, 'quality-rejected');
  });
}

export async function qualityRetry() {
  await inBrowser(async (page) => {
    // Most keys may only look.
    await enter(page, keys.a, '?page=quality');
    assert.equal(await page.$('#retry-open'), null);
    assert.match(await text(page, '#panel-rejected'), /--can-replay/);
  });
  await inBrowser(async (page) => {
    await enter(page, keys.replay, '?page=quality');
    await judge(page);
    await have({ do: 'define tool_usd' });
    // A session that was there before has no key: the page asks for it.
    await after(page, () => page.reload());
    await page.click('#retry-open');
    await page.waitForSelector('#again-key');
    await accessible(page, 'key to retry');
    await page.type('#again-key', keys.replay);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#retry');
    await accessible(page, 'retry');
    await shot(page, 'quality-retry');
    await page.click('#retry button[type=submit]');
    await page.waitForSelector('#retried');
    assert.equal(await text(page, '#retried'), '3 events logged, 1 event rejected again.');
    await after(page, () => page.keyboard.press('Escape'));
    await judge(page);
    assert.deepEqual((await tables(page)).rejected.filter(([, name]) => name === 'tool_usd'), []);
  });
}

export async function qualityOfTheLog() {
  await inBrowser(async (page) => {
    await enter(page, keys.all, '?page=quality&tenant=all');
    await page.waitForSelector('.findings');
    const found = await page.$$eval('#panel-doctor .findings li', (items) => items.map(({ dataset }) => [dataset.check, dataset.state]));
    await have({ judge: { page: 'doctor', found } });
    await accessible(page, 'doctor');
    await shot(page, 'quality-doctor');
  });
}

export async function qualityNarrow() {
  for (const scheme of ['light', 'dark']) {
    await inBrowser(async (page) => {
      await enter(page, keys.a, '?page=quality');
      await fits(page);
      await accessible(page, `quality, narrow, ${scheme}`);
      await shot(page, `quality-narrow-${scheme}`);
    }, { width: 360, height: 740, scheme });
  }
}
