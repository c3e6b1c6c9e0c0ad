// Who reached a step of a funnel and no further, or went all the way, with a way to their events.

import { Body, Drawer, Table, html, useReport } from './ui.js';
import { filterOf } from './cut.js';
import { withFilter } from './filters.js';
import * as funnel from './funnel_definition.js';
import { ago, moment } from './format.js';

const MOST = 200;
const UUID = 36;

export function DropOuts({ definition, step, ask, choose, state, onClose }) {
  const { breakdown, top, ...asked } = funnel.argumentsOf({ ...definition, split: null });
  const answer = useReport(ask, 'funnel_dropouts', { ...asked, step, row_limit: MOST });
  const events = (who) => {
    // Among all tenants, somebody is known by the tenant and an id.
    const [tenant, id] = state.tenant === 'all' ? [who.slice(0, UUID), who.slice(UUID + 1)] : [state.tenant, who];
    choose({ page: 'events', view: {}, tenant, filters: withFilter(state.filters, filterOf(definition.by, id)) });
  };
  const [name, next] = [definition.steps[step - 1], definition.steps[step]];
  const title = next ? `Dropped out after ${name}` : 'Went all the way';
  const within = funnel.WINDOWS[definition.within][1];
  const columns = [
    {
      title: definition.by === 'actor' ? 'Person' : definition.by,
      class: 'long',
      text: (row) => html`<button type="button" class="link" title="Show the events" onClick=${() => events(row.who)}>${row.who}</button>`,
      value: (row) => row.who,
    },
    { title: 'Last event', text: (row) => row.last_name, value: (row) => row.last_name },
    { title: 'When', class: 'when', text: (row) => html`<time datetime=${row.last_at} title=${moment(row.last_at)}>${ago(row.last_at)}</time>`, value: (row) => row.last_at },
  ];
  return html`<${Drawer} id="dropouts" title=${title} onClose=${onClose}>
    <p class="muted">Reached step ${step}, <code>${name}</code>${next ? html`, but not <code>${next}</code>` : ''} within ${within}; latest first.</p>
    <${Body} report=${answer} none="Nobody.">
      ${(rows) => html`<${Table} id="dropouts" search csv caption=${title} rows=${rows} columns=${columns} />
        ${rows.length === MOST && html`<p class="hint">The latest ${MOST}.</p>`}`}
    <//>
  <//>`;
}
