// The quarantine: rejected events with the reason, the payload in a drawer, and a retry for keys that may.

import { Body, Card, Drawer, Table, html, useReport, useState } from './ui.js';
import { NONE, ago, cut, moment, number, plural } from './format.js';
import { Retry } from './quality_retry.js';
import { pretty } from './format_more.js';

const MOST = 100;
/** The quarantine is of no range: what is in it waits. */
const EVER = '1970-01-01';

export function Quarantine({ ask, session, state, again, retried }) {
  const [open, setOpen] = useState(null);
  const [pages, setPages] = useState([]);
  const before = pages.at(-1) ?? null;
  const counts = useReport(ask, 'rejected');
  const answer = useReport(ask, 'get_rejected', { since: EVER, until: null, row_limit: MOST, ...(before ? { before_id: before } : {}) });
  const total = (counts.rows ?? []).reduce((all, row) => all + row.events, 0);
  const time = (at) => html`<time datetime=${at} title=${moment(at)}>${ago(at)}</time>`;
  const reasons = [
    { title: 'Reason', class: 'wide', text: (row) => cut(row.reason, 160), value: (row) => row.reason },
    { title: 'Event', class: 'long', text: (row) => (row.name === null ? NONE : cut(row.name, 60)), value: (row) => row.name },
    { title: 'SQLSTATE', text: (row) => html`<code>${row.sqlstate}</code>`, value: (row) => row.sqlstate },
    { title: 'Events', number: true, text: (row) => number(row.events), value: (row) => row.events },
    { title: 'Last', class: 'when', text: (row) => time(row.last_at), value: (row) => row.last_at },
  ];
  const events = [
    { title: 'Rejected', class: 'when', text: (row) => time(row.created_at), value: (row) => row.created_at },
    {
      title: 'Event',
      class: 'long',
      text: (row) => html`<button type="button" class="link" aria-label=${`Show the rejected event ${row.id}, ${row.name ?? 'without a name'}`} onClick=${() => setOpen(row)}>${row.name === null ? 'No name' : cut(row.name, 60)}</button>`,
      value: (row) => row.name,
    },
    { title: 'SQLSTATE', text: (row) => html`<code>${row.sqlstate}</code>`, value: (row) => row.sqlstate },
    { title: 'Reason', class: 'wide', text: (row) => cut(row.reason, 160), value: (row) => row.reason },
    { title: 'Payload', class: 'payload', text: (row) => (row.data === null ? NONE : html`<code>${cut(row.data, 80)}</code>`), value: (row) => row.data },
  ];
  const names = [...new Set((answer.rows ?? []).filter((row) => row.can_replay && row.name !== null).map(({ name }) => name))].sort();
  const retry = session.can_replay && state.tenant !== 'all' && names.length > 0 && html`<${Retry} names=${names} tenant=${state.tenant} done=${() => { setPages([]); retried(); again(); }} />`;
  return html`<${Card} id="rejected" title="Quarantine" note=${counts.rows ? `${plural(total, 'rejected event')}, all time` : null} actions=${retry}>
    <${Body} report=${counts} none="No event was rejected.">
      ${(rows) => html`<${Table} id="rejected" csv caption="Quarantine: reasons" rows=${rows} columns=${reasons} />
        ${!session.can_replay && html`<p class="hint">Fix the rule or the sender. Then a key made with <code>eventlog key create --kind read --can-replay</code> can retry them here, or the log’s owner in SQL: <code>SELECT eventlog.replay_rejected();</code></p>`}
        <h3>Events</h3>
        <${Body} report=${answer} none="No more.">
          ${(list) => html`<${Table} id="rejected-events" search csv caption="Quarantine: events" rows=${list} columns=${events} />`}
        <//>
        ${(pages.length > 0 || answer.rows?.length === MOST) && html`<div class="actions">
          <button type="button" disabled=${pages.length === 0} onClick=${() => setPages(pages.slice(0, -1))}>Newer</button>
          <button type="button" disabled=${answer.rows?.length !== MOST} onClick=${() => setPages([...pages, answer.rows.at(-1).id])}>Older</button>
        </div>`}`}
    <//>
    ${open && html`<${Rejected} event=${open} onClose=${() => setOpen(null)} />`}
  <//>`;
}

function Rejected({ event, onClose }) {
  const fact = (title, value) => (value === null || value === undefined || value === '' ? null : html`<dt>${title}</dt><dd>${value}</dd>`);
  return html`<${Drawer} id="rejected-event" title=${`Rejected: ${event.name ?? 'no name'}`} onClose=${onClose}>
    <p class="fault">${event.reason}</p>
    ${event.detail && html`<p>${event.detail}</p>`}
    <dl class="facts">
      ${fact('SQLSTATE', html`<code>${event.sqlstate}</code>`)}
      ${fact('Rejected', moment(event.created_at))}
      ${fact('Occurred', event.occurred_at && moment(event.occurred_at))}
      ${fact('Person', event.actor)}
      ${fact('Subject', event.subject)}
      ${fact('Can be retried', event.can_replay ? 'yes' : 'no: the sender may not log it, or it was not stored completely')}
      ${fact('Id', event.id)}
    </dl>
    ${event.data === null
      ? html`<p class="none">The payload was not kept: it is no JSON, or larger than 64 KiB.</p>`
      : html`<pre tabindex="0" aria-label="Payload"><code>${pretty(event.data)}</code></pre>`}
  <//>`;
}
