// The state of the page, which is kept in the address.

import { COMPARISONS, RANGES, isPoint } from './ranges.js';
import { browserZone, isZone } from './time_zone.js';

/** The pages and their titles, in the order of the menu. */
export const PAGES = {
  overview: 'Overview', events: 'Events', funnels: 'Funnels', retention: 'Retention', experiments: 'Experiments', quality: 'Quality', tenants: 'Tenants',
};

/** The figures that the chart of the overview can show. */
export const METRICS = ['events', 'people', 'success', 'errors', 'p95'];

const UNITS = ['hour', 'day', 'week', 'month'];

/** Operators of filters: the word in an address, and its kind of value. */
export const OPERATORS = {
  is: { word: 'is', text: 'is', value: 'list' },
  not: { word: 'not', text: 'is not', value: 'list' },
  prefix: { word: 'begins', text: 'begins with', value: 'text' },
  present: { word: 'has', text: 'is present', value: null },
  absent: { word: 'lacks', text: 'is absent', value: null },
  '>': { word: 'over', text: '>', value: 'number' },
  '>=': { word: 'least', text: '≥', value: 'number' },
  '<': { word: 'under', text: '<', value: 'number' },
  '<=': { word: 'most', text: '≤', value: 'number' },
};
const BY_WORD = new Map(Object.entries(OPERATORS).map(([operator, { word }]) => [word, operator]));

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const isKey = (key) => ['name', 'actor', 'subject'].includes(key) || (key.startsWith('data.') && key.length > 5);
const within = (list, value, otherwise) => (list.includes(value) ? value : otherwise);

/**
 * @typedef {{key: string, operator: string, value: string[] | string | number | null}} Filter
 * A condition on events; `key` is name, actor, subject or `data.KEY`.
 *
 * @typedef {object} State
 * @property {string | null} tenant id of the tenant, 'all', or null for the key's own
 * @property {string} page a key of PAGES
 * @property {string} range a key of RANGES
 * @property {string | null} since, until of a custom range: days of the time zone, or times
 * @property {string} compare a key of COMPARISONS
 * @property {string | null} unit by which the chart is cut; null for the usual one
 * @property {string} metric one of METRICS
 * @property {string | null} split key by which the chart is split
 * @property {Filter[]} filters
 * @property {string} time_zone
 * @property {Record<string, string[]>} view what else the page keeps, by its own names
 */

/** Reads the parts of an address that are a page's own. */
function viewOf(asked, known) {
  // Without a prototype, whose names an address could have.
  const view = Object.create(null);
  for (const [name, value] of asked) if (!known.has(name) && /^[a-z_]{1,40}$/.test(name)) (view[name] ??= []).push(value);
  return view;
}

function readFilters(asked, used) {
  const filters = [];
  for (const [name, value] of asked) {
    const [word] = name.split('.', 1);
    const key = name.slice(word.length + 1);
    const operator = BY_WORD.get(word);
    if (!operator || !isKey(key)) continue;
    used.add(name);
    const kind = OPERATORS[operator].value;
    const same = filters.find((filter) => filter.key === key && filter.operator === operator);
    if (kind === 'list' && same) same.value.push(value);
    else if (kind === 'list') filters.push({ key, operator, value: [value] });
    else if (kind === 'number') filters.push({ key, operator, value: Number(value) || 0 });
    else filters.push({ key, operator, value: kind === null ? null : value });
  }
  return filters.slice(0, 20);
}

/** Reads the state from an address; ignores what is invalid. @returns {State} */
export function read(search) {
  const asked = new URLSearchParams(search);
  const used = new Set(['tenant', 'page', 'range', 'since', 'until', 'compare', 'unit', 'metric', 'split', 'time_zone']);
  const tenant = asked.get('tenant');
  const zone = asked.get('time_zone');
  const split = asked.get('split');
  const state = {
    tenant: tenant === 'all' || UUID.test(tenant ?? '') ? tenant : null,
    page: within(Object.keys(PAGES), asked.get('page'), 'overview'),
    range: within(Object.keys(RANGES), asked.get('range'), '30d'),
    since: null,
    until: null,
    compare: within(Object.keys(COMPARISONS), asked.get('compare'), 'previous'),
    unit: within(UNITS, asked.get('unit'), null),
    metric: within(METRICS, asked.get('metric'), 'events'),
    split: split !== null && isKey(split) ? split : null,
    filters: readFilters(asked, used),
    time_zone: zone && isZone(zone) ? zone : browserZone(),
    view: viewOf(asked, used),
  };
  if (state.range === 'custom') {
    const points = [asked.get('since'), asked.get('until')];
    if (points.every(isPoint)) [state.since, state.until] = points.sort();
    else state.range = '30d';
  }
  return state;
}

/** Writes a state as an address, without what is usual. */
export function write(state) {
  const asked = new URLSearchParams();
  const usual = { page: 'overview', compare: 'previous', metric: 'events' };
  for (const name of ['tenant', 'page', 'range', 'since', 'until', 'compare', 'unit', 'metric', 'split', 'time_zone']) {
    if (state[name] !== null && state[name] !== usual[name]) asked.set(name, state[name]);
  }
  for (const { key, operator, value } of state.filters) {
    for (const one of [value].flat()) asked.append(`${OPERATORS[operator].word}.${key}`, one ?? '');
  }
  for (const [name, values] of Object.entries(state.view)) for (const value of [values].flat()) asked.append(name, value);
  return `?${asked}`;
}

/**
 * Returns filters as the reports take them: an object of keys and what must hold of each. Of two lists of one key
 * the values that are in both count.
 */
export function asJson(filters) {
  const found = {};
  for (const { key, operator, value } of filters) {
    const about = (found[key] ??= {});
    if (operator === 'present' || operator === 'absent') about.present = operator === 'present';
    else if (operator === 'is' && about.is) about.is = about.is.filter((one) => value.includes(one));
    else if (operator === 'not' && about.not) about.not = [...new Set([...about.not, ...value])];
    else about[operator] = value;
  }
  return found;
}

/** Returns the filters of a JSON that `asJson` wrote. @returns {Filter[]} */
export function fromJson(conditions) {
  const pairs = [conditions ?? []].flat().flatMap((one) => Object.entries(one));
  return pairs.flatMap(([key, about]) => {
    if (about === null || typeof about !== 'object' || Array.isArray(about)) {
      return [about === null ? { key, operator: 'absent', value: null } : { key, operator: 'is', value: [about].flat() }];
    }
    return Object.entries(about).map(([operator, value]) => {
      if (operator === 'present') return { key, operator: value ? 'present' : 'absent', value: null };
      return { key, operator, value: OPERATORS[operator]?.value === 'list' ? [value].flat() : value };
    });
  });
}
