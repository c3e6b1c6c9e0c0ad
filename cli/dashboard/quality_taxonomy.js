// Drift: event types compared with the events that there are.

import { Body, Card, Table, html, useReport } from './ui.js';
import { cut, number } from './format.js';

const STATES = {
  active: 'declared and logged',
  unused: 'declared, never logged',
  undeclared: 'logged, not declared',
  deprecated: 'deprecated, still logged',
  retired: 'retired',
};

/** The report reads every row of the tenant. */
const SELDOM = 300e3;

export function Taxonomy({ ask }) {
  const answer = useReport(ask, 'taxonomy', {}, { keep: SELDOM });
  const keys = (list) => (list.length === 0 ? '–' : html`<span class="keys">${list.slice(0, 6).map((key) => html`<code>${cut(key)}</code>`)}${list.length > 6 && ` and ${list.length - 6} more`}</span>`);
  const column = (title, name) => ({ title, class: 'long', text: (row) => keys(row[name]), value: (row) => row[name].join(' ') });
  const columns = [
    { title: 'Event', class: 'long', text: (row) => cut(row.name, 60), value: (row) => row.name },
    { title: 'State', text: (row) => STATES[row.state] ?? row.state, value: (row) => row.state },
    { title: 'Events', number: true, text: (row) => number(row.rows), value: (row) => row.rows },
    column('Unknown keys', 'undeclared_keys'),
    column('Missing required keys', 'missing_keys'),
    column('Unused keys', 'unused_keys'),
  ];
  const isDrifting = (row) => row.state !== 'active' || row.missing_keys.length > 0 || row.undeclared_keys.length > 0;
  const weight = (row) => ['undeclared', 'active', 'deprecated', 'retired', 'unused'].indexOf(row.state);
  return html`<${Card} id="taxonomy" title="Drift" note="declared event types and logged events, all time">
    <${Body} report=${answer} none="No event types." slow=${html`This report reads every event of the tenant and took too long. In psql: <code>SELECT * FROM eventlog.stat_taxonomy;</code>`}>
      ${(rows) => {
        const states = Object.keys(STATES).map((state) => ({ state, count: rows.filter((row) => row.state === state).length }));
        const drifting = rows.filter(isDrifting).sort((a, b) => weight(a) - weight(b) || (a.name < b.name ? -1 : 1));
        return html`<ul class="states">${states.filter(({ count }) => count > 0).map(({ state, count }) => html`<li data-state=${state} data-value=${count}><strong>${number(count)}</strong> ${STATES[state]}</li>`)}</ul>
          ${drifting.length === 0
            ? html`<p class="none">All events have exactly the keys that their types declare.</p>`
            : html`<${Table} id="taxonomy" search csv caption="Drift of event types" rows=${drifting} columns=${columns} />
              <p class="hint">Declare keys that belong there: <code>SELECT eventlog.define_event('name', optional_keys => '{…}');</code></p>`}`;
      }}
    <//>
  <//>`;
}
