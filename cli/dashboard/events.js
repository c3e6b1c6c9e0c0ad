// The page Events: a stream, newest first, and everything about one event.

import { EventDrawer } from './event_drawer.js';
import { filterOf } from './cut.js';
import { withFilter } from './filters.js';
import { NONE, lineOf, number, second, weekday } from './format.js';
import { dateOf } from './time_zone.js';
import { Body, Card, html, useEffect, useReport, useRef, useState } from './ui.js';

const PAGE = 100;
/** How many events the page holds at most. */
const MOST = 2000;

function Row({ event, state, choose, onOpen }) {
  const filter = (key, value) => html`<button type="button" class="row-button" title="Filter by this" onClick=${() => choose({ filters: withFilter(state.filters, filterOf(key, value)) })}>${value}</button>`;
  return html`<tr data-id=${event.id}>
    <th scope="row" class="when"><button type="button" class="row-button" title=${weekday(event.created_at)} onClick=${() => onOpen(event)}><time datetime=${event.created_at}>${second(event.created_at)}</time><span class="vh">, open the event ${event.id}</span></button></th>
    <td>${filter('name', event.name)}</td>
    <td>${event.actor ? filter('actor', event.actor) : NONE}</td>
    <td>${event.subject ? filter('subject', event.subject) : NONE}</td>
    <td class="payload"><button type="button" class="row-button" tabindex="-1" onClick=${() => onOpen(event)}><code>${lineOf(event.data)}</code></button></td></tr>`;
}

/** Groups events by the day of the zone. */
function byDay(events, zone) {
  const days = [];
  for (const event of events) {
    const day = dateOf(Date.parse(event.created_at), zone);
    if (days.at(-1)?.day !== day) days.push({ day, events: [] });
    days.at(-1).events.push(event);
  }
  return days;
}

/** @param {{state: import('./state.js').State, choose: Function, ask: Function, session: object}} props */
export function Page(props) {
  const { ask, state, choose, span } = props;
  const [isPaused, setPaused] = useState(false);
  const paused = useRef(null);
  const newest = useReport(isPaused ? paused.current : ask, 'get_events', { row_limit: PAGE });
  const [older, setOlder] = useState({ of: null, rows: [], isEnd: false });
  const [isLoading, setLoading] = useState(false);
  const [opened, setOpened] = useState(null);
  const question = JSON.stringify([state.filters, state.range, state.since, state.until, state.tenant, state.time_zone]);
  const head = useRef({ question: null, rows: [] });
  // What came before stays below what is new, so that older pages remain where they were.
  if (newest.rows && !newest.isOld) {
    const isSame = head.current.question === question;
    const ids = new Set(newest.rows.map(({ id }) => id));
    const kept = isSame && newest.rows.length > 0 ? head.current.rows.filter(({ id, created_at: at }) => !ids.has(id) && at <= newest.rows.at(-1).created_at) : [];
    head.current = { question, rows: [...newest.rows, ...kept].slice(0, MOST), isWhole: newest.rows.length < PAGE };
  }
  useEffect(() => { setOlder({ of: question, rows: [], isEnd: false }); }, [question]);
  const rows = head.current.question === question ? [...head.current.rows, ...(older.of === question ? older.rows : [])] : [];
  const isEnd = older.of === question && older.isEnd;
  const more = async () => {
    const last = rows.at(-1);
    setLoading(true);
    try {
      const found = await ask('get_events', { row_limit: PAGE, before_created_at: last.created_at, before_id: last.id });
      setOlder((known) => ({ of: question, rows: [...(known.of === question ? known.rows : []), ...found], isEnd: found.length < PAGE }));
    } catch { /* The notice at the top says it. */ } finally {
      setLoading(false);
    }
  };
  const pause = () => {
    paused.current = ask;
    setPaused(!isPaused);
  };
  useEffect(() => { if (isPaused) setPaused(false); }, [question]);
  const days = byDay(rows, state.time_zone);
  const tools = html`<button type="button" id="pause" aria-pressed=${isPaused} onClick=${pause}>${isPaused ? 'Go on' : 'Pause'}</button>`;
  return html`<${Card} id="events" title="Events" note=${isPaused ? 'paused' : span.isOpen ? 'newest first, as they come' : 'newest first'} actions=${tools}>
    <${Body} report=${rows.length > 0 ? { rows, isOld: newest.isOld && head.current.question !== question } : newest}>${() => html`
      <div class="stream scroll" tabindex="0" role="region" aria-label="Events, newest first"><table id="table-events"><caption class="vh">Events, newest first</caption>
        <thead><tr><th scope="col">Time</th><th scope="col">Name</th><th scope="col">Person</th><th scope="col">Subject</th><th scope="col">Payload</th></tr></thead>
        ${days.map(({ day, events }) => html`<tbody key=${day}><tr class="day"><th scope="rowgroup" colspan="5">${weekday(day)}</th></tr>
          ${events.map((event) => html`<${Row} key=${event.id} ...${{ event, state, choose }} onOpen=${setOpened} />`)}</tbody>`)}</table></div>
      ${isEnd || (head.current.isWhole && older.rows.length === 0) ? html`<p class="none">No older events in this range. ${number(rows.length)} shown.</p>`
        : html`<div class="actions more-events"><button type="button" id="older" disabled=${isLoading} onClick=${more}>${isLoading ? 'Loading…' : 'Older events'}</button></div>`}`}<//>
    ${opened ? html`<${EventDrawer} ...${props} key=${opened.id} event=${opened} onOpen=${setOpened} onClose=${() => setOpened(null)} />` : null}
  <//>`;
}
