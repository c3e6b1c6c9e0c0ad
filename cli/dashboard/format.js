// Formats numbers and times for display. Times are in the zone that `setZone` was given last; days
// (`2026-11-26`) are the same in every zone.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 1 });
const wholePercents = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 0 });

/** What stands for no value. */
export const NONE = '–';

const SHAPES = {
  day: { day: 'numeric', month: 'short' },
  weekday: { weekday: 'short', day: 'numeric', month: 'short' },
  date: { day: 'numeric', month: 'short', year: 'numeric' },
  month: { month: 'short', year: 'numeric' },
  hour: { hour: '2-digit', minute: '2-digit' },
  second: { hour: '2-digit', minute: '2-digit', second: '2-digit' },
};
let zone = 'UTC';
let inZone = {};
const ofDays = shapes('UTC');

function shapes(timeZone) {
  return Object.fromEntries(Object.entries(SHAPES).map(([name, shape]) => [name, new Intl.DateTimeFormat('en-GB', { timeZone, ...shape })]));
}

/** Sets the time zone of all that is formatted from here on. */
export function setZone(wanted) {
  if (wanted === zone && inZone.day) return;
  zone = wanted;
  inZone = shapes(wanted);
}
setZone('UTC');

const isDay = (text) => typeof text === 'string' && text.length === 10;
const format = (name) => (at) => (isDay(at) ? ofDays : inZone)[name].format(new Date(at));

export const number = (value) => (value === null || value === undefined ? NONE : whole.format(value));
export const compact = (value) => (Math.abs(value) < 10000 ? whole.format(value) : short.format(value));
export const percent = (value) => (value === null || value === undefined ? NONE : percents.format(value));
/** Formats a share without digits after the point, rounded. */
export const wholePercent = (value) => (value === null || value === undefined ? NONE : wholePercents.format(value));

/** `26 Nov`, `Thu 26 Nov`, `26 Nov 2026`, `Nov 2026`, `14:05` and `14:05:09` of a time or a day. */
export const day = format('day');
export const weekday = (at) => format('weekday')(at).replace(',', '');
export const date = format('date');
export const month = format('month');
export const hour = format('hour');
export const second = format('second');
export const moment = (at) => `${day(at)}, ${hour(at)}`;

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** Formats seconds as a span. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  if (seconds < 90) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 360) / 10} h`;
  return `${Math.round(seconds / 8640) / 10} d`;
}

/** Formats milliseconds, as durations of events are. */
export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return NONE;
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : span(milliseconds / 1000);
}

/** Formats the time since a moment. */
export function ago(text, now = Date.now()) {
  const seconds = Math.max(0, (now - new Date(text)) / 1000);
  if (seconds < 60) return 'just now';
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** Shortens a long word, such as a subject, for a chart; tables show all of it. */
export const cut = (text, most = 28) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** Writes a payload in one line. */
export function lineOf(data) {
  const parts = Object.entries(data ?? {}).map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const line = parts.join('  ');
  return line.length > 400 ? `${line.slice(0, 399)}…` : line;
}

/** Writes the days of a span. */
export function spanText({ firstDay, lastDay }) {
  if (firstDay === lastDay) return date(firstDay);
  return firstDay.slice(0, 4) === lastDay.slice(0, 4) ? `${day(firstDay)} – ${date(lastDay)}` : `${date(firstDay)} – ${date(lastDay)}`;
}
