// Durations, success and the last error of each subject: a skill, a tool, an integration.

import { Body, Card, Table, html, useMemo, useReport } from './ui.js';
import { dayAfter } from './format_more.js';
import { NONE, cut, duration, number, percent } from './format.js';

const MOST = 1000;
const MOST_VALUES = 1000;

export function Subjects({ ask }) {
  const { firstDay, lastDay } = ask.span;
  const answer = useReport(ask, 'subject_stats', { since: firstDay, until: dayAfter(lastDay), row_limit: MOST });
  const errors = useReport(ask, 'recent_errors', { breakdown: 'subject', top: MOST_VALUES, row_limit: MOST });
  const last = useMemo(() => lastErrors(errors.rows), [errors.rows]);
  const errorOf = (row) => last.get(JSON.stringify([row.name, row.subject])) ?? null;
  const measured = (rows) => rows.filter((row) => row.successes + row.failures > 0 || row.median_duration !== null);
  const figure = (title, name, text) => ({ title, number: true, text: (row) => text(row[name]), value: (row) => row[name] });
  const columns = [
    { title: 'Subject', class: 'long', text: (row) => (row.subject ? cut(row.subject, 80) : NONE), value: (row) => row.subject },
    { title: 'Event', text: (row) => row.name, value: (row) => row.name },
    figure('Events', 'events', number),
    {
      title: 'Success',
      number: true,
      text: (row) => (row.success_rate === null ? NONE : html`<span class=${row.success_rate < 0.9 ? 'bad' : ''}>${percent(row.success_rate)}</span>`),
      value: (row) => row.success_rate,
    },
    figure('Failed', 'failures', number),
    figure('Median', 'median_duration', duration),
    figure('p95', 'p95_duration', duration),
    {
      title: 'Last error',
      class: 'wide',
      text: (row) => {
        const found = errorOf(row);
        if (!found) return row.failures > 0 && !errors.rows && !errors.fault ? '…' : NONE;
        if (!found.error_type && !found.last_message) return NONE;
        return html`<span class="error">${found.error_type && html`<code>${cut(found.error_type, 60)}</code>`} ${found.last_message ? cut(found.last_message, 160) : ''}</span>`;
      },
      value: (row) => { const found = errorOf(row); return found && [found.error_type, found.last_message].filter(Boolean).join(': '); },
    },
  ];
  return html`<${Card} id="durations" title="Durations and success" note="by skill, tool and every other subject; whole days">
    <${Body} report=${answer} none="No event in this range has a subject, such as a skill or a tool.">
      ${(rows) => (measured(rows).length === 0
        ? html`<p class="none">No event in this range says how long it took or whether it went well: its type needs a <code>duration_key</code> or a <code>success_key</code>.</p>`
        : html`<${Table} id="durations" search csv caption="Durations and success by subject and event" rows=${measured(rows)} columns=${columns} />`)}
    <//>
  <//>`;
}

/** The last error of each name and subject. */
function lastErrors(rows) {
  const found = new Map();
  for (const row of rows ?? []) {
    if (row.is_others) continue;
    const key = JSON.stringify([row.name, row.breakdown_value]);
    const other = found.get(key);
    if (!other || Date.parse(row.last_at) > Date.parse(other.last_at)) found.set(key, row);
  }
  return found;
}
