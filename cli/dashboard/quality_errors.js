// Errors by type, with the last message; a row opens the last event.

import { Body, Card, Table, html, useReport, useState } from './ui.js';
import { seesPeople } from './people.js';
import { EventById } from './quality_event.js';
import { NONE, ago, cut, moment, number } from './format.js';

const MOST = 100;

export function Errors(props) {
  const { ask, session } = props;
  const [open, setOpen] = useState(null);
  const answer = useReport(ask, 'recent_errors', { row_limit: MOST });
  const opens = seesPeople(session);
  const figure = (title, name) => ({ title, number: true, text: (row) => number(row[name]), value: (row) => row[name] });
  const code = (text, most) => (text === null || text === undefined || text === '' ? NONE : html`<code title=${text.length > most ? text : null}>${cut(text, most)}</code>`);
  const columns = [
    {
      title: 'Type',
      class: 'long',
      text: (row) => (opens
        ? html`<button type="button" class="link" aria-label=${`Show the last event of ${row.error_type || 'no type'} in ${row.name}`} onClick=${() => setOpen(row)}>${row.error_type ? cut(row.error_type, 80) : 'No type'}</button>`
        : code(row.error_type, 80)),
      value: (row) => row.error_type,
    },
    { title: 'Event', text: (row) => row.name, value: (row) => row.name },
    figure('Events', 'events'),
    figure('People', 'actors'),
    { title: 'Last message', class: 'wide', text: (row) => code(row.last_message, 160), value: (row) => row.last_message ?? null },
    { title: 'Last subject', class: 'long', text: (row) => code(row.last_subject, 80), value: (row) => row.last_subject },
    { title: 'Last', class: 'when', text: (row) => html`<time datetime=${row.last_at} title=${moment(row.last_at)}>${ago(row.last_at)}</time>`, value: (row) => row.last_at },
  ];
  return html`<${Card} id="errors" title="Errors by type" note="latest first">
    <${Body} report=${answer} none="No event in this range failed.">
      ${(rows) => html`<${Table} id="errors" search csv caption="Failed events by type of error and event" rows=${rows} columns=${columns} />`}
    <//>
    ${open && html`<${EventById} ...${props} id=${open.last_id} at=${open.last_at} onClose=${() => setOpen(null)} />`}
  <//>`;
}
