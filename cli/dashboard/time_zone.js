// Wall clocks of time zones: what a day, a week or an hour is, over daylight saving too.

const formats = new Map();

function formatOf(zone) {
  if (!formats.has(zone)) {
    formats.set(zone, new Intl.DateTimeFormat('en-US', {
      timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric',
      hour: 'numeric', minute: 'numeric', second: 'numeric',
    }));
  }
  return formats.get(zone);
}

/** Returns true if the browser knows a time zone. */
export function isZone(zone) {
  try {
    formatOf(zone);
    return true;
  } catch {
    return false;
  }
}

/** The browser's time zone. */
export function browserZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
  return RENAMED[zone] ?? zone;
}

/** Browsers list some zones by names that their cities no longer have. */
const RENAMED = {
  'Asia/Calcutta': 'Asia/Kolkata', 'Asia/Katmandu': 'Asia/Kathmandu', 'Asia/Rangoon': 'Asia/Yangon', 'Asia/Saigon': 'Asia/Ho_Chi_Minh',
  'Europe/Kiev': 'Europe/Kyiv', 'Atlantic/Faeroe': 'Atlantic/Faroe', 'America/Godthab': 'America/Nuuk',
};

/** All time zones that the browser knows, UTC first. */
export function allZones() {
  const known = Intl.supportedValuesOf?.('timeZone') ?? [browserZone()];
  return ['UTC', ...known.filter((zone) => zone !== 'UTC').map((zone) => RENAMED[zone] ?? zone).sort()];
}

/**
 * Reads the clock on the wall of a zone.
 * @param {number} time milliseconds since 1970
 * @returns {{year: number, month: number, day: number, hour: number, minute: number, second: number}}
 */
export function wall(time, zone) {
  const found = {};
  for (const { type, value } of formatOf(zone).formatToParts(time)) found[type] = Number(value);
  return found;
}

/** Returns by how many milliseconds a zone is ahead of UTC at a time. */
export function offset(time, zone) {
  const { year, month, day, hour, minute, second } = wall(time, zone);
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(time / 1000) * 1000;
}

/**
 * Returns the time at which a clock on the wall shows something. What it shows twice is the later time,
 * and what it skips is reckoned from before the leap, as PostgreSQL does. Parts may overflow (day 0, month 13).
 */
export function instant({ year, month = 1, day = 1, hour = 0, minute = 0, second = 0 }, zone) {
  const shown = Date.UTC(year, month - 1, day, hour, minute, second);
  const before = shown - offset(shown - 86400e3, zone);
  const after = shown - offset(shown + 86400e3, zone);
  const fits = (time) => time + offset(time, zone) === shown;
  if (fits(after)) return after;
  return before;
}

/** Returns the start of the hour, day, week (Monday), month or year in which a time is. */
export function startOf(unit, time, zone) {
  const at = wall(time, zone);
  if (unit === 'hour') return time - (((time + offset(time, zone)) % 3600e3) + 3600e3) % 3600e3;
  if (unit === 'week') {
    const weekday = (new Date(Date.UTC(at.year, at.month - 1, at.day)).getUTCDay() + 6) % 7;
    return instant({ ...at, day: at.day - weekday, hour: 0, minute: 0, second: 0 }, zone);
  }
  const { year, month, day } = at;
  return instant({ year, month: unit === 'year' ? 1 : month, day: unit === 'day' ? day : 1 }, zone);
}

/** Moves a time by units of the calendar; the last days of long months become those of short ones. */
export function add(unit, count, time, zone) {
  if (unit === 'hour') return time + count * 3600e3;
  const at = wall(time, zone);
  const rest = time % 1000;
  if (unit === 'week') return instant({ ...at, day: at.day + 7 * count }, zone) + rest;
  if (unit === 'day') return instant({ ...at, day: at.day + count }, zone) + rest;
  const months = at.month - 1 + (unit === 'year' ? 12 * count : count);
  const year = at.year + Math.floor(months / 12);
  const month = ((months % 12) + 12) % 12 + 1;
  const most = new Date(Date.UTC(year, month, 0)).getUTCDate();
  return instant({ ...at, year, month, day: Math.min(at.day, most) }, zone) + rest;
}

/** Returns the date (`2026-11-26`) that a zone has at a time. */
export function dateOf(time, zone) {
  const { year, month, day } = wall(time, zone);
  return new Date(Date.UTC(year, month - 1, day)).toISOString().slice(0, 10);
}

/** Returns the start of a date (`2026-11-26`) in a zone; `more` days later, where given. */
export function startOfDate(date, zone, more = 0) {
  const [year, month, day] = date.split('-').map(Number);
  return instant({ year, month, day: day + more }, zone);
}

/** Writes how far a zone is from UTC now: `UTC+5:30`. */
export function offsetText(zone, time = Date.now()) {
  const minutes = Math.round(offset(time, zone) / 60e3);
  if (minutes === 0) return 'UTC';
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? '−' : '+'}${hours}${rest ? `:${String(rest).padStart(2, '0')}` : ''}`;
}
