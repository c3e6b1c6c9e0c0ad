// The state of the page, which is kept in the address, and the span of time that it means.

const HOUR = 3600e3;
const DAY = 24 * HOUR;
const LENGTHS = { '24h': 1, '7d': 7, '30d': 30, '90d': 90 };
const isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text ?? '') && !Number.isNaN(Date.parse(text));
const floor = (time, unit) => Math.floor(time / unit) * unit;
const dayOf = (time) => new Date(time).toISOString().slice(0, 10);

/** Reads the state from an address; ignores invalid parts. */
export function read(search) {
  const asked = new URLSearchParams(search);
  const key = asked.get('key') ?? '';
  const state = {
    key: /^el_r_[0-9a-f]{16}$/.test(key) ? key : null,
    range: asked.get('range') in LENGTHS ? asked.get('range') : '30d',
    from: null,
    to: null,
    names: [...new Set(asked.getAll('name'))].slice(0, 100),
    steps: asked.getAll('step').slice(0, 20),
  };
  if (asked.get('range') === 'own' && isDay(asked.get('from')) && isDay(asked.get('to'))) {
    const [from, to] = [asked.get('from'), asked.get('to')].sort();
    Object.assign(state, { range: 'own', from, to });
  }
  return state;
}

export function write(state) {
  const asked = new URLSearchParams();
  if (state.key) asked.set('key', state.key);
  asked.set('range', state.range);
  if (state.range === 'own') {
    asked.set('from', state.from);
    asked.set('to', state.to);
  }
  for (const name of state.names) asked.append('name', name);
  for (const step of state.steps) asked.append('step', step);
  return `?${asked}`;
}

/**
 * Returns the span, from the beginning of an hour or day until now, so that all panels cover the same
 * events; and the previous span, up to the same point.
 */
export function spanOf(state, now = Date.now()) {
  let since;
  let until = now;
  let length = (LENGTHS[state.range] ?? 0) * DAY;
  let unit = 'day';
  if (state.range === 'own') {
    since = Date.parse(state.from);
    until = Date.parse(state.to) + DAY;
    length = until - since;
    if (length <= 2 * DAY) unit = 'hour';
  } else if (state.range === '24h') {
    since = floor(now, HOUR) - 23 * HOUR;
    unit = 'hour';
  } else {
    since = floor(now, DAY) - length + DAY;
  }
  const iso = (time) => new Date(time).toISOString();
  return {
    since: iso(since),
    until: iso(until),
    unit,
    before: { since: iso(since - length), until: iso(until - length) },
    isWholeDays: since % DAY === 0,
    days: Math.round(length / DAY),
    // Retention needs days: a shorter span shows nothing.
    retention: length <= 14 * DAY
      ? { since: dayOf(until - 13 * DAY), until: iso(until), period: 'day' }
      : { since: iso(since), until: iso(until), period: 'week' },
  };
}
