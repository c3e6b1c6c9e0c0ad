// The matrix of a retention report: a table whose cells are coloured by their share.

import { csvOf, download, html, useEffect, useRef, useState } from './ui.js';
import { day, number, plural } from './format.js';
import { rounded } from './retention_matrix.js';

/** The columns of the download, which has a row for each cohort and period. */
const COLUMNS = ['cohort', 'actors', 'period_number', 'returned', 'share', 'is_complete', 'is_sampled']
  .map((name) => ({ title: name, value: (row) => row[name] }));

/** Downloads the report. */
export const save = (rows) => download('retention.csv', csvOf(COLUMNS, rows));

export function Heatmap({ matrix, period, asCounts }) {
  const { width, cohorts, average, actors } = matrix;
  const titles = Array.from({ length: width }, (_, n) => (n === 0 ? `Same ${period}` : `+${n}`));
  const isSampled = cohorts.some(({ periods }) => periods.some((row) => row?.is_sampled));
  const hasUnfinished = cohorts.some(({ periods }) => periods.some((row) => row && !row.is_complete));
  return html`
    <${Scrolling} label="Retention by cohort">
      <table id="table-retention" class="heatmap">
        <caption class="vh">Of the people who came first in a ${period}: how many came back in each later ${period}</caption>
        <thead><tr>
          <th scope="col">First ${period}</th>
          <th scope="col" class="number">People</th>
          ${titles.map((title, n) => html`<th scope="col" class="heat">${title}${n > 0 && html`<span class="vh"> ${n === 1 ? period : `${period}s`}</span>`}</th>`)}
        </tr></thead>
        <tbody>
          <tr class="average">
            <th scope="row" data-value="average">Average</th>
            <td class="number" data-value=${actors}>${number(actors)}</td>
            ${average.map((found) => html`<${Cell} found=${found} asCounts=${asCounts} isAverage=${true} period=${period} />`)}
          </tr>
          ${cohorts.map((cohort) => html`<tr key=${cohort.cohort}>
            <th scope="row" data-value=${cohort.cohort}>${day(cohort.cohort)}</th>
            <td class="number" data-value=${cohort.actors}>${number(cohort.actors)}</td>
            ${titles.map((_, n) => html`<${Cell} found=${cohort.periods[n]} asCounts=${asCounts} period=${period} />`)}
          </tr>`)}
        </tbody>
      </table>
    <//>
    <p class="hint">
      ${hasUnfinished && html`<span class="unfinished key-cell" aria-hidden="true"></span><span>This ${period} is not over: so far. </span>`}
      The average is weighted by people, over the ${period}s that are over.
      ${isSampled && ' Some events were sampled; only the kept ones count.'}
    </p>`;
}

function Cell({ found, asCounts, period, isAverage = false }) {
  if (!found) return html`<td class="heat" data-value=""></td>`;
  const { share, returned, actors } = found;
  const isOver = isAverage || found.is_complete;
  const text = asCounts && !isAverage ? number(returned) : rounded(share);
  return html`<td class=${`heat full${isOver ? '' : ' unfinished'}`} data-value=${returned} data-actors=${actors}
      title=${`${number(returned)} of ${plural(actors, 'person', 'people')}${isOver ? '' : `, so far: this ${period} is not over`}`}
      style=${{ '--share': String(share ?? 0) }}>${text}${!isOver && html`<span class="vh"> so far</span>`}</td>`;
}

/** A box that scrolls sideways, also by keyboard, with a shadow where there is more. */
function Scrolling({ label, children }) {
  const box = useRef(null);
  const [more, setMore] = useState('');
  const look = () => {
    if (!box.current) return;
    const { scrollLeft, scrollWidth, clientWidth } = box.current;
    const left = scrollLeft > 1;
    const right = scrollLeft + clientWidth < scrollWidth - 1;
    setMore(`${left ? 'left ' : ''}${right ? 'right' : ''}`.trim());
  };
  useEffect(() => {
    look();
    const watcher = new ResizeObserver(look);
    watcher.observe(box.current);
    watcher.observe(box.current.firstElementChild);
    return () => watcher.disconnect();
  }, []);
  return html`<div class="shadowed" data-more=${more}>
    <div class="scroll" tabindex="0" role="region" aria-label=${label} ref=${box} onScroll=${look}>${children}</div>
  </div>`;
}
