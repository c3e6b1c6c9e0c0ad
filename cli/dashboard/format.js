// Formats numbers and times for display.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 1 });
const days = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', day: 'numeric', month: 'short' });
const dates = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', day: 'numeric', month: 'short', year: 'numeric' });
const hours = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', hour: '2-digit', minute: '2-digit' });

export const NONE = '–';

export const number = (value) => (value === null ? NONE : whole.format(value));
export const compact = (value) => (Math.abs(value) < 10000 ? whole.format(value) : short.format(value));
export const percent = (value) => (value === null ? NONE : percents.format(value));
export const day = (text) => days.format(new Date(text));
export const date = (text) => dates.format(new Date(text));
export const hour = (text) => hours.format(new Date(text));
export const moment = (text) => `${days.format(new Date(text))}, ${hours.format(new Date(text))}`;
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** Formats seconds as a span. */
export function span(seconds) {
  if (seconds === null) return NONE;
  if (seconds < 90) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 360) / 10} h`;
  return `${Math.round(seconds / 8640) / 10} d`;
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
