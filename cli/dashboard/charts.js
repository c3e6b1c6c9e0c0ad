// Charts, drawn by Chart.js. Each has an accessible name, and stands beside a table with the
// same numbers.

import { h } from './dom.js';
import { compact, cut, number } from './format.js';
import { colour } from './theme.js';

/** Returns true if the gateway was built with the library. */
export const isThere = () => typeof window.Chart === 'function';

const drawn = new WeakMap();

/** Colours of series, in the order that distinguishes them best. */
export const SERIES = ['accent', 'series-2', 'series-3', 'series-4', 'series-5', 'series-6', 'series-7'];

function draw(box, name, config, height) {
  const canvas = h('canvas', { role: 'img', 'aria-label': name });
  const frame = h('div', { class: 'canvas' }, canvas);
  frame.style.minHeight = `${height}px`;
  box.append(frame);
  const { plugins, ...options } = config.options ?? {};
  const chart = new window.Chart(canvas, {
    ...config,
    options: {
      responsive: true,
      maintainAspectRatio: false,
      animation: false,
      font: { family: getComputedStyle(document.body).fontFamily },
      ...options,
      plugins: {
        legend: { display: false },
        tooltip: {
          backgroundColor: colour('tip'),
          titleColor: colour('tip-text'),
          bodyColor: colour('tip-text'),
          padding: 10,
          boxPadding: 4,
          cornerRadius: 6,
          ...plugins?.tooltip,
        },
      },
    },
  });
  drawn.set(box, [...(drawn.get(box) ?? []), chart]);
}

/** Removes the charts of a box. */
export function clear(box) {
  for (const chart of drawn.get(box) ?? []) chart.destroy();
  drawn.delete(box);
}

const axis = (more = {}) => ({
  grid: { color: colour('line'), drawTicks: false, ...more.grid },
  border: { display: false },
  beginAtZero: true,
  ticks: { color: colour('muted'), padding: 8, font: { size: 11.5 }, precision: 0, maxRotation: 0, autoSkipPadding: 18, ...more.ticks },
});

/** Draws lines over time: `series` is a list of `{ label, values, colour, fill }`. */
export function lines(box, name, labels, series, height = 250) {
  const dataset = ({ label, values, colour: own, fill }) => ({
    label,
    data: values,
    borderColor: colour(own),
    backgroundColor: colour(`${own}-soft`),
    fill: fill ? 'origin' : false,
    borderWidth: 2,
    tension: 0.25,
    cubicInterpolationMode: 'monotone',
    pointRadius: labels.length === 1 ? 3 : 0,
    pointHoverRadius: 4,
    pointBackgroundColor: colour(own),
  });
  draw(box, name, {
    type: 'line',
    data: { labels, datasets: series.map(dataset) },
    options: {
      interaction: { mode: 'index', intersect: false },
      scales: { x: axis({ grid: { display: false } }), y: axis({ ticks: { callback: compact, maxTicksLimit: 6 } }) },
      plugins: { tooltip: { callbacks: { label: ({ dataset: { label }, parsed }) => ` ${label}: ${number(parsed.y)}` } } },
    },
  }, height);
}

/** Draws bars, longest first. */
export function bars(box, name, labels, values, height = 34 + 30 * labels.length) {
  draw(box, name, {
    type: 'bar',
    data: { labels, datasets: [{ data: values, backgroundColor: colour('accent'), borderRadius: 4, barThickness: 14 }] },
    options: {
      indexAxis: 'y',
      scales: {
        x: axis({ ticks: { callback: compact, maxTicksLimit: 5 } }),
        y: axis({ grid: { display: false }, ticks: { autoSkip: false, color: colour('text'), callback: (_, n) => cut(labels[n], 24) } }),
      },
      plugins: { tooltip: { callbacks: { label: ({ parsed }) => ` ${number(parsed.x)} events` } } },
    },
  }, height);
}

export function doughnut(box, name, labels, values, height = 190) {
  draw(box, name, {
    type: 'doughnut',
    data: {
      labels,
      datasets: [{ data: values, backgroundColor: labels.map((_, n) => colour(SERIES[n % SERIES.length])), borderColor: colour('panel'), borderWidth: 2 }],
    },
    options: {
      cutout: '66%',
      plugins: { tooltip: { callbacks: { label: ({ label, parsed }) => ` ${label}: ${number(parsed)}` } } },
    },
  }, height);
}
