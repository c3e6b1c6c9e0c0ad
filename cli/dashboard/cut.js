// Cutting the events by a key: the rows of each value, and the filter that a row stands for.

import { useReport } from './use_report.js';

/** The most values that are asked for. */
export const ALL = 1000;

/** The filter that a row stands for. */
export const filterOf = (key, value) => (value === null ? { key, operator: 'absent', value: null } : { key, operator: 'is', value: [value] });

/** Asks for the rows of a breakdown, and what the values shown had before. */
export function useBreakdown({ ask, span, key, top, filters = [] }) {
  const now = useReport(ask, key ? 'summary' : null, { breakdown: key, top, filters }, { every: 20e3 });
  const values = now.rows && !now.isOther ? now.rows.filter((row) => !row.is_others && row.breakdown_value !== null).map((row) => row.breakdown_value) : [];
  const isAsked = Boolean(span.before) && values.length > 0 && values.length <= 100;
  const before = useReport(ask, isAsked ? 'summary' : null, { breakdown: key, top, ...span.before, filters: [...filters, { key, operator: 'is', value: values }] }, { every: 60e3 });
  const former = before.rows && !before.isOther ? new Map(before.rows.map((row) => [row.breakdown_value, row.events])) : null;
  return { now, formerOf: (value) => (former && values.includes(value) ? former.get(value) ?? 0 : undefined) };
}
