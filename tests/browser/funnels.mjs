// What people do with funnels.

import assert from 'node:assert/strict';
import { accessible, after, enter, fits, have, inBrowser, keys, shot } from './browser.mjs';
import { address, close, focused, open, press, select, span, tables, text } from './tables.mjs';

const STEPS = ['conversation_started', 'message_sent', 'skill_executed'];

/** Has the test compare the table with the raw rows; `where` is the condition of the page's filters, in SQL. */
async function judge(page, { where = 'true', ...asked } = {}) {
  const { funnel } = await tables(page);
  const definition = { steps: STEPS, within: '7 days', by: 'actor', split: null, is_first_only: false, ...asked };
  await have({ judge: { page: 'funnel', where, ...definition, ...await span(page), rows: funnel } });
  const widths = await page.$$eval('.funnel .fill', (fills) => fills.map((fill) => fill.style.width));
  assert.equal(widths.length, funnel.length);
  return funnel;
}

/** The names of the steps, as their selects show them and as the address has them. */
async function steps(page) {
  const shown = await page.$$eval('.funnel .step select', (selects) => selects.map(({ value }) => value));
  assert.deepEqual(address(page).getAll('step'), shown);
  return shown;
}

const choose = (page, step, name) => after(page, () => page.select(`[data-step="${step}"] select`, name));

export async function funnelDefinitions() {
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?page=funnels&time_zone=UTC');
    await judge(page);
    await page.click('#panel-funnel .more summary');
    await accessible(page, 'funnel');
    await shot(page, 'funnel');
    // The window, and whom it counts.
    await select(page, 'funnel-within', '1h');
    await judge(page, { within: '1 hour' });
    await select(page, 'funnel-attempt', 'first');
    await judge(page, { within: '1 hour', is_first_only: true });
    await select(page, 'funnel-within', '90d');
    await select(page, 'funnel-attempt', 'any');
    await choose(page, 0, 'tool_used');
    await choose(page, 1, 'skill_executed');
    await choose(page, 2, 'tool_used');
    const again = ['tool_used', 'skill_executed', 'tool_used'];
    await judge(page, { steps: again, within: '90 days' });
    await select(page, 'funnel-by', 'subject');
    await judge(page, { steps: again, within: '90 days', by: 'subject' });
    await select(page, 'funnel-by', 'data.skillName');
    await judge(page, { steps: again, within: '90 days', by: 'data.skillName' });
    await select(page, 'funnel-by', 'actor');
    await select(page, 'funnel-within', '1d');
    // A split by a column, and by a key that no list has.
    await select(page, 'funnel-split', 'subject');
    await judge(page, { steps: again, within: '1 day', split: 'subject' });
    await accessible(page, 'funnel, split');
    await shot(page, 'funnel-split');
    await page.select('#funnel-split', 'other');
    await page.type('#funnel-split', 'toolName');
    await after(page, () => page.keyboard.press('Enter'));
    assert.equal(address(page).get('split_by'), 'data.toolName');
    await judge(page, { steps: again, within: '1 day', split: 'data.toolName' });
    // The address has all of it, and brings it back.
    const { search } = new URL(page.url());
    await after(page, () => page.reload());
    await judge(page, { steps: again, within: '1 day', split: 'data.toolName' });
    assert.equal(new URL(page.url()).search, search);
    // Filters and the range count.
    await after(page, () => page.goto(`${page.url()}&range=7d&begins.actor=user-1`));
    await judge(page, { steps: again, within: '1 day', split: 'data.toolName', where: "e.actor LIKE 'user-1%'" });
  });
}

