// The chart of figures over time, drawn by Chart.js. It has an accessible name, and stands beside a table with
// the same numbers.

import { compact, cut } from './format.js';
import { html, useEffect, useRef, useState } from './ui.js';
import { colour, onTheme } from './theme.js';

/** Scripts that come after the modules: the library of charts. */
const loaded = new Promise((done) => {
  if (typeof window.Chart === 'function' || document.readyState === 'complete') done();
  else addEventListener('load', done, { once: true });
});

/** Returns true or false once it is known if the program was built with the library; null until then. */
export function useLibrary() {
  const [isThere, setThere] = useState(typeof window.Chart === 'function' || null);
  useEffect(() => { loaded.then(() => setThere(typeof window.Chart === 'function')); }, []);
  return isThere;
}

/** Stripes: for what is not over yet. */
function hatch(name) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 8;
  const pen = tile.getContext('2d');
  pen.strokeStyle = colour(name);
  pen.lineWidth = 2;
  pen.beginPath();
  for (const x of [-8, 0, 8]) { pen.moveTo(x - 1, 9); pen.lineTo(x + 9, -1); }
  pen.stroke();
  return pen.createPattern(tile, 'repeat');
}

const axis = (more = {}) => ({
  grid: { color: colour('line'), drawTicks: false, ...more.grid },
  border: { display: false },
  beginAtZero: true,
  stacked: more.stacked,
  max: more.max,
  ticks: { color: colour('muted'), padding: 8, font: { size: 11.5 }, maxRotation: 0, autoSkipPadding: 18, ...more.ticks },
});

function barSet({ label, values, colour: own }, { hatched, stack }) {
  const plain = colour(own);
  const striped = hatched.size > 0 ? hatch(own) : plain;
  const fill = values.map((_, n) => (hatched.has(n) ? striped : plain));
  return {
    type: 'bar', label, data: values, stack, order: 2, backgroundColor: fill, hoverBackgroundColor: fill,
    borderColor: plain, borderWidth: values.map((_, n) => (hatched.has(n) ? 1 : 0)), borderRadius: values.length > 60 ? 1 : 3,
    categoryPercentage: 0.9, barPercentage: 0.92, maxBarThickness: 90,
  };
}

function lineSet({ label, values, colour: own, isDashed }) {
  return {
    type: 'line', label, data: values, order: 1, borderColor: colour(own), backgroundColor: colour(own), fill: false, borderWidth: isDashed ? 1.5 : 2,
    borderDash: isDashed ? [4, 4] : [], tension: 0, spanGaps: false, pointRadius: values.length === 1 ? 3 : isDashed ? 0 : 2,
    pointHoverRadius: 4, pointBackgroundColor: colour(own), pointHoverBackgroundColor: colour(own), pointHoverBorderColor: colour('panel'),
  };
}

function configOf({ labels, series, before, hatched, isStacked, isLines, format, most, tip }) {
  const sets = series.map((one) => (isLines ? lineSet(one) : barSet(one, { hatched, stack: isStacked ? 'all' : undefined })));
  if (before) sets.push(lineSet({ label: 'Before', values: before, colour: 'before', isDashed: true }));
  const about = (items) => tip(items[0].dataIndex);
  return {
    type: 'bar',
    data: { labels, datasets: sets },
    options: {
      responsive: true,
      maintainAspectRatio: false,
      animation: false,
      font: { family: getComputedStyle(document.body).fontFamily },
      interaction: { mode: 'index', intersect: false },
      scales: {
        x: axis({ stacked: isStacked, grid: { display: false } }),
        y: axis({ stacked: isStacked, max: most, ticks: { callback: format ?? compact, maxTicksLimit: 6, precision: format ? undefined : 0 } }),
      },
      plugins: {
        legend: { display: false },
        tooltip: {
          backgroundColor: colour('tip'), titleColor: colour('tip-text'), bodyColor: colour('tip-text'), footerColor: colour('tip-text'),
          padding: 10, boxPadding: 4, cornerRadius: 6, displayColors: series.length > 1, footerFont: { weight: 'normal' },
          itemSort: (a, b) => (Number(b.raw) || 0) - (Number(a.raw) || 0),
          filter: (item) => item.datasetIndex < series.length && (series.length === 1 || (item.raw !== null && item.raw !== 0)),
          callbacks: {
            title: (items) => (items.length > 0 ? about(items).title : ''),
            label: (item) => tip(item.dataIndex, series.length > 1 ? item.datasetIndex : null).lines,
            footer: (items) => (items.length > 0 && series.length > 1 ? about(items).lines : []),
          },
        },
      },
    },
  };
}

