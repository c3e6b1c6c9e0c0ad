// What people do with experiments.

import assert from 'node:assert/strict';
import { accessible, after, enter, fits, have, inBrowser, keys, shot } from './browser.mjs';
import { address, select, span, tables, text } from './tables.mjs';

async function judge(page, asked = {}) {
  const definition = { control: 'control', value_key: null, within: null, where: 'true', is_lower_better: false, ...asked };
  const { experiment } = await tables(page);
  await have({ judge: { page: 'experiment', ...definition, ...await span(page), rows: experiment, notes: await text(page, '#experiment-notes') } });
}

export async function experimentDefinitions() {
  await have({ do: 'run an experiment' });
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?page=experiments&time_zone=UTC');
    assert.match(await text(page, '#panel-experiment .none'), /^Choose the event that says which variant somebody saw/);
    await accessible(page, 'experiments, nothing chosen');
    await select(page, 'experiment-exposure', 'checkout_seen');
    await select(page, 'experiment-variant', 'data.variant');
    await select(page, 'experiment-metric', 'checkout_paid');
    await judge(page);
    await accessible(page, 'experiment');
    await shot(page, 'experiment');
    await select(page, 'experiment-within', '1d');
    await judge(page, { within: '1 day' });
    await select(page, 'experiment-control', 'short');
    await judge(page, { within: '1 day', control: 'short' });
    await select(page, 'experiment-better', 'lower');
    await judge(page, { within: '1 day', control: 'short', is_lower_better: true });
    await select(page, 'experiment-value', 'data.amount');
    await judge(page, { within: '1 day', control: 'short', is_lower_better: true, value_key: 'amount' });
    await shot(page, 'experiment-mean');
    // The address has all of it, and brings it back.
    assert.equal(address(page).get('value_key'), 'data.amount');
    await after(page, () => page.reload());
    await judge(page, { within: '1 day', control: 'short', is_lower_better: true, value_key: 'amount' });
    // Filters are of the exposures: half of one variant is gone, and so the split is broken.
    await after(page, () => page.goto(`${new URL(page.url()).origin}/?page=experiments&time_zone=UTC&exposure=checkout_seen&variant_key=data.variant&metric_name=checkout_paid&not.data.half=yes`));
    await judge(page, { where: "e.data ->> 'half' IS DISTINCT FROM 'yes'" });
    assert.match(await text(page, '#panel-experiment .notice'), /^The split is broken/);
    await accessible(page, 'experiment, broken split');
    await shot(page, 'experiment-broken');
  });
}

export async function experimentNarrow() {
  await have({ do: 'run an experiment' });
  for (const scheme of ['light', 'dark']) {
    await inBrowser(async (page) => {
      await enter(page, keys.a, '?page=experiments&time_zone=UTC&exposure=checkout_seen&variant_key=data.variant&metric_name=checkout_paid');
      await judge(page);
      await fits(page);
      await accessible(page, `experiment, narrow, ${scheme}`);
      await shot(page, `experiment-narrow-${scheme}`);
    }, { width: 360, height: 740, scheme });
  }
}
