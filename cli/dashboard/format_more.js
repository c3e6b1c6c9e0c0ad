// Formats of the pages Funnels, Retention and Quality.

/** The day after a day (`2026-11-26`). */
export function dayAfter(day) {
  const [year, month, date] = day.split('-').map(Number);
  return new Date(Date.UTC(year, month - 1, date + 1)).toISOString().slice(0, 10);
}

/** Writes a payload, which the quarantine keeps as text, so that one can read it; as it is if it is no JSON. */
export function pretty(data) {
  if (data === null || data === undefined) return '';
  if (typeof data !== 'string') return JSON.stringify(data, null, 2);
  try {
    return JSON.stringify(JSON.parse(data), null, 2);
  } catch {
    return data;
  }
}

/** Writes a message of the gateway as a sentence. */
export const sentence = (message) => `${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.!?)]$/.test(message) ? '' : '.'}`;