/**
 * Bars (or lines) over time.
 * @param {object} props
 * @param {string} props.name its accessible name
 * @param {string[]} props.labels of the points of time
 * @param {{label: string, values: (number | null)[], colour: string}[]} props.series
 * @param {(number | null)[] | null} props.before values of the previous period, for a dashed line
 * @param {Set<number>} props.hatched points that are not complete
 * @param {boolean} props.isStacked
 * @param {boolean} props.isLines
 * @param {(value: number) => string} [props.format] of the scale
 * @param {number} [props.most] end of the scale
 * @param {(point: number, series?: number | null) => {title: string, lines: string[]}} props.tip
 * @param {(point: number) => void} props.onPick a click on a point
 * @param {(first: number, last: number) => void} props.onZoom a drag from one point to another
 */
export function TimeChart(props) {
  const { name, labels, onPick, onZoom } = props;
  const canvas = useRef(null);
  const chart = useRef(null);
  const drag = useRef(null);
  const [band, setBand] = useState(null);
  const [painted, repaint] = useState(0);
  useEffect(() => onTheme(() => repaint((count) => count + 1)), []);
  const { series, before, hatched, isStacked, isLines, most } = props;
  const drawn = JSON.stringify([name, labels, series, before, [...hatched], isStacked, isLines, most, painted]);
  useEffect(() => {
    const config = configOf(props);
    if (!chart.current) chart.current = new window.Chart(canvas.current, config);
    else {
      Object.assign(chart.current, { data: config.data, options: config.options });
      chart.current.update('none');
    }
  }, [drawn]);
  useEffect(() => () => chart.current.destroy(), []);

  const pointAt = (event) => {
    const x = event.clientX - canvas.current.getBoundingClientRect().left;
    const found = Math.round(chart.current.scales.x.getValueForPixel(x));
    return { x, point: Math.max(0, Math.min(labels.length - 1, found)) };
  };
  const down = (event) => { if (event.button === 0) drag.current = pointAt(event); };
  const move = (event) => {
    if (!drag.current) return;
    const { x } = pointAt(event);
    if (Math.abs(x - drag.current.x) > 6 || band) setBand([Math.min(x, drag.current.x), Math.max(x, drag.current.x)]);
  };
  const up = (event) => {
    const began = drag.current;
    drag.current = null;
    setBand(null);
    if (!began) return;
    const { x, point } = pointAt(event);
    const { left, right } = chart.current.chartArea;
    if (Math.abs(x - began.x) > 6) onZoom(Math.min(point, began.point), Math.max(point, began.point));
    else if (x >= left && x <= right) onPick(point);
  };
  return html`<div class="canvas" onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerLeave=${() => { drag.current = null; setBand(null); }}>
    <canvas ref=${canvas} role="img" aria-label=${name}></canvas>
    ${band ? html`<span class="band" style=${{ left: `${band[0]}px`, width: `${band[1] - band[0]}px` }}></span>` : null}</div>`;
}

/** The legend of series. */
export function Legend({ series, hasBefore, onPick }) {
  return html`<ul class="legend" aria-label="Series">
    ${series.map(({ label, colour: own, value, isOthers }) => html`<li key=${label} style=${{ '--bar': `var(--${own})` }}>
      ${onPick && !isOthers ? html`<button type="button" class="key" onClick=${() => onPick(value)}>${cut(label, 40)}</button>` : html`<span class="key">${cut(label, 40)}</span>`}</li>`)}
    ${hasBefore ? html`<li class="dashed"><span class="key">before</span></li>` : null}</ul>`;
}
