// The page: which reports it requests, when, and what it shows if they fail.

import { Refusal, ask } from './api.js';
import * as charts from './charts.js';
import { $, h, say, table } from './dom.js';
import { date, hour } from './format.js';
import { stepsOf } from './funnel.js';
import * as keys from './keys.js';
import { watch } from './live.js';
import { PANELS, byName } from './panels.js';
import * as ranges from './ranges.js';
import * as theme from './theme.js';

/** Least time between two updates, since new events come in bursts. */
const CALM = 5e3;
/** Least time before an update requests these again. */
const RARE = { rejected: 30e3, retention: 60e3, names: 60e3, funnel: 30e3 };
/** Reports that read every row are requested last, and seldom unless the user asks. */
const SELDOM = 300e3;
const AGAIN = 10e3;

let state = ranges.read(location.search);
/** The current answers: name of the request → `{ asked, at, rows | fault }`. */
let answers = new Map();
let span = ranges.spanOf(state);
let running = null;
let stopWatching = null;
let watched = null;
let retry = null;
let lastAsked = 0;
let goodUntil = null;
const shownAsTable = new Set();

// ---------------------------------------------------------------- requests

/** Returns the requests for a state; the funnel waits for the names that occur. */
function questions() {
  const { since, until, before, retention, unit } = span;
  const name = state.names;
  const one = name.length === 1 ? name[0] : null;
  return {
    now: ['summary', { since, until, name }],
    before: ['summary', { since: before.since, until: before.until, name }],
    time: [unit === 'hour' ? 'hours' : 'days', { since, until, name }],
    names: ['names', {}],
    subjects: ['subjects', { since, until, name, limit: 8 }],
    actors: ['actors', { since, until, name: one }],
    errors: ['errors', { since, until, name, limit: 10 }],
    retention: ['retention', { ...retention, returning: one }],
    rejected: ['rejected', {}],
  };
}

async function load({ isNews = false, isByHand = false } = {}) {
  const kept = state.key && keys.find(state.key);
  if (!kept) return openDoor();
  clearTimeout(retry);
  running?.abort();
  const own = new AbortController();
  running = own;
  span = ranges.spanOf(state);
  lastAsked = Date.now();
  showFrame(kept);
  const asked = questions();
  const fetchOne = async (question, [report, parameters]) => {
    const last = answers.get(question);
    const isSame = last?.signature === signature(report, parameters);
    if (isNews && isSame && !last.fault && Date.now() - last.at < (RARE[question] ?? 0)) return;
    try {
      const { rows } = await ask(kept.key, report, parameters, own.signal);
      if (own.signal.aborted) return;
      answers.set(question, { rows, at: Date.now(), span, signature: signature(report, parameters) });
    } catch (fault) {
      if (own.signal.aborted) return;
      if (!(fault instanceof Refusal)) throw fault;
      // Keeps the old answer, marked as old, unless the request has changed.
      const kept = answers.get(question);
      answers.set(question, { ...(kept?.signature === signature(report, parameters) ? kept : {}), fault, at: Date.now() });
    }
    show(question);
  };
  $('panels').setAttribute('aria-busy', 'true');
  const first = Object.entries(asked).map(([question, about]) => fetchOne(question, about));
  await first[Object.keys(asked).indexOf('time')];
  if (own.signal.aborted) return;
  const counted = answers.get('time')?.rows ?? [];
  const step = stepsOf(state, byName(counted));
  if (step.length > 0) first.push(fetchOne('funnel', ['funnel', { step, since: span.since, until: span.until }]));
  else { answers.set('funnel', { rows: [], at: Date.now(), span }); show('funnel'); }
  await Promise.all(first);
  if (own.signal.aborted) return;
  const isUp = finish(kept, isNews);
  if (isUp && (isByHand || Date.now() - (answers.get('taxonomy')?.at ?? 0) > SELDOM)) await fetchOne('taxonomy', ['taxonomy', {}]);
  if (!own.signal.aborted) $('panels').setAttribute('aria-busy', 'false');
}

const signature = (report, parameters) => {
  const { until, ...others } = parameters;
  return JSON.stringify([report, others]);
};

const isOutage = ({ status, code }) => status === 0 || (status === 503 && code !== 'too_slow');

