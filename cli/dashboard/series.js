// Figures over time: the points of a span, and what each metric takes from the rows of a report.

import * as format from './format.js';
import { add, dateOf, startOf } from './time_zone.js';

/** The metrics: how they are called, their value in a row, and how it is written. */
export const METRICS = {
  events: { title: 'Events', of: (row) => row.events, write: format.number, isSum: true, noun: 'event' },
  people: { title: 'People', of: (row) => row.actors ?? null, write: format.number, noun: 'person', nouns: 'people' },
  success: { title: 'Success', of: (row) => rate(row), write: format.percent, isRate: true, most: 1, scale: format.wholePercent },
  errors: { title: 'Errors', of: (row) => row.failures, write: format.number, isSum: true, isBad: true, noun: 'error' },
  p95: { title: 'p95', of: (row) => row.p95_duration ?? null, write: format.duration, isBad: true, scale: format.duration },
};

/** The share of successes among the events that succeeded or failed. */
export function rate({ successes, failures }) {
  const all = (successes ?? 0) + (failures ?? 0);
  return all > 0 ? successes / all : null;
}

/** The report of a unit and its parameters. */
export function questionOf(unit, breakdown, top) {
  const about = breakdown ? { breakdown, top } : { breakdown: 'none' };
  return unit === 'hour' ? ['events_per_hour', about] : ['events_per_day', { ...about, period: unit }];
}

/**
 * Returns the points of a span.
 * @returns {{at: string, key: string | number, start: number, end: number, isCut: boolean, isOpen: boolean}[]} `at` is a
 *   day, or a time for hours; `isOpen` if it is not over yet, `isCut` if the span has only a part of it
 */
export function pointsOf({ since, until }, unit, zone, now = Date.now()) {
  const [from, to] = [Date.parse(since), Date.parse(until)];
  const points = [];
  let start = startOf(unit, from, zone);
  while (start < to && points.length < 3000) {
    // A day may begin at one, where clocks leap over midnight; the next one does not.
    const end = startOf(unit, add(unit, 1, start, zone), zone);
    const day = dateOf(start, zone);
    const isHour = unit === 'hour';
    points.push({
      at: isHour ? new Date(start).toISOString() : day, key: isHour ? start : day, start, end,
      isCut: start < from || (end > to && to < now - 60e3), isOpen: end > now,
    });
    start = end;
  }
  return points;
}

/** Returns the rows of each point, in the order of the points: maps of breakdown value → row. */
export function byPoint(points, rows) {
  const positions = new Map(points.map(({ key }, n) => [key, n]));
  const found = points.map(() => new Map());
  for (const row of rows) {
    const position = positions.get(row.hour ? Date.parse(row.hour) : row.day);
    if (position === undefined) continue;
    const name = row.is_others ? OTHERS : row.breakdown_value ?? null;
    found[position].set(name, row);
  }
  return found;
}

/** What stands for all values besides the top ones. */
export const OTHERS = Symbol('others');

/** Returns the values of a breakdown, most events first, others last. */
export function valuesOf(rows) {
  const sums = new Map();
  for (const row of rows) {
    const value = row.is_others ? OTHERS : row.breakdown_value ?? null;
    sums.set(value, (sums.get(value) ?? 0) + row.events);
  }
  return [...sums].filter(([, events]) => events > 0).sort(([a, x], [b, y]) => (a === OTHERS) - (b === OTHERS) || y - x).map(([value]) => value);
}

/** Writes a value of a breakdown. */
export const labelOf = (value) => (value === OTHERS ? 'others' : value === null || value === undefined ? '(none)' : value === '' ? '(empty)' : value);

/** Writes the point of a chart's scale, and of its tooltip. */
export function labelsOf(points, unit, days) {
  if (unit === 'month') return points.map(({ at }) => format.month(at));
  if (unit !== 'hour') return points.map(({ at }) => format.day(at));
  return points.map(({ at }) => (days > 1.5 && format.hour(at) === '00:00' ? format.day(at) : format.hour(at)));
}

export function titleOf({ at, end }, unit) {
  if (unit === 'hour') return `${format.weekday(at)}, ${format.hour(at)} – ${format.hour(end)}`;
  if (unit === 'week') return `Week of ${format.weekday(at)}`;
  return unit === 'month' ? format.month(at) : format.weekday(at);
}
