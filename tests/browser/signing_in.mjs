// Keys, sessions, share links, and the tenants of a key.

import assert from 'node:assert/strict';
import { accessible, after, enter, have, inBrowser, keys, LONG, origin, settled, shot } from './browser.mjs';
import { figures, judge, range } from './overview.mjs';
import { address, text } from './tables.mjs';

/** What the browser keeps where scripts can read it. */
const kept = (page) => page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie]));

export async function session() {
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
    await page.$eval('#door-key', (input) => { input.value = ''; });
    await page.type('#door-key', keys.b);
    await after(page, () => page.keyboard.press('Enter'));
    await judge(page, { tenant: 'b' });
    // It lasts: after a reload, and in another tab. No script can read what the browser keeps.
    await after(page, () => page.reload());
    await judge(page, { tenant: 'b' });
    const tab = await page.browser().newPage();
    tab.setDefaultTimeout(LONG);
    await tab.goto(`${origin}/?range=7d`);
    await settled(tab);
    await judge(tab, { tenant: 'b' });
    assert.ok(!(await kept(page)).includes('el_'), await kept(page));
    const cookies = await page.browser().defaultBrowserContext().cookies();
    assert.deepEqual(cookies.map(({ name, httpOnly, sameSite, path }) => [name, httpOnly, sameSite, path]), [['eventlog_session', true, 'Strict', '/']]);
    // The cookie reads and does nothing else: no event, no share link, no replay.
    const forged = await tab.evaluate(async () => {
      const send = (path, body) => fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }).then(({ status }) => status);
      return [await send('/api/track', { name: 'tool_used', data: { toolName: 'x' } }), await send('/api/share', { page: 'overview', expires_in: '1 day' }), await send('/api/replay', { names: ['tool_usd'] }), await send('/api/session', {})];
    });
    assert.deepEqual(forged, [401, 401, 401, 401]);
    await tab.close();
    // Another key takes the place of this one; signing out ends it.
    await page.click('#account');
    await page.click('#other-key');
    await settled(page, 'door');
    await page.type('#door-key', keys.a);
    await after(page, () => page.keyboard.press('Enter'));
    await judge(page);
    const [{ name, value }] = await page.browser().defaultBrowserContext().cookies();
    await page.click('#account');
    await accessible(page, 'account');
    await page.click('#sign-out');
    await settled(page, 'door');
    assert.deepEqual(await page.browser().defaultBrowserContext().cookies(), []);
    await page.reload();
    await settled(page, 'door');
    // Nobody can go on with the cookie of a session that has ended.
    await page.setCookie({ name, value, url: origin, sameSite: 'Strict', httpOnly: true });
    assert.equal(await page.evaluate(() => fetch('/api/session').then(({ status }) => status)), 401);
    // A revoked key ends its session.
    await page.type('#door-key', keys.b);
    await after(page, () => page.keyboard.press('Enter'));
    await have({ do: 'revoke b' });
    await page.waitForFunction(() => {
      if (document.body.dataset.state === 'shown') document.getElementById('refresh').click();
      return document.body.dataset.state === 'door';
    }, { polling: 1000, timeout: LONG });
    assert.match(await text(page, '#door-why'), /revoked/);
  }, { allowed: [/status of 401/] });
}