export async function funnelSteps() {
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?page=funnels&time_zone=UTC');
    const [a, b, c] = STEPS;
    // By keyboard: the focus stays with the step that moves.
    await page.focus('[data-step="2"] .up');
    await after(page, () => page.keyboard.press('Enter'));
    assert.deepEqual(await steps(page), [a, c, b]);
    assert.equal(await focused(page), 'Move step 2 up');
    assert.equal(await text(page, '#said'), 'skill_executed is now step 2 of 3.');
    await after(page, () => page.keyboard.press('Enter'));
    assert.deepEqual(await steps(page), [c, a, b]);
    // The first cannot go up: the other button has the focus.
    assert.equal(await focused(page), 'Move step 1 down');
    await after(page, async () => { await page.keyboard.down('Alt'); await press(page, 'ArrowDown'); await page.keyboard.up('Alt'); });
    assert.deepEqual(await steps(page), [a, c, b]);
    await judge(page, { steps: [a, c, b] });
    // Add, rename, remove.
    await page.focus('.funnel .add');
    await after(page, () => page.keyboard.press('Enter'));
    assert.equal((await steps(page)).length, 4);
    assert.equal(await focused(page), 'Event of step 4');
    await choose(page, 3, 'tool_used');
    await judge(page, { steps: [a, c, b, 'tool_used'] });
    await page.focus('[data-step="0"] .remove');
    await after(page, () => page.keyboard.press('Space'));
    assert.deepEqual(await steps(page), [c, b, 'tool_used']);
    assert.equal(await focused(page), 'Event of step 1');
    // By mouse: the first step to the end.
    const middle = (selector) => page.$eval(selector, (element) => { const { x, y, width, height } = element.getBoundingClientRect(); return [x + width / 2, y + height / 2]; });
    await page.mouse.move(...await middle('[data-step="0"] .grip'));
    await page.mouse.down();
    const [x, y] = await middle('[data-step="2"]');
    await page.mouse.move(x, y + 20, { steps: 5 });
    assert.equal(await page.$eval('[data-step="2"]', ({ dataset }) => dataset.drag), 'after');
    await after(page, () => page.mouse.up());
    assert.deepEqual(await steps(page), [b, 'tool_used', c]);
    await judge(page, { steps: [b, 'tool_used', c] });
    // Back, as everywhere.
    await after(page, () => page.goBack());
    assert.deepEqual(await steps(page), [c, b, 'tool_used']);

    // Saved by a name, and opened again.
    await page.click('#funnel-save');
    await page.keyboard.type('Skills <b>first</b>');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#funnel-remove');
    await select(page, 'funnel-within', '30d');
    await after(page, () => page.reload());
    await select(page, 'funnel-saved', 'Skills <b>first</b>');
    assert.equal(address(page).get('within'), null);
    await judge(page, { steps: [c, b, 'tool_used'] });
    await page.click('#funnel-remove');
    await page.waitForSelector('#funnel-save');
    assert.equal(await page.evaluate(() => localStorage.getItem('eventlog.funnels')), '[]');
  });
}

export async function funnelDropouts() {
  await inBrowser(async (page) => {
    const look = async (step, within) => {
      await open(page, `[data-step="${step - 1}"] .lost button`, '#dropouts');
      const { dropouts } = await tables(page);
      await have({ judge: { page: 'dropouts', steps: STEPS, within, step, ...await span(page), rows: dropouts } });
      if (step === 1) {
        await accessible(page, 'dropouts');
        await shot(page, 'funnel-dropouts');
      }
      await close(page, '#dropouts');
      assert.match(await focused(page), /dropped out after this step|went all the way/);
    };
    // Within a day somebody goes all the way, within an hour nobody.
    await enter(page, keys.a, '?page=funnels&range=90d&within=1d&time_zone=UTC');
    await look(3, '1 day');
    await after(page, () => select(page, 'funnel-within', '1h'));
    await look(1, '1 hour');
    await look(2, '1 hour');
    // From there to one person's events.
    await open(page, '[data-step="0"] .lost button', '#dropouts');
    const who = (await tables(page)).dropouts[0][0];
    await after(page, () => page.click('#table-dropouts tbody button'));
    assert.equal(address(page).get('page'), 'events');
    assert.equal(address(page).get('is.actor'), who);
  });
}

export async function funnelNarrow() {
  for (const scheme of ['light', 'dark']) {
    await inBrowser(async (page) => {
      await enter(page, keys.a, '?page=funnels&split_by=subject&step=tool_used&step=message_sent&time_zone=UTC');
      await fits(page);
      await accessible(page, `funnel, narrow, ${scheme}`);
      await shot(page, `funnel-narrow-${scheme}`);
      await open(page, '.lost button', '#dropouts');
      await fits(page);
      await accessible(page, `dropouts, narrow, ${scheme}`);
    }, { width: 360, height: 740, scheme });
  }
}
