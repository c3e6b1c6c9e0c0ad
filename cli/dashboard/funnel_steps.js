// The steps of a funnel as bars, which are changed in place: another name, another order, one more, one less.

import { html, say, useLayoutEffect, useRef, useState } from './ui.js';
import * as funnel from './funnel_definition.js';
import { number, percent, plural, span } from './format.js';

/** `open` shows who dropped out after a step; null if nobody may see that. */
export function Steps({ definition, names, rows, isOld, set, open }) {
  const { steps } = definition;
  const box = useRef(null);
  const wanted = useRef(null);
  const [drag, setDrag] = useState(null);

  // A step that moved keeps the focus on the button that moved it, or on the other one at an end.
  useLayoutEffect(() => {
    if (!wanted.current) return;
    const { position, button } = wanted.current;
    const item = box.current.querySelector(`[data-step="${position}"]`);
    const found = button === 'name' ? item?.querySelector('select') : item?.querySelector(`.${button}:not(:disabled)`) ?? item?.querySelector('.up:not(:disabled), .down:not(:disabled)');
    if (!found) return;
    wanted.current = null;
    found.focus();
  });

  const move = (from, to, button = null) => {
    if (to < 0 || to >= steps.length || from === to) return;
    if (button) wanted.current = { position: to, button };
    say(`${steps[from]} is now step ${to + 1} of ${steps.length}.`);
    set({ steps: funnel.move(steps, from, to) });
  };
  const rename = (position, name) => set({ steps: steps.with(position, name) });
  const remove = (position) => {
    wanted.current = { position: Math.min(position, steps.length - 2), button: 'name' };
    say(`Removed step ${position + 1}, ${steps[position]}.`);
    set({ steps: steps.toSpliced(position, 1) });
  };
  const add = () => {
    wanted.current = { position: steps.length, button: 'name' };
    say(`Added step ${steps.length + 1}. Choose its event.`);
    set({ steps: [...steps, names.find((name) => !steps.includes(name)) ?? names[0]] });
  };

  /** Where a step would go that is dropped at a height of the window. */
  const placeAt = (y) => {
    const middles = [...box.current.querySelectorAll('li')].map((item) => { const { top, height } = item.getBoundingClientRect(); return top + height / 2; });
    return Math.max(0, Math.min(steps.length - 1, middles.filter((middle, position) => position !== drag?.from && middle < y).length));
  };
  const grip = (position) => ({
    onPointerDown: (event) => {
      event.currentTarget.setPointerCapture(event.pointerId);
      setDrag({ from: position, to: position });
    },
    onPointerMove: (event) => { if (drag) setDrag({ ...drag, to: placeAt(event.clientY) }); },
    onPointerUp: () => { if (drag) { setDrag(null); move(drag.from, drag.to); } },
    onPointerCancel: () => setDrag(null),
  });
  const keys = (position) => (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!event.altKey || !by) return;
    event.preventDefault();
    move(position, position + by, event.target.tagName === 'SELECT' ? 'name' : by < 0 ? 'up' : 'down');
  };
  const state = (position) => {
    if (!drag) return '';
    if (position === drag.from) return 'dragged';
    if (drag.to === position) return drag.to < drag.from ? 'before' : 'after';
    return '';
  };

  return html`<div class=${`funnel${isOld ? ' old' : ''}`}>
    <ol ref=${box} aria-label="Steps">
      ${steps.map((step, position) => html`<li key=${position} data-step=${position} data-drag=${state(position)} onKeyDown=${keys(position)}>
        <div class="step">
          <span class="grip" aria-hidden="true" title="Drag to another place" ...${grip(position)}>⠿</span>
          <span class="place" aria-hidden="true">${position + 1}</span>
          <select aria-label=${`Event of step ${position + 1}`} value=${step} onChange=${({ target }) => rename(position, target.value)}>
            ${names.map((name) => html`<option value=${name} selected=${name === step}>${name}</option>`)}
          </select>
          <span class="moves">
            <button type="button" class="quiet up" aria-label=${`Move step ${position + 1} up`} disabled=${position === 0} onClick=${() => move(position, position - 1, 'up')}>↑</button>
            <button type="button" class="quiet down" aria-label=${`Move step ${position + 1} down`} disabled=${position === steps.length - 1} onClick=${() => move(position, position + 1, 'down')}>↓</button>
            <button type="button" class="quiet remove" aria-label=${`Remove step ${position + 1}`} disabled=${steps.length === 1} onClick=${() => remove(position)}>×</button>
          </span>
        </div>
        <${Bars} definition=${definition} position=${position} rows=${rows} open=${open} />
      </li>`)}
    </ol>
    <button type="button" class="add" disabled=${steps.length >= funnel.MOST_STEPS || names.length === 0} onClick=${add}>+ Add a step</button>
  </div>`;
}

/** The bars of a step, one for each value of a split. */
function Bars({ definition, position, rows, open }) {
  const own = (rows ?? []).filter((row) => row.step === position + 1);
  if (own.length === 0) return html`<div class="bars"><span class="track" aria-hidden="true"></span></div>`;
  const next = (rows ?? []).filter((row) => row.step === position + 2);
  const sum = (list) => list.reduce((all, row) => all + row.reached, 0);
  const isLast = position === definition.steps.length - 1;
  const count = isLast ? sum(own) : sum(own) - sum(next);
  const what = isLast ? 'went all the way' : 'dropped out after this step';
  const first = sum(rows.filter((row) => row.step === 1));
  return html`<div class="bars">
    ${own.map((row, n) => html`<${Bar} definition=${definition} row=${row} n=${n} share=${definition.split ? (first > 0 ? row.reached / largest(rows) : 0) : row.conversion ?? 0} />`)}
    <p class="lost">
      ${open && count > 0
        ? html`<button type="button" class="link" onClick=${() => open(position + 1)}>${`${number(count)} ${what}`}</button>`
        : `${count === 0 ? 'Nobody' : number(count)} ${what}`}
      ${count > 0 && !isLast && ` (${percent(count / sum(own))})`}</p>
  </div>`;
}

const largest = (rows) => Math.max(1, ...rows.filter((row) => row.step === 1).map((row) => row.reached));

/** The name of a value of a split. */
export const valueOf = (row) => (row.is_others ? 'All others' : row.breakdown_value ?? 'None');

function Bar({ definition, row, n, share }) {
  const { split, by } = definition;
  return html`<div class="stage">
    <p class="figures">
      ${split && html`<span class="value"><span class=${`swatch s${n + 1}`} aria-hidden="true"></span>${valueOf(row)}</span>`}
      <strong>${plural(row.reached, funnel.whoOf(by, 1), funnel.whoOf(by))}</strong>
      ${row.step > 1 && html`<span>${percent(row.conversion)}<span class="muted"> of first</span></span>
        <span>${percent(row.conversion_from_previous)}<span class="muted"> of previous</span></span>
        ${row.median_seconds !== null && html`<span><span class="muted">median </span>${span(row.median_seconds)}</span>`}`}
      ${row.is_sampled && html`<span class="muted" title="Some of these events were sampled; only the kept ones count.">sampled</span>`}
    </p>
    <span class="track" aria-hidden="true"><span class=${`fill ${split ? `s${n + 1}` : ''}`} style=${{ width: `${Math.min(1, share) * 100}%` }}></span></span>
  </div>`;
}
