// The panels that cut the events: by name or domain, subject, property, and person.

import { ALL, filterOf, useBreakdown } from './cut.js';
import { Details } from './details.js';
import { keysOf, payloadKeysOf, titleOfKey } from './keys.js';
import { seesPeople } from './people.js';
import { withFilter } from './filters.js';
import { NONE, cut, number, percent } from './format.js';
import { labelOf } from './series.js';
import { Body, Card, Change, Menu, Options, Segments, Sparkbar, html, useReport, useState } from './ui.js';

const SHOWN = 8;
const NO_FILTERS = [];

/** True if the filters have exactly this one. */
const has = (filters, wanted) => filters.some((filter) => JSON.stringify(filter) === JSON.stringify(wanted));

/** Returns the filters with one more, or without it if it is there. */
const toggled = (filters, wanted) => (has(filters, wanted)
  ? filters.filter((filter) => JSON.stringify(filter) !== JSON.stringify(wanted)) : withFilter(filters, wanted));

/** Sums rows of names by the domains of their types. */
function domainsOf(rows, types, formerOf) {
  const domains = new Map(types.map(({ name, domain }) => [name, domain]));
  const sums = new Map();
  for (const row of rows) {
    const domain = row.is_others ? 'others' : domains.get(row.breakdown_value) ?? 'undeclared';
    const sum = sums.get(domain) ?? { breakdown_value: domain, names: [], events: 0, former: 0, is_others: row.is_others };
    sum.events += row.events;
    sum.former += formerOf(row.breakdown_value) ?? NaN;
    sum.names.push(row.breakdown_value);
    sums.set(domain, sum);
  }
  return [...sums.values()].sort((a, b) => b.events - a.events);
}

function Rows({ rows, all, keyName, filters, choose, formerOf, filterFor }) {
  const isRest = (row) => Boolean(row.is_others) || row.breakdown_value === null;
  const most = Math.max(1, ...rows.filter((row) => !isRest(row)).map((row) => row.events));
  return html`<ul class="rows">${[...rows].sort((a, b) => isRest(a) - isRest(b)).map((row) => {
    const value = row.breakdown_value;
    const filter = row.is_others ? null : filterFor(row);
    const text = row.is_others ? 'others' : labelOf(value);
    const former = row.is_others ? undefined : formerOf(value, row);
    return html`<li key=${row.is_others ? '\u0000others' : String(value)} class="row ${isRest(row) ? 'is-rest' : ''}" data-row=${row.is_others ? 'others' : value ?? ''} data-value=${row.events}>
      <${Sparkbar} share=${isRest(row) ? 0 : row.events / most}>${filter
        ? html`<button type="button" class="row-button" aria-pressed=${has(filters, filter)} title=${text} onClick=${() => choose({ filters: toggled(filters, filter) })}>${cut(text, 60)}</button>`
        : text}<//>
      <span class="number">${number(row.events)}</span>
      <span class="number share">${all > 0 ? percent(row.events / all) : NONE}</span>
      <span class="number change">${former === undefined ? null : html`<${Change} now=${row.events} before=${former} short />`}</span></li>`;
  })}</ul>`;
}

function Breakdown({ id, title, note, keyName, head, filters: own = [], none, isDomains = false, ...props }) {
  const { ask, span, state, choose, types } = props;
  const [isOpen, setOpen] = useState(false);
  const { now, formerOf } = useBreakdown({ ask, span, key: keyName, top: isDomains || keyName === 'name' ? ALL : SHOWN, filters: own });
  const more = keyName ? html`<button type="button" class="quiet" aria-label="Details of ${title.toLowerCase?.() ?? id}" onClick=${() => setOpen(true)}>Details</button>` : null;
  return html`<${Card} id=${id} title=${title} note=${note} actions=${html`${head}${more}`}>
    ${keyName ? html`<${Body} report=${now} none=${none} isEmpty=${(rows) => !rows.some((row) => row.breakdown_value !== null && row.events > 0)}>${(rows) => {
      const found = rows.filter((row) => row.events > 0);
      const all = found.reduce((sum, row) => sum + row.events, 0);
      if (isDomains) {
        const domains = domainsOf(found, types, formerOf);
        return html`<${Rows} ...${{ rows: domains, all, filters: state.filters, choose }} formerOf=${(_, row) => (Number.isNaN(row.former) ? undefined : row.former)}
          filterFor=${(row) => (row.names.length <= 100 ? { key: 'name', operator: 'is', value: [...row.names].sort() } : null)} />`;
      }
      const shown = found.length > SHOWN + 1 && keyName === 'name' ? folded(found) : found;
      return html`<${Rows} ...${{ rows: shown, all, filters: state.filters, choose, formerOf }} filterFor=${(row) => filterOf(keyName, row.breakdown_value)} />`;
    }}<//>` : html`<p class="none">${none}</p>`}
    ${isOpen ? html`<${Details} ...${props} title=${title} keyName=${keyName} filters=${own} onClose=${() => setOpen(false)} />` : null}
  <//>`;
}