function finish(kept, isNews) {
  const faults = [...answers.values()].map(({ fault }) => fault).filter(Boolean);
  const outage = faults.find(isOutage);
  const refused = faults.find(({ status }) => status === 401 || status === 403);
  const busy = faults.find(({ status }) => status === 429);
  if (refused) {
    keys.forget(keys.idOf(kept.key));
    openDoor(refused.status === 403 ? refused.message : 'This key was revoked or has expired. Enter another one.');
    return false;
  }
  document.body.dataset.state = outage || busy ? 'away' : 'shown';
  if (outage || busy) {
    notice(outage ?? busy);
    retry = setTimeout(load, Math.max(AGAIN, ((outage ?? busy).retryAfter ?? 0) * 1000));
  } else {
    goodUntil = Date.now();
    const [now] = answers.get('now')?.rows ?? [];
    $('notices').replaceChildren(...(now?.events === 0 ? [empty()] : []));
    if (!isNews) say(`Showing ${spanText()}.`);
    follow(kept);
  }
  $('figures').dataset.since = span.since;
  $('figures').dataset.until = span.until;
  return !outage && !busy;
}

// ---------------------------------------------------------------- notices

function notice(fault) {
  const [title, what] = fault.status === 0
    ? ['The gateway does not answer.', ['Check that this machine is online and that ', h('code', {}, 'eventlog serve'), ' is running.']]
    : fault.status === 429
      ? ['This key has reached its limit.', ['The page tries again later. To create a key with a higher limit: ', h('code', {}, 'eventlog key create --kind read --rate-limit N')]]
      : [`The gateway answers, but ${fault.message}.`, ['Start PostgreSQL, or fix the settings of ', h('code', {}, 'eventlog serve'), ' (PGHOST and so on); its ', h('a', { href: '/readyz' }, '/readyz'), ' and its log say what is missing.']];
  const old = goodUntil && answers.get('now')?.rows ? ` The reports below are from ${hour(new Date(goodUntil).toISOString())} UTC.` : '';
  $('notices').replaceChildren(h('div', { class: 'notice bad', role: 'alert' },
    h('p', {}, h('strong', {}, title), old),
    h('p', {}, what, ' The page tries again by itself. '),
    h('button', { type: 'button', onclick: () => load() }, 'Try again now')));
  setLive('away');
}

function empty() {
  const wider = ['24h', '7d', '30d'].includes(state.range);
  return h('div', { class: 'notice' },
    h('p', {}, h('strong', {}, state.names.length > 0 ? 'No events of these types in this range.' : 'No events in this range.')),
    h('p', {}, state.names.length > 0 ? 'Choose other event types or a longer range.' : 'Choose a longer range, or send the first event with a write key:'),
    state.names.length > 0 ? null : h('pre', { tabindex: '0' }, h('code', {}, `curl -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\\n     -d '{"name": "tool_used", "data": {"toolName": "search"}}' ${location.origin}/api/track`)),
    h('div', { class: 'actions' },
      wider ? h('button', { type: 'button', onclick: () => choose({ range: '90d' }) }, 'Show 90 days') : null,
      state.names.length > 0 ? h('button', { type: 'button', onclick: () => choose({ names: [] }) }, 'Show all names') : null));
}

// ---------------------------------------------------------------- panels

function frame(panel) {
  const { id, title } = panel;
  if (!title) return h('section', { id: `panel-${id}`, class: 'bare', 'aria-label': 'Summary of the range' }, h('div', { class: 'body' }));
  const toggle = panel.isChart && !panel.isBoth && charts.isThere()
    ? h('button', { type: 'button', class: 'quiet toggle', 'aria-pressed': 'false', 'aria-label': `${title} as a table`, onclick: (event) => {
      if (!shownAsTable.delete(id)) shownAsTable.add(id);
      event.target.setAttribute('aria-pressed', String(shownAsTable.has(id)));
      render(panel);
    } }, 'Table') : null;
  return h('section', { id: `panel-${id}`, class: 'panel', 'aria-labelledby': `title-${id}` },
    h('div', { class: 'head' }, h('h2', { id: `title-${id}` }, title), h('p', { class: 'note' }), toggle),
    h('div', { class: 'body' }, h('p', { class: 'none' }, 'Loading…')));
}

function showFrame() {
  document.body.dataset.state = 'loading';
  $('door').hidden = true;
  for (const id of ['panels', 'filters', 'tenant', 'live']) $(id).hidden = false;
  if ($('panels').childElementCount === 0) {
    if (!charts.isThere()) {
      $('panels').append(h('p', { class: 'notice', id: 'no-charts' }, 'This program was built without its charts: run ', h('code', {}, 'make dashboard'), ' and build it again. The tables below show the same data.'));
    }
    $('panels').append(...PANELS.map(frame));
  }
  showFilters();
}

function show(question) {
  for (const panel of PANELS) if (panel.needs.includes(question)) render(panel);
}

