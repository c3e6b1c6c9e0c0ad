// What an empty log shows, until the first event comes.

import assert from 'node:assert/strict';
import { accessible, enter, fits, have, inBrowser, keys, LONG, settled, shot } from './browser.mjs';
import { focused, press, text } from './tables.mjs';

export async function firstEvent() {
  await inBrowser(async (page) => {
    await enter(page, keys.empty);
    await page.waitForSelector('#welcome');
    assert.match(await text(page, '#title-welcome'), /Waiting for the first event/);
    // The programs are those of the manual.
    const programs = {};
    await page.focus('#tab-curl');
    for (const name of ['curl', 'javascript', 'python', 'rust', 'sql']) {
      assert.equal(await page.$eval('#program', ({ dataset }) => dataset.program), name);
      programs[name] = await text(page, '#program .copyable code');
      await accessible(page, `first event, ${name}`);
      await press(page, 'ArrowRight');
    }
    assert.equal(await focused(page), 'tab-curl');
    await have({ judge: { page: 'programs', programs } });
    await shot(page, 'welcome');
    await page.setViewport({ width: 360, height: 740 });
    await fits(page);
    await shot(page, 'welcome-narrow');
    await page.setViewport({ width: 1280, height: 900 });
    // Hears of the first event by itself, and shows it.
    await have({ do: 'log the first event' });
    await page.waitForFunction(() => new URL(location.href).searchParams.get('page') === 'events', { timeout: LONG });
    await settled(page);
    assert.equal(await page.$('#welcome'), null);
    assert.match(await text(page, '#page'), /tool_used/);
    assert.equal(await text(page, '#said'), 'The first event has arrived.');
    // From now on it is a log like any other.
    await page.goto(`${new URL(page.url()).origin}/`);
    await settled(page);
    assert.equal(await page.$('#welcome'), null);
  });
}
