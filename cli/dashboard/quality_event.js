// One event in a drawer, found by its id.

import { Body, Drawer, html, useReport } from './ui.js';
import { pretty } from './format_more.js';
import { moment } from './format.js';

export function EventDrawer({ title, ask, id, at, choose, state, onClose }) {
  // Its time says in which partition it is.
  const around = (change) => new Date(Date.parse(at) + change).toISOString();
  const answer = useReport(ask, 'get_events', { ids: [id], since: around(-1000), until: around(1000) });
  return html`<${Drawer} id="event" title=${title} onClose=${onClose}>
    <${Body} report=${answer} none="The log does not have this event any more.">
      ${([event]) => html`<${Event} event=${event} choose=${choose} state=${state} />`}
    <//>
  <//>`;
}

function Event({ event, choose, state }) {
  const only = (key, value) => choose({ page: 'events', view: {}, filters: [...state.filters.filter((filter) => filter.key !== key), { key, operator: 'is', value: [value] }] });
  return html`
    <dl class="facts">
      <dt>Event</dt><dd>${event.name}</dd>
      <dt>Time</dt><dd><time datetime=${event.created_at}>${moment(event.created_at)}</time></dd>
      ${event.actor && html`<dt>Person</dt><dd><button type="button" class="link" onClick=${() => only('actor', event.actor)}>${event.actor}</button></dd>`}
      ${event.subject && html`<dt>Subject</dt><dd><button type="button" class="link" onClick=${() => only('subject', event.subject)}>${event.subject}</button></dd>`}
      <dt>Id</dt><dd>${event.id}</dd>
    </dl>
    <pre tabindex="0" aria-label="Payload"><code>${pretty(event.data)}</code></pre>`;
}
