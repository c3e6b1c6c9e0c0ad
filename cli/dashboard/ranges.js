// Ranges: the span of time that the state of the page means, and the span it is compared with.

import { add, dateOf, startOf, startOfDate } from './time_zone.js';

/** The ranges that have a name, in the order of the menu. */
export const RANGES = {
  '24h': 'Last 24 hours',
  '7d': 'Last 7 days',
  '30d': 'Last 30 days',
  '90d': 'Last 90 days',
  week: 'This week',
  month: 'This month',
  year: 'Year to date',
  custom: 'Custom',
};

/** What a range can be compared with. */
export const COMPARISONS = { previous: 'Previous period', year: 'Same period last year', none: 'No comparison' };

const DAYS = { '7d': 7, '30d': 30, '90d': 90 };
const DAY = 86400e3;

/** Returns true for a day (`2026-11-26`) or a time (`2026-11-26T10:00:00.000Z`) of a custom range. */
export const isPoint = (text) => /^\d{4}-\d\d-\d\d(T[\d:.]+Z)?$/.test(text ?? '') && !Number.isNaN(Date.parse(text));

function bounds(state, now) {
  const { range, time_zone: zone } = state;
  if (range === 'custom') {
    const isDays = !state.since.includes('T');
    const since = isDays ? startOfDate(state.since, zone) : Date.parse(state.since);
    // The last day of a custom range belongs to it; a time ends it.
    const until = state.until.includes('T') ? Date.parse(state.until) : startOfDate(state.until, zone, 1);
    const days = Math.max(1, Math.round((until - since) / DAY));
    const back = (time) => (isDays ? add('day', -days, time, zone) : time - (until - since));
    return { since, until, back };
  }
  if (range === '24h') {
    const since = startOf('hour', now, zone) - 23 * 3600e3;
    return { since, until: now, back: (time) => time - DAY };
  }
  if (range in DAYS) {
    const since = startOf('day', add('day', 1 - DAYS[range], now, zone), zone);
    return { since, until: now, back: (time) => add('day', -DAYS[range], time, zone) };
  }
  return { since: startOf(range, now, zone), until: now, back: (time) => add(range, -1, time, zone) };
}

/** The units of time by which a span can be cut, the usual one first. */
export function unitsOf(since, until) {
  const days = (until - since) / DAY;
  if (days <= 2.1) return ['hour', 'day'];
  if (days <= 14.5) return ['day', 'hour'];
  if (days <= 100) return ['day', 'week', 'month'];
  if (days <= 800) return ['week', 'day', 'month'];
  return ['month', 'week'];
}

/**
 * Returns the span that a state means.
 * @returns {{since: string, until: string, before: null | {since: string, until: string}, unit: string,
 *   units: string[], days: number, firstDay: string, lastDay: string, isOpen: boolean}}
 *   times are ISO; `before` is null without a comparison; `isOpen` if it ends now
 */
export function spanOf(state, now = Date.now()) {
  const { since, until, back } = bounds(state, now);
  const zone = state.time_zone;
  const before = state.compare === 'none' ? null
    : state.compare === 'year' ? [add('year', -1, since, zone), add('year', -1, until, zone)] : [back(since), back(until)];
  const units = unitsOf(since, until);
  const iso = (time) => new Date(time).toISOString();
  return {
    since: iso(since),
    until: iso(until),
    before: before && { since: iso(before[0]), until: iso(Math.min(before[1], since)) },
    units,
    unit: units.includes(state.unit) ? state.unit : units[0],
    days: Math.max(1, Math.round((until - since) / DAY)),
    firstDay: dateOf(since, zone),
    lastDay: dateOf(until - 1, zone),
    isOpen: state.range !== 'custom' || until > now,
  };
}
