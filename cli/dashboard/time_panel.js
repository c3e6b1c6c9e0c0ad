// The chart of the overview: the chosen figure over time, split or not, with the previous period.

import { Legend, TimeChart, useLibrary } from './charts.js';
import { coloursOf } from './colours.js';
import { keysOf, titleOfKey } from './keys.js';
import { withFilter } from './filters.js';
import { METRICS, OTHERS, byPoint, labelOf, labelsOf, pointsOf, questionOf, titleOf, valuesOf } from './series.js';
import * as format from './format.js';
import { dateOf } from './time_zone.js';
import { Body, Menu, Options, Segments, Table, csvOf, download, html, useReport, useState } from './ui.js';

const UNIT_NAMES = { hour: 'Hour', day: 'Day', week: 'Week', month: 'Month' };
const SERIES = 7;

/** Writes a change in words: `+3 %`. */
function changeText(now, before, isRate) {
  if (now === null || before === null || (!isRate && before === 0)) return '';
  const change = isRate ? (now - before) * 100 : (now / before - 1) * 100;
  return ` (${change > 0 ? '+' : change < 0 ? '−' : '±'}${Math.round(Math.abs(change))}${isRate ? ' pt' : '%'})`;
}

/** Puts the rows of reports together for the chart and its table. */
function figuresOf({ state, span, rows, formerRows }) {
  const metric = METRICS[state.metric];
  const zone = state.time_zone;
  const points = pointsOf(span, span.unit, zone);
  const found = byPoint(points, rows);
  const values = state.split ? valuesOf(rows) : [null];
  const colours = coloursOf(values.filter((value) => value !== OTHERS));
  const zero = metric.isSum || state.metric === 'people' ? 0 : null;
  const valueAt = (row) => (row ? metric.of(row) : zero);
  const series = values.map((value) => ({
    value,
    isOthers: value === OTHERS,
    label: state.split ? labelOf(value) : metric.title,
    colour: value === OTHERS ? 'others' : state.split ? colours.get(value) : 'series-0',
    values: points.map((_, n) => valueAt(found[n].get(value))),
  }));
  let before = null;
  let formerPoints = [];
  if (span.before && formerRows) {
    formerPoints = pointsOf(span.before, span.unit, zone);
    const former = byPoint(formerPoints, formerRows);
    before = points.map((_, n) => (formerPoints[n] ? valueAt(former[n].get(null)) : null));
  }
  return { metric, points, found, series, before, formerPoints };
}

function tipOf({ state, span }, { metric, points, found, series, before, formerPoints }) {
  const all = metric.isSum ? series.reduce((sum, one) => sum + one.values.reduce((total, value) => total + (value ?? 0), 0), 0) : 0;
  const noun = (value) => (metric.noun ? format.plural(value ?? 0, metric.noun, metric.nouns) : `${metric.title} ${metric.write(value)}`);
  return (n, position = null) => {
    const point = points[n];
    const title = `${titleOf(point, span.unit)}${point.isOpen ? ', so far' : point.isCut ? ', in part' : ''}`;
    if (position !== null) return { title, lines: ` ${series[position].label}: ${metric.write(series[position].values[n])}` };
    const value = state.split && metric.isSum ? series.reduce((sum, one) => sum + (one.values[n] ?? 0), 0) : state.split ? null : series[0]?.values[n];
    const lines = [];
    if (!state.split || metric.isSum) lines.push(`${noun(value)}${all > 0 ? `, ${format.percent(value / all)} of the range` : ''}`);
    if (before && formerPoints[n]) {
      lines.push(`${metric.write(before[n])} before, ${titleOf(formerPoints[n], span.unit)}${state.split ? '' : changeText(value, before[n], metric.isRate)}`);
    }
    const row = found[n].get(null);
    if (!state.split && row && state.metric !== 'errors') lines.push(format.plural(row.failures, 'error'));
    if (!state.split && row && state.metric === 'errors') lines.push(`of ${format.plural(row.events, 'event')}`);
    return { title, lines };
  };
}

function SplitMenu({ state, choose, types, session }) {
  const options = [{ value: null, text: 'Not split' }, ...keysOf(types, session).map((key) => ({ value: key, text: titleOfKey(key) }))];
  return html`<${Menu} id="split" align="right" label=${state.split ? `Split by ${titleOfKey(state.split)}` : 'Split by'} title="Split the chart">${(close) =>
    html`<${Options} options=${options} value=${state.split} search="Find a property" onChoose=${(split) => { close(); choose({ split }); }} />`}<//>`;
}

