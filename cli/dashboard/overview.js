// The page Overview: the figures of the range, one of them over time, and by name, subject, property and person.

import { BreakdownPanels } from './breakdown.js';
import { TimePanel } from './time_panel.js';
import { rate, METRICS } from './series.js';
import { Body, Change, html, useReport } from './ui.js';

function valuesOf(row) {
  if (!row) return null;
  return { events: row.events, people: row.actors, success: rate(row), errors: row.failures, p95: row.p95_duration };
}

function Cards({ state, choose, now, before }) {
  return html`<${Body} report=${now}>${([row]) => {
    const values = valuesOf(row);
    const former = before.rows ? valuesOf(before.rows[0]) : null;
    return html`<div class="cards" role="group" aria-label="Figures of the range; the chosen one is in the chart">${Object.entries(METRICS).map(([metric, about]) => html`
      <button type="button" class="card" key=${metric} id="card-${metric}" aria-pressed=${state.metric === metric} data-value=${values[metric] ?? ''}
        onClick=${() => choose({ metric })}>
        <span class="card-title">${about.title}</span>
        <span class="value">${about.write(values[metric])}</span>
        ${state.compare === 'none' ? null : html`<${Change} now=${values[metric]} before=${former ? former[metric] : undefined} isRate=${about.isRate} isBad=${about.isBad} />`}
      </button>`)}</div>`;
  }}<//>`;
}

/** @param {{state: import('./state.js').State, choose: Function, ask: Function, session: object, types: object[]}} props */
export function Page(props) {
  const { ask, span, state, choose } = props;
  const now = useReport(ask, 'summary');
  const before = useReport(ask, span.before ? 'summary' : null, span.before ?? {}, { every: 60e3 });
  const isEmpty = now.rows && !now.isOld && now.rows[0]?.events === 0;
  const isFiltered = state.filters.length > 0;
  const isLong = state.range === '90d' || state.range === 'year';
  return html`${isEmpty ? html`<div class="notice" id="empty">
      <p><strong>${isFiltered ? 'No events match these filters in this range.' : 'No events in this range.'}</strong></p>
      <div class="actions">${isFiltered ? html`<button type="button" onClick=${() => choose({ filters: [] })}>Remove the filters</button>` : null}
        ${isLong ? null : html`<button type="button" onClick=${() => choose({ range: '90d', since: null, until: null, unit: null })}>Show 90 days</button>`}</div>
    </div>` : null}
    <section class="panel figures" aria-label="Figures over time"><${Cards} ...${props} now=${now} before=${before} /><${TimePanel} ...${props} /></section>
    <${BreakdownPanels} ...${props} />`;
}