export async function shareLink() {
  let link;
  await inBrowser(async (page) => {
    await enter(page, keys.a, '?time_zone=UTC&is.name=skill_executed&range=30d');
    // After a reload the key is asked for again: the session alone cannot share.
    await after(page, () => page.reload());
    await page.click('#share');
    await page.waitForSelector('#again-key');
    await accessible(page, 'share, key');
    await page.type('#again-key', keys.a);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#share-expires');
    await page.select('#share-expires', '7 days');
    await page.click('.share-form button[type=submit]');
    await page.waitForSelector('#share-link');
    link = await text(page, '#share-link pre');
    await accessible(page, 'share');
    await shot(page, 'share');
    assert.ok(link.startsWith(`${origin}/#share=el_v_`), link);
    await page.waitForSelector('.links li');
  }, { allowed: [/status of 401/] });
  const where = "e.name = 'skill_executed'";
  // In the browser of somebody else.
  await inBrowser(async (page) => {
    await page.goto(link);
    await settled(page);
    assert.match(await text(page, '#scope'), /Shared view until .* name is skill_executed/s);
    await accessible(page, 'shared view');
    await shot(page, 'shared');
    const found = await figures(page);
    assert.equal(found.panels.people, undefined);
    await judgeShared(page, where);
    await range(page, '7d');
    await judgeShared(page, where);
    await after(page, () => page.click('#panel-subjects .row[data-row="skill/s1"] .row-button'));
    await judgeShared(page, `${where} AND e.subject = 'skill/s1'`);
    // It stays after a reload, and offers nothing that it may not do.
    await after(page, () => page.reload());
    await judgeShared(page, `${where} AND e.subject = 'skill/s1'`);
    assert.deepEqual(await page.$$eval('nav a', (links) => links.map(({ textContent }) => textContent)), ['Overview', 'Funnels', 'Retention']);
    for (const id of ['share', 'account', 'compare']) assert.equal(await page.$(`#${id}`), null, id);
    const refused = await page.evaluate(async (token) => {
      const get = (path) => fetch(path, { headers: { Authorization: `Bearer ${token}` } }).then(({ status }) => status);
      return [await get('/api/analytics/get_events'), await get('/api/analytics/summary?breakdown=actor'), await get('/api/analytics/rejected')];
    }, link.split('#share=')[1]);
    assert.ok(refused.every((status) => status === 403 || status === 404), String(refused));
    await have({ do: 'expire the shares' });
    await page.waitForFunction(() => {
      if (document.body.dataset.state === 'shown') document.getElementById('refresh').click();
      return document.body.dataset.state === 'door';
    }, { polling: 1000, timeout: LONG });
    assert.match(await text(page, '#door-why'), /link expired on /);
    await shot(page, 'expired');
    await page.reload();
    await settled(page, 'door');
    assert.match(await text(page, '#door-why'), /link expired on /);
  }, { allowed: [/status of 40[134]/] });
}

/** The shared view has no people, so the judge leaves that panel out. */
async function judgeShared(page, where) {
  const found = await figures(page);
  await have({ judge: { page: 'overview', where, metric: 'events', split: null, ...found } });
}

export async function tenants() {
  await inBrowser(async (page) => {
    await enter(page, keys.all, '?time_zone=UTC');
    // It begins with all of them.
    assert.equal(address(page).get('page') ?? 'tenants', 'tenants');
    await page.waitForSelector('#table-tenants tbody tr');
    await accessible(page, 'tenants');
    await shot(page, 'tenants');
    const { since, until } = await page.$eval('#page', ({ dataset }) => ({ ...dataset }));
    const rows = await page.$$eval('#table-tenants tbody tr', (all) => all.map((row) => [...row.children].map((cell) => cell.dataset.value)));
    await have({ judge: { page: 'tenants', since, until, rows } });
    // A click opens one; the menu finds another.
    await after(page, () => page.click('#table-tenants tbody .row-button'));
    const [first] = rows;
    const tenant = address(page).get('tenant');
    assert.ok(tenant);
    assert.equal(await text(page, '.tenant-name'), first[0]);
    await judge(page, { tenant: tenant.startsWith('b') ? 'b' : 'a' });
    await page.click('#tenant');
    await page.type('.menu-box input[type=search]', 'bbbb');
    await page.waitForSelector('.menu-box .option[data-value^="bbbb"]');
    await after(page, () => page.click('.menu-box .option[data-value^="bbbb"]'));
    await judge(page, { tenant: 'b' });
    // All of them together.
    await page.click('#tenant');
    await after(page, () => page.click('.menu-box [data-value="all"]'));
    await after(page, () => page.click('#all-tenants'));
    await judge(page, { tenant: 'all' });
  });
}
