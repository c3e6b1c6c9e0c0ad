// What people see of alerts.

import assert from 'node:assert/strict';
import { accessible, enter, fits, have, inBrowser, keys, shot } from './browser.mjs';
import { tables, text } from './tables.mjs';

export async function alerts() {
  await inBrowser(async (page) => {
    // Without any it says how to make one.
    await enter(page, keys.b, '?page=quality&time_zone=UTC');
    assert.match(await text(page, '#panel-alerts'), /create_alert/);
  });
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?page=quality&time_zone=UTC');
    await page.click('#panel-alerts summary');
    const { alerts: rows, 'alert-changes': changes } = await tables(page);
    await have({ judge: { page: 'alerts', alerts: rows, changes } });
    // Those that are raised come first, and stand out.
    const marked = await page.$$eval('#table-alerts tr.raised th', (cells) => cells.map(({ textContent }) => textContent));
    assert.deepEqual(marked, ['failing', 'no_checkouts']);
    assert.match(await text(page, '#table-alerts tr.raised:nth-child(2)'), /no event of checkout_completed in an hour/);
    assert.match(await text(page, '#table-alerts'), /more than 1,000,000 events in 25 minutes/);
    await accessible(page, 'alerts');
    await shot(page, 'alerts');
  });
  for (const scheme of ['light', 'dark']) {
    await inBrowser(async (page) => {
      await enter(page, keys.a, '?page=quality&time_zone=UTC');
      await fits(page);
      await shot(page, `alerts-narrow-${scheme}`);
    }, { width: 360, height: 740, scheme });
  }
}
