// The page Retention: how many come back, by the day, week or month in which they came first.

import { Body, Card, Segments, html, say, useMemo, useReport } from './ui.js';
import { dayAfter } from './format_more.js';
import { Heatmap, save } from './retention_table.js';
import { asMatrix } from './retention_matrix.js';

const PERIODS = [{ value: 'day', text: 'Day' }, { value: 'week', text: 'Week' }, { value: 'month', text: 'Month' }];
const FORMS = [{ value: 'shares', text: '%' }, { value: 'counts', text: 'People' }];
const ANY = 'Any event';

/** Reads what the address says; what is invalid has the default. */
export function read(view, days) {
  const one = (name) => view[name]?.[0] ?? null;
  return {
    period: PERIODS.some(({ value }) => value === one('period')) ? one('period') : usual(days),
    first: one('first'),
    returning: one('returning'),
    isEver: one('first_in') !== 'range',
    asCounts: one('shown') === 'counts',
  };
}

/** The period that gives a range neither too few nor too many cohorts. */
const usual = (days) => (days <= 14 ? 'day' : days <= 180 ? 'week' : 'month');

export function write({ period, first, returning, isEver, asCounts }, days) {
  return {
    ...(period === usual(days) ? {} : { period: [period] }),
    ...(first ? { first: [first] } : {}),
    ...(returning ? { returning: [returning] } : {}),
    ...(isEver ? {} : { first_in: ['range'] }),
    ...(asCounts ? { shown: ['counts'] } : {}),
  };
}

/** @param {{state: import('./state.js').State, choose: Function, ask: Function, types: object[]}} props */
export function Page({ state, choose, ask, types }) {
  const { days, firstDay, lastDay } = ask.span;
  const chosen = read(state.view, days);
  const { period, first, returning, isEver, asCounts } = chosen;
  const answer = useReport(ask, 'cohort_retention', {
    since: firstDay, until: dayAfter(lastDay), period, first_ever: isEver, ...(first ? { first_name: first } : {}), ...(returning ? { returning_name: returning } : {}),
  }, { every: 30e3 });
  const matrix = useMemo(() => asMatrix(answer.rows ?? []), [answer.rows]);
  const set = (change, text) => {
    if (text) say(text);
    choose({ view: write({ ...chosen, ...change }, days) });
  };
  const listed = [...new Set([...types.filter(({ status }) => status !== 'retired').map(({ name }) => name), ...[first, returning].filter(Boolean)])].sort();
  const name = (id, label, value, change) => html`<span class="choice">
    <label for=${id}>${label}</label>
    <select id=${id} onChange=${({ target }) => change(target.value === '' ? null : target.value)}>
      <option value="" selected=${!value}>${ANY}</option>
      ${listed.map((one) => html`<option value=${one} selected=${one === value}>${one}</option>`)}
    </select>
  </span>`;

  const actions = matrix.cohorts.length > 0 && html`<button type="button" class="csv" onClick=${() => save(answer.rows)}>CSV</button>`;

  return html`<${Card} id="retention" title="Retention" actions=${actions}>
    <div class="choices">
      <${Segments} label="Period" options=${PERIODS} value=${period} onChoose=${(value) => set({ period: value }, `Retention by ${value}.`)} />
      ${name('retention-first', 'First event', first, (value) => set({ first: value }))}
      ${name('retention-returning', 'Comes back with', returning, (value) => set({ returning: value }))}
      <span class="choice">
        <label for="retention-ever">A person is new</label>
        <select id="retention-ever" onChange=${({ target }) => set({ isEver: target.value === 'ever' })}>
          <option value="ever" selected=${isEver}>the first time ever</option>
          <option value="range" selected=${!isEver}>the first time in this range</option>
        </select>
      </span>
      <${Segments} label="Shown as" options=${FORMS} value=${asCounts ? 'counts' : 'shares'} onChoose=${(value) => set({ asCounts: value === 'counts' })} />
    </div>
    <${Body} report=${answer} isEmpty=${() => matrix.cohorts.length === 0}
        none=${`Nobody came for the first time in this range${isEver ? ': choose a longer one, or “the first time in this range”' : ''}.`}>
      ${() => html`<${Heatmap} matrix=${matrix} period=${period} asCounts=${asCounts} />`}
    <//>
  <//>`;
}