function Chart(props) {
  const { state, span, choose, figures } = props;
  const { metric, points, series, before } = figures;
  const isLibrary = useLibrary();
  const tip = tipOf(props, figures);
  const goTo = (first, last) => {
    const [from, to] = [points[first], points[last]];
    if (span.unit === 'hour') choose({ range: 'custom', since: new Date(from.start).toISOString(), until: new Date(to.end).toISOString(), unit: null });
    // A unit ends with the start of a day: a moment before is in its last day.
    else choose({ range: 'custom', since: from.at, until: dateOf(to.end - 1, state.time_zone), unit: null });
  };
  const pick = (n) => { if (points.length > 1) goTo(n, n); };
  const isLines = Boolean(state.split) && !metric.isSum;
  const columns = [
    { title: UNIT_NAMES[span.unit], text: (n) => titleOf(points[n], span.unit), value: (n) => points[n].at },
    ...series.map((one) => ({ title: one.label, number: true, text: (n) => metric.write(one.values[n]), value: (n) => one.values[n] })),
    ...(before ? [{ title: 'Before', number: true, text: (n) => metric.write(before[n]), value: (n) => before[n] }] : []),
  ];
  const isTable = props.isTable || isLibrary === false;
  const about = { id: 'time', caption: `${metric.title} by ${span.unit}${state.split ? ` and ${titleOfKey(state.split)}` : ''}`, columns, rows: points.map((_, n) => n) };
  return html`${state.split || before ? html`<${Legend} series=${state.split ? series : []} hasBefore=${Boolean(before) && !isTable}
      onPick=${(value) => choose({ filters: withFilter(state.filters, value === null ? { key: state.split, operator: 'absent', value: null } : { key: state.split, operator: 'is', value: [value] }) })} />` : null}
    ${isLibrary === false ? html`<p class="notice" id="no-charts">This program was built without its charts: run <code>make dashboard</code> and build it again.</p>` : null}
    ${isLibrary && !isTable ? html`<${TimeChart} name=${about.caption} labels=${labelsOf(points, span.unit, span.days)} series=${series} before=${before}
        hatched=${new Set(points.flatMap((point, n) => (point.isOpen || point.isCut ? [n] : [])))} isStacked=${Boolean(state.split) && metric.isSum} isLines=${isLines}
        format=${metric.scale} most=${metric.most} tip=${tip} onPick=${pick} onZoom=${goTo} />` : null}
    ${isLibrary === null ? html`<div class="canvas"></div>` : null}
    <${Table} ...${about} hidden=${!isTable} onRow=${isTable && points.length > 1 ? pick : undefined} />`;
}

/** The chart with its choices. */
export function TimePanel(props) {
  const { state, span, choose, ask } = props;
  const [isTable, setTable] = useState(false);
  const now = useReport(ask, ...questionOf(span.unit, state.split, SERIES));
  const [report, about] = questionOf(span.unit, null);
  const former = useReport(ask, span.before ? report : null, { ...about, ...span.before }, { every: 60e3 });
  const units = span.units.map((unit) => ({ value: unit, text: UNIT_NAMES[unit] }));
  const figures = now.rows ? figuresOf({ state, span, rows: now.rows, formerRows: former.rows }) : null;
  const name = `${state.metric}-by-${span.unit}`;
  const saveCsv = () => {
    const { points, series, before, metric } = figures;
    const columns = [
      { title: span.unit, text: (n) => points[n].at },
      ...series.map((one) => ({ title: state.split ? one.label : state.metric, text: (n) => one.values[n] })),
      ...(before ? [{ title: `${metric.title} before`, text: (n) => before[n] }] : []),
    ];
    download(`${name}.csv`, csvOf(columns, points.map((_, n) => n)));
  };
  const savePicture = () => document.querySelector('#panel-time canvas')?.toBlob((picture) => download(`${name}.png`, picture, 'image/png'));
  return html`<div id="panel-time" class="time-panel"><div class="head">
      <${Segments} label="By" options=${units} value=${span.unit} onChoose=${(unit) => choose({ unit })} />
      <div class="tools"><${SplitMenu} ...${props} />
        <button type="button" id="time-table" aria-pressed=${isTable} onClick=${() => setTable(!isTable)}>Table</button>
        <${Menu} id="time-save" align="right" label=${html`<span class="vh">Save the chart</span><span aria-hidden="true">⋮</span>`} title="Save the chart">${(close) => html`
          <button type="button" class="option" id="save-csv" onClick=${() => { saveCsv(); close(); }}>CSV</button>
          <button type="button" class="option" onClick=${() => { savePicture(); close(); }}>Picture (PNG)</button>`}<//></div></div>
    <${Body} report=${now} isEmpty=${() => false}>${() => html`<${Chart} ...${props} figures=${figures} isTable=${isTable} />`}<//></div>`;
}
