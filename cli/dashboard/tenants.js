// The page Tenants: which of them grow, largest change first. A click opens one.

import { ago, number, percent } from './format.js';
import { Body, Card, Change, Sparkbar, Table, html, useReport } from './ui.js';

const MOST = 1000;

/** @param {{state: import('./state.js').State, choose: Function, ask: Function, session: object}} props */
export function Page({ ask, choose }) {
  const report = useReport(ask, 'tenants_overview', { tenant: 'all', row_limit: MOST });
  const open = (row) => choose({ tenant: row.tenant_id, page: 'overview', filters: [] });
  const nameOf = (row) => row.display_name || row.tenant_id;
  return html`<${Card} id="tenants" title="Tenants" note="largest change first"
      actions=${html`<button type="button" id="all-tenants" onClick=${() => choose({ tenant: 'all', page: 'overview', filters: [] })}>All tenants together</button>`}>
    <${Body} report=${report} none="No tenant has events in this range or the one before.">${(rows) => {
      const most = Math.max(1, ...rows.map((row) => row.events));
      const whole = (title, name) => ({ title, number: true, csv: name, text: (row) => number(row[name]), value: (row) => row[name] });
      return html`<${Table} id="tenants" caption="Tenants by change" search=${rows.length > 5} csv onRow=${open} rows=${rows.map((row) => ({ ...row, key: row.tenant_id }))} columns=${[
        { title: 'Tenant', class: 'long', csv: 'tenant', value: nameOf, text: (row) => html`<${Sparkbar} share=${row.events / most}>${nameOf(row)}<//>` },
        whole('Events', 'events'),
        { title: 'Before', number: true, csv: 'previous_events', text: (row) => number(row.previous_events), value: (row) => row.previous_events },
        { title: 'Change', number: true, csv: 'growth', value: (row) => row.growth, text: (row) => html`<${Change} now=${row.events} before=${row.previous_events} short />` },
        whole('People', 'actors'),
        whole('Errors', 'failures'),
        { title: 'Error rate', number: true, csv: 'failure_rate', text: (row) => percent(row.failure_rate), value: (row) => row.failure_rate },
        { title: 'Last event', class: 'when', csv: 'last_event_at', value: (row) => row.last_event_at, text: (row) => (row.last_event_at ? html`<time datetime=${row.last_event_at}>${ago(row.last_event_at)}</time>` : '–') },
      ]} />`;
    }}<//><//>`;
}
