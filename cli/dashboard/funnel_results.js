// The figures of a funnel as a table.

import { Table, html } from './ui.js';
import { whoOf } from './funnel_definition.js';
import { number, percent, span } from './format.js';
import { valueOf } from './funnel_steps.js';

export function Results({ definition, rows }) {
  const { split, by } = definition;
  const figure = (title, name, text) => ({ title, number: true, text: (row) => text(row[name]), value: (row) => row[name] });
  const who = whoOf(by);
  const columns = [
    { title: 'Step', class: 'long', text: (row) => row.name, value: (row) => row.name },
    ...(split ? [{ title: split, class: 'long', text: valueOf, value: (row) => (row.is_others ? '(others)' : row.breakdown_value) }] : []),
    figure(`${who.charAt(0).toUpperCase()}${who.slice(1)}`, 'reached', number),
    figure('Of first', 'conversion', percent),
    figure('Of previous', 'conversion_from_previous', percent),
    figure('Median time', 'median_seconds', span),
  ];
  return html`<details class="more"><summary>Table</summary>
    <${Table} id="funnel" csv caption=${`Funnel: ${who} who reached each step`} rows=${rows} columns=${columns} />
  </details>`;
}
