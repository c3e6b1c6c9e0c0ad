// Requests to the gateway. A key is sent in a header, never in an address; without one, the browser sends
// the cookie of the session.

import { asJson } from './state.js';

/** An answer that is not what was asked for. `status` 0: the gateway does not answer. */
export class Refusal extends Error {
  constructor(status, message, code = null, retryAfter = null) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }

  /** True if nothing can be asked at the moment: the database or the gateway is away, or the key is at its limit. */
  get isOutage() {
    return this.status === 0 || this.status === 429 || (this.status === 503 && this.code !== 'too_slow');
  }
}

/** What the tab knows of who asks: a read key that was just entered, or the token of a share link. */
export const auth = { key: null, share: null };

const headers = () => {
  const token = auth.share ?? auth.key;
  return token ? { Authorization: `Bearer ${token}` } : {};
};

async function refusal(answer) {
  try {
    const { error, code: outer } = await answer.json();
    const { code, message } = typeof error === 'string' ? { code: outer, message: error } : error;
    return new Refusal(answer.status, message, code ?? outer ?? null, Number(answer.headers.get('Retry-After')) || null);
  } catch {
    // A proxy answered instead of the gateway.
    return new Refusal(answer.status, `the gateway answered ${answer.status}`);
  }
}

/** Sends a request and returns the answer, or throws a Refusal. */
export async function send(path, { method = 'GET', body, signal, accept } = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method, signal, cache: 'no-store', credentials: 'same-origin',
      headers: { ...headers(), ...(accept ? { Accept: accept } : {}), ...(body ? { 'Content-Type': 'application/json' } : {}) },
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch (fault) {
    if (signal?.aborted) throw fault;
    throw new Refusal(0, 'the gateway does not answer');
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

/** Keeps whole numbers that JavaScript would round as text, such as the ids of other systems in a payload. */
const exact = (_, value, context) => (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value) && context?.source ? context.source : value);

/** Sends a request and returns its JSON; null for none. */
export async function json(path, options) {
  const answer = await send(path, options);
  const text = await answer.text();
  if (!text) return null;
  return /\d{16}/.test(text) ? JSON.parse(text, exact) : JSON.parse(text);
}

const SPAN = ['since', 'until'];
/** What each report takes of the state of the page. */
const TAKES = {
  summary: [...SPAN, 'filters'],
  events_per_day: [...SPAN, 'filters', 'time_zone'],
  events_per_hour: [...SPAN, 'filters', 'time_zone'],
  top_subjects: [...SPAN, 'filters', 'time_zone'],
  subject_stats: [...SPAN, 'filters', 'time_zone'],
  recent_errors: [...SPAN, 'filters'],
  active_actors: [...SPAN, 'filters', 'time_zone'],
  cohort_retention: [...SPAN, 'filters', 'time_zone'],
  funnel: [...SPAN, 'filters'],
  funnel_dropouts: [...SPAN, 'filters'],
  experiment_results: [...SPAN, 'filters'],
  get_events: [...SPAN, 'filters'],
  get_rejected: SPAN,
  tenants_overview: SPAN,
};

/** Writes the address of a report; lists repeat their parameter. */
export function addressOf(report, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) if (one !== null && one !== undefined) query.append(name, String(one));
  }
  return `/api/analytics/${report}?${query}`;
}

/**
 * Returns a report's parameters with those of the state; what `given` has counts, and null leaves it out. Its
 * `filters` are added to those of the state, and `only` stands in their place.
 */
export function parametersOf(report, given, state, span) {
  const takes = TAKES[report] ?? [];
  const { filters: more = [], only = state.filters, ...own } = given;
  const filters = [...only, ...more];
  const all = { tenant: state.tenant };
  if (takes.includes('since')) Object.assign(all, { since: span.since, until: span.until });
  if (takes.includes('time_zone')) all.time_zone = state.time_zone;
  if (takes.includes('filters') && filters.length > 0) all.filters = JSON.stringify(asJson(filters));
  return { ...all, ...own };
}

/**
 * Makes the function with which pages ask for reports. The same question is sent once.
 * @param {object} about
 * @param {import('./state.js').State} about.state
 * @param {ReturnType<import('./ranges.js').spanOf>} about.span
 * @param {boolean} about.isNews it is asked again because there may be new events
 * @param {(pending: number) => void} about.pending hears of requests that begin (1) and end (-1)
 * @param {(fault: Refusal | null, notices?: string[]) => void} about.told hears how each ended, with the server's notices
 * @returns {(report: string, parameters?: object) => Promise<object[]>} its rows, which also have `notices`.
 */
export function makeAsk({ state, span, isNews, pending, told }) {
  const answers = new Map();
  const ask = (report, parameters = {}) => {
    const address = addressOf(report, parametersOf(report, parameters, state, span));
    if (!answers.has(address)) answers.set(address, fetchRows(address));
    return answers.get(address);
  };
  async function fetchRows(address) {
    pending(1);
    try {
      const { rows, notices, tenant_id: tenant } = await json(address);
      told(null, notices);
      return Object.assign(rows, { notices: notices ?? [], tenant });
    } catch (fault) {
      if (fault instanceof Refusal) told(fault);
      throw fault;
    } finally {
      pending(-1);
    }
  }
  return Object.assign(ask, { state, span, isNews });
}
