// The drawer with one event, and what its person did around it.

import { filterOf } from './cut.js';
import { withFilter } from './filters.js';
import { NONE, date, lineOf, second } from './format.js';
import { Body, Copyable, Drawer, html, useReport, useState } from './ui.js';

const AROUND = 25;

const time = (at) => html`<time datetime=${at}>${date(at)}, ${second(at)}</time>`;

/** What this event's person did around it. */
function Timeline({ ask, event, onOpen }) {
  const at = Date.parse(event.created_at);
  // A day after it, and everything before it that the log still has.
  const until = new Date(at + 86400e3).toISOString();
  const report = useReport(ask, 'get_events', { only: [filterOf('actor', event.actor)], since: new Date(at - 30 * 86400e3).toISOString(), until, row_limit: AROUND });
  return html`<${Body} report=${report}>${(rows) => html`<ol class="timeline">${rows.map((row) => html`<li key=${row.id} aria-current=${row.id === event.id ? 'true' : undefined}>
    <span class="when">${time(row.created_at)}</span>
    <button type="button" class="row-button" onClick=${() => onOpen(row)}><strong>${row.name}</strong> <code>${lineOf(row.data).slice(0, 120)}</code></button></li>`)}</ol>`}<//>`;
}

/** @param {{event: object, onOpen: (event: object) => void, onClose: () => void}} props */
export function EventDrawer(props) {
  const { event, state, choose, onClose } = props;
  const [isTimeline, setTimeline] = useState(false);
  const filter = (key, value) => {
    onClose();
    choose({ filters: withFilter(state.filters, filterOf(key, value)) });
  };
  const linked = (key, value) => (value ? html`<button type="button" class="link" title="Filter by this" onClick=${() => filter(key, value)}>${value}</button>` : NONE);
  return html`<${Drawer} id="event" title=${event.name} onClose=${onClose}>
    <dl class="facts">
      <dt>Id</dt><dd><code>${event.id}</code></dd>
      <dt>Person</dt><dd>${linked('actor', event.actor)}</dd>
      <dt>Subject</dt><dd>${linked('subject', event.subject)}</dd>
      <dt>Happened</dt><dd>${time(event.occurred_at ?? event.created_at)}</dd>
      <dt>Logged</dt><dd>${time(event.created_at)}</dd>
      ${(event.weight ?? 1) !== 1 ? html`<dt>Weight</dt><dd>${event.weight} (sampled)</dd>` : null}
      ${Object.entries(event.data ?? {}).map(([key, value]) => html`<dt key=${key}><code>${key}</code></dt><dd key=${`${key} value`}>${value !== null && typeof value === 'object'
        ? html`<code>${JSON.stringify(value)}</code>` : html`<button type="button" class="link" title="Filter by this" onClick=${() => filter(`data.${key}`, value === null ? null : String(value))}>${String(value)}</button>`}</dd>`)}
    </dl>
    <h3>As JSON</h3>
    <${Copyable} text=${JSON.stringify(event, null, 2)} />
    ${event.actor ? html`<div class="actions"><button type="button" id="person" aria-expanded=${isTimeline} onClick=${() => setTimeline(!isTimeline)}>This person’s events</button>
      <button type="button" class="quiet" onClick=${() => filter('actor', event.actor)}>Filter by this person</button></div>
      ${isTimeline ? html`<${Timeline} ...${props} />` : null}` : null}
  <//>`;
}
