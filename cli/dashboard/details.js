// The dialog with all rows of a breakdown.

import { duration, number, percent } from './format.js';
import { titleOfKey } from './keys.js';
import { ALL, filterOf, useBreakdown } from './cut.js';
import { withFilter } from './filters.js';
import { labelOf, rate } from './series.js';
import { Body, Change, Dialog, Sparkbar, Table, html } from './ui.js';

/** @param {{title: string, keyName: string, filters: object[], onClose: () => void}} props */
export function Details({ ask, span, state, choose, title, keyName, filters, onClose }) {
  const { now, formerOf } = useBreakdown({ ask, span, key: keyName, top: ALL, filters });
  const name = keyName.startsWith('data.') ? `${title}: ${titleOfKey(keyName)}` : title;
  return html`<${Dialog} id="details" title=${name} onClose=${onClose}><${Body} report=${now}>${(rows) => {
    const found = rows.filter((row) => row.events > 0);
    const all = found.reduce((sum, row) => sum + row.events, 0);
    const most = Math.max(1, ...found.filter((row) => !row.is_others).map((row) => row.events));
    const text = (row) => (row.is_others ? 'others' : labelOf(row.breakdown_value));
    const whole = (title_, name) => ({ title: title_, number: true, text: (row) => number(row[name]), value: (row) => row[name] });
    const columns = [
      { title: titleOfKey(keyName), class: 'long', value: (row) => (row.is_others ? 'others' : row.breakdown_value), text: (row) => html`<${Sparkbar} share=${row.is_others ? 0 : row.events / most}>${text(row)}<//>` },
      whole('Events', 'events'),
      { title: 'Share', number: true, text: (row) => percent(row.events / all), value: (row) => Math.round((row.events / all) * 10000) / 10000 },
      ...(keyName === 'actor' ? [] : [whole('People', 'actors')]),
      whole('Errors', 'failures'),
      { title: 'Success', number: true, text: (row) => percent(rate(row)), value: rate },
      { title: 'p95', number: true, csv: 'p95 ms', text: (row) => duration(row.p95_duration), value: (row) => row.p95_duration },
      ...(span.before ? [{
        title: 'Change', number: true, csv: 'events before', value: (row) => (row.is_others ? null : formerOf(row.breakdown_value)),
        text: (row) => (row.is_others || row.breakdown_value === null ? null : html`<${Change} now=${row.events} before=${formerOf(row.breakdown_value)} short />`),
      }] : []),
    ];
    return html`<${Table} id="details" caption=${name} columns=${columns} rows=${found} search csv
      onRow=${(row) => { if (!row.is_others) { onClose(); choose({ filters: withFilter(state.filters, filterOf(keyName, row.breakdown_value)) }); } }} />`;
  }}<//><//>`;
}