function render(panel) {
  const section = $(`panel-${panel.id}`);
  if (!section) return;
  const body = section.querySelector('.body');
  const found = panel.needs.map((question) => answers.get(question));
  const fault = found.map((answer) => answer?.fault).find(Boolean);
  section.classList.toggle('old', Boolean(fault));
  if (fault && found.every((answer) => answer?.rows)) return undefined;
  charts.clear(body);
  const note = section.querySelector('.note');
  if (fault) {
    if (note) note.textContent = '';
    const text = fault.code === 'too_slow'
      ? panel.slow?.() ?? 'The report took too long: choose a shorter range.'
      : `No data: ${fault.message}.`;
    // In an outage all panels show the same; the notice above says what to do.
    const again = isOutage(fault) ? null : h('button', { type: 'button', onclick: () => load({ isByHand: true }) }, 'Try again');
    return body.replaceChildren(h('div', { class: 'broken' }, h('p', {}, text), ...[again].filter(Boolean)));
  }
  if (!found.every((answer) => answer?.rows)) return undefined;
  // Keeps open what the user has opened.
  const wasOpen = body.querySelector('details')?.open;
  const active = body.contains(document.activeElement) ? document.activeElement : null;
  if (active && active.tagName === 'SELECT') return undefined;
  if (note) note.textContent = '';
  body.replaceChildren();
  const data = Object.fromEntries(panel.needs.map((question, n) => [question, found[n].rows]));
  const drawn = panel.show(body, data, {
    state, span: found[0].span, note: (text) => { note.textContent = text; }, choose: (step) => choose({ steps: step }),
  });
  if (drawn?.table) {
    const asTable = panel.isBoth || shownAsTable.has(panel.id) || !charts.isThere();
    if (asTable && !panel.isBoth) body.querySelector('.legend')?.remove();
    if (charts.isThere() && (panel.isBoth || !asTable)) drawn.draw(body);
    body.append(table({ id: `table-${panel.id}`, hidden: !asTable, ...drawn.table }));
  }
  const details = body.querySelector('details');
  if (details && wasOpen) details.open = true;
  return undefined;
}

// ---------------------------------------------------------------- filters

function spanText() {
  const last = state.range === 'own' ? new Date(Date.parse(span.until) - 1).toISOString() : span.until;
  if (span.unit === 'hour' && state.range !== 'own') return `${date(span.since)}, ${hour(span.since)} to ${date(last)}, ${hour(last)} UTC`;
  return `${date(span.since)} to ${date(last)}`;
}

function showFilters() {
  for (const radio of document.querySelectorAll('[name=range]')) radio.checked = radio.value === state.range;
  $('own').hidden = state.range !== 'own';
  if (state.range === 'own') {
    $('own-from').value = state.from;
    $('own-to').value = state.to;
  }
  $('span').textContent = spanText();
  $('names-summary').textContent = state.names.length === 0 ? 'All names' : state.names.length === 1 ? state.names[0] : `${state.names.length} names`;
  const choice = $('tenant-choice');
  choice.replaceChildren(...keys.all().map(({ key, tenant }) => h('option', { value: keys.idOf(key), selected: keys.idOf(key) === state.key }, `Tenant ${tenant}`)));
  for (const box of document.querySelectorAll('#names-list input')) box.checked = state.names.includes(box.value);
}

function listNames() {
  const declared = (answers.get('names')?.rows ?? []).filter(({ status }) => status !== 'retired').map(({ name }) => name);
  const seen = byName(answers.get('time')?.rows ?? []).map(({ name }) => name);
  const sought = $('names-search').value.trim().toLowerCase();
  const all = [...new Set([...declared, ...seen, ...state.names])].sort().filter((name) => name.includes(sought));
  const box = (name) => h('label', {}, h('input', { type: 'checkbox', value: name, checked: state.names.includes(name), onchange: (event) => {
    const others = state.names.filter((other) => other !== name);
    choose({ names: event.target.checked ? [...others, name].sort() : others });
  } }), ` ${name}`);
  $('names-list').replaceChildren(h('legend', { class: 'vh' }, 'Event types'), ...(all.length > 0 ? all.map(box) : [h('p', { class: 'none' }, 'No match.')]));
}

function choose(change) {
  state = { ...state, ...change };
  history.pushState(null, '', ranges.write(state));
  load();
}

function chooseRange(range) {
  if (range !== 'own') return choose({ range, from: null, to: null });
  const day = (time) => new Date(time).toISOString().slice(0, 10);
  choose({ range, from: day(span.since), to: day(Date.parse(span.until) - 1) });
  return $('own-from').focus();
}

function chooseOwn() {
  const [from, to] = [$('own-from').value, $('own-to').value].sort();
  if (from && to) choose({ range: 'own', from, to });
}

// ---------------------------------------------------------------- keys