/** Sums what does not fit. */
function folded(rows) {
  const rest = rows.slice(SHOWN);
  return [...rows.slice(0, SHOWN), { breakdown_value: null, is_others: true, events: rest.reduce((sum, row) => sum + row.events, 0) }];
}

function Names(props) {
  const [by, setBy] = useState('names');
  const head = html`<${Segments} label="Show" options=${[{ value: 'names', text: 'Names' }, { value: 'domains', text: 'Domains' }]} value=${by} onChoose=${setBy} />`;
  return html`<${Breakdown} ...${props} id="names" title=${by === 'names' ? 'Names' : 'Domains'} keyName="name" isDomains=${by === 'domains'} head=${head} />`;
}

function Subjects(props) {
  const { types, state, choose } = props;
  const [name] = state.view.subjects_of ?? [];
  const options = [{ value: null, text: 'All names' }, ...types.filter(({ status }) => status !== 'retired').map((type) => ({ value: type.name, text: type.name }))];
  const head = html`<${Menu} id="subjects-of" align="right" label=${name ? cut(name, 20) : 'All names'} title="Subjects of">${(close) =>
    html`<${Options} options=${options} value=${name ?? null} search="Find a name" onChoose=${(chosen) => { close(); choose({ view: { ...state.view, subjects_of: chosen ? [chosen] : [] } }); }} />`}<//>`;
  return html`<${Breakdown} ...${props} id="subjects" title="Subjects" keyName="subject" head=${head} filters=${name ? [filterOf('name', name)] : []}
    none="No event in this range has a subject, such as a skill or a tool." />`;
}

function Properties(props) {
  const { types, state, choose, session, ask } = props;
  const [chosen] = state.view.property ?? [];
  // The question of the panel of names, which is asked once.
  const names = useReport(ask, chosen ? null : 'summary', { breakdown: 'name', top: ALL, filters: NO_FILTERS }, { every: 20e3 });
  const counts = new Map((names.rows ?? []).map((row) => [row.breakdown_value, row.events]));
  const isKnown = Boolean(chosen) || (types.length > 0 && Boolean(names.rows));
  const keyName = chosen ?? (isKnown ? payloadKeysOf(types, counts)[0] ?? null : null);
  const options = keysOf(types, session).filter((key) => key.startsWith('data.')).map((key) => ({ value: key, text: titleOfKey(key) }));
  const head = html`<${Menu} id="property" align="right" label=${keyName ? cut(titleOfKey(keyName), 22) : 'Choose'} title="Property">${(close) =>
    html`<${Options} options=${options} value=${keyName} search="Find a property" onChoose=${(key) => { close(); choose({ view: { ...state.view, property: [key] } }); }} />`}<//>`;
  return html`<${Breakdown} ...${props} id="properties" title="Properties" keyName=${keyName} head=${head}
    none=${keyName ? `No event in this range has ${titleOfKey(keyName)}.` : isKnown ? 'No event type declares a key.' : 'Loading…'} />`;
}

/** All panels. */
export function BreakdownPanels(props) {
  return html`<div class="panels"><${Names} ...${props} /><${Subjects} ...${props} /><${Properties} ...${props} />
    ${seesPeople(props.session) ? html`<${Breakdown} ...${props} id="people" title="People" keyName="actor" none="No event in this range has an actor." />` : null}</div>`;
}