function openDoor(why) {
  running?.abort();
  follow(null);
  clearTimeout(retry);
  answers = new Map();
  goodUntil = null;
  for (const id of ['panels', 'filters', 'live']) $(id).hidden = true;
  $('tenant').hidden = keys.all().length === 0;
  showFilters();
  $('notices').replaceChildren();
  $('door').hidden = false;
  $('door-why').textContent = why ?? (state.key
    ? `This address is of the key ${state.key}_…, which this tab does not have.`
    : 'Enter a read key to see its tenant’s data.');
  document.body.dataset.state = 'door';
  $('door-key').focus();
}

async function enter(event) {
  event.preventDefault();
  const text = $('door-key').value.trim();
  const fault = keys.fault(text);
  $('door-fault').textContent = fault ?? '';
  if (fault) return;
  try {
    const { tenant } = await ask(text, 'names');
    keys.keep(text, tenant);
    $('door-key').value = '';
    answers = new Map();
    choose({ key: keys.idOf(text) });
    $('figures').focus({ preventScroll: true });
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    $('door-fault').textContent = refusal.status === 401
      ? 'The key is unknown, revoked or expired.'
      : `The key could not be tried: ${refusal.message}.`;
  }
}

function listKeys() {
  $('keys-list').replaceChildren(...keys.all().map(({ key, tenant }) => h('li', {},
    h('span', {}, h('code', {}, `${keys.idOf(key)}_…`), h('br'), `Tenant ${tenant}`),
    h('button', { type: 'button', 'aria-label': `Forget ${keys.idOf(key)}`, onclick: () => {
      keys.forget(keys.idOf(key));
      listKeys();
      if (state.key === keys.idOf(key)) { $('keys').close(); answers = new Map(); choose({ key: keys.all()[0] ? keys.idOf(keys.all()[0].key) : null }); } else showFilters();
    } }, 'Forget'))));
}

// ---------------------------------------------------------------- updates

function setLive(kind) {
  $('live').dataset.kind = kind;
  $('live-text').textContent = { live: 'Live', poll: 'Every 60 s', away: 'Offline' }[kind];
}

/** Follows the tenant's new events; combines those in quick succession. */
function follow(kept) {
  if (kept && watched === kept.key && $('live').dataset.kind !== 'away') return;
  stopWatching?.();
  stopWatching = null;
  watched = kept?.key ?? null;
  if (!kept) return;
  let waiting = null;
  const news = () => {
    if (waiting) return;
    const wait = Math.max(0, lastAsked + CALM - Date.now());
    waiting = setTimeout(() => {
      waiting = null;
      if (watched === kept.key && !document.hidden) load({ isNews: true });
    }, wait);
  };
  stopWatching = watch(kept.key, news, (kind) => { if (document.body.dataset.state !== 'away') setLive(kind); });
  if ($('live').dataset.kind === 'away') setLive('poll');
}

// ---------------------------------------------------------------- start

$('door-form').addEventListener('submit', enter);
$('filters').addEventListener('submit', (event) => event.preventDefault());
$('ranges').addEventListener('change', (event) => chooseRange(event.target.value));
$('own').addEventListener('change', chooseOwn);
$('refresh').addEventListener('click', () => load({ isByHand: true }));
$('names').addEventListener('toggle', () => { if ($('names').open) { $('names-search').value = ''; listNames(); $('names-search').focus(); } });
$('names').addEventListener('keydown', (event) => { if (event.key === 'Escape') { $('names').open = false; $('names-summary').focus(); } });
$('names-search').addEventListener('input', listNames);
$('names-all').addEventListener('click', () => { $('names').open = false; $('names-summary').focus(); choose({ names: [] }); });
document.addEventListener('click', (event) => { if (!$('names').contains(event.target)) $('names').open = false; });
$('tenant-choice').addEventListener('change', (event) => { answers = new Map(); goodUntil = null; choose({ key: event.target.value, names: [], steps: [] }); });
$('keys-open').addEventListener('click', () => { listKeys(); $('keys').showModal(); });
$('keys-close').addEventListener('click', () => $('keys').close());
$('keys-add').addEventListener('click', () => { $('keys').close(); openDoor('Enter a read key of this or another tenant.'); });
document.addEventListener('visibilitychange', () => { if (!document.hidden && state.key && Date.now() - lastAsked > 60e3) load({ isNews: true }); });
addEventListener('popstate', () => { const before = state.key; state = ranges.read(location.search); if (before !== state.key) answers = new Map(); load(); });
theme.start($('theme'), () => PANELS.forEach((panel) => { if (panel.isChart) render(panel); }));

// Without a key in the address, the first one is used.
if (!state.key && keys.all().length > 0) state.key = keys.idOf(keys.all()[0].key);
load();
