// What the pages are made of: the view library and the parts that they share. Text that a client logged is
// only ever a text node or an attribute's value, so it never becomes markup.

import { html } from './html.js';
import { Component } from './preact.js';
import { useEffect, useId, useRef, useState } from './hooks.js';
import { NONE } from './format.js';

export { html };
export { render, Fragment } from './preact.js';
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from './hooks.js';
export { useReport } from './use_report.js';
export { Table, csvOf, download } from './table.js';

/**
 * A panel with a title. `note` stands beside the title, `actions` at the right.
 * @param {{id: string, title: any, note?: any, actions?: any, children: any, class?: string}} props
 */
export function Card({ id, title, note, actions, children, class: more = '' }) {
  return html`<section id="panel-${id}" class="panel ${more}" aria-labelledby="title-${id}">
    <div class="head"><h2 id="title-${id}">${title}</h2>
      ${note ? html`<p class="note">${note}</p>` : null}
      ${actions ? html`<div class="tools">${actions}</div>` : null}</div>
    <div class="body">${children}</div>
  </section>`;
}

/**
 * The body of a panel that shows a report: says that it loads, why it failed, or that there is nothing, and
 * else calls `children` with the rows.
 * @param {{report: {rows?: object[], fault?: Error, isOld: boolean, reload: () => void}, none?: any, slow?: any,
 *   isEmpty?: (rows: object[]) => boolean, children: (rows: object[]) => any}} props
 */
export function Body({ report, none = 'No events in this range.', slow, isEmpty = (rows) => rows.length === 0, children }) {
  const { rows, fault, isOld, reload } = report;
  if (rows) {
    const body = isEmpty(rows) ? html`<p class="none">${none}</p>` : children(rows);
    return isOld ? html`<div class="old">${body}</div>` : body;
  }
  if (!fault) return html`<p class="none">Loading…</p>`;
  const text = fault.code === 'too_slow' ? slow ?? 'The report took too long: choose a shorter range.' : `No data: ${fault.message}.`;
  // In an outage all panels show the same; the notice at the top says what to do.
  return html`<div class="broken"><p>${text}</p>
    ${fault.isOutage ? null : html`<button type="button" onClick=${reload}>Try again</button>`}</div>`;
}

/** Shows what went wrong in drawing `children`, instead of an empty page. */
export class Safe extends Component {
  static getDerivedStateFromError(fault) {
    return { fault };
  }

  componentDidCatch(fault) {
    console.error(fault);
  }

  render() {
    if (!this.state?.fault) return this.props.children;
    return html`<div class="notice bad" role="alert"><p><strong>This page could not be drawn.</strong> ${String(this.state.fault.message)}</p>
      <button type="button" onClick=${() => this.setState({ fault: null })}>Try again</button></div>`;
  }
}

/** A bar behind the text of a row; `share` is 0 to 1. */
export function Sparkbar({ share, children, colour = 'accent' }) {
  const width = `${Math.max(0, Math.min(1, share || 0)) * 100}%`;
  return html`<span class="spark"><span class="spark-fill" aria-hidden="true" style=${{ width, '--bar': `var(--${colour})` }}></span>
    <span class="spark-text">${children}</span></span>`;
}

/**
 * A change against before, coloured by whether it is good.
 * @param {{now: number | null, before: number | null, isRate?: boolean, isBad?: boolean, short?: boolean}} props
 */
export function Change({ now, before, isRate = false, isBad = false, short = false }) {
  if (before === undefined) return null;
  if (now === null || now === undefined || before === null || (!isRate && Number(before) === 0)) {
    return html`<span class="delta">${short ? (Number(now) > 0 ? 'new' : NONE) : 'no data before'}</span>`;
  }
  const change = isRate ? now - before : now / before - 1;
  const percents = Math.abs(change * 100);
  const size = percents > 999 && !isRate ? '>999%' : `${percents < 10 ? Math.round(percents * 10) / 10 : Math.round(percents)}${isRate ? ' pt' : '%'}`;
  if (Math.abs(change) < 0.0005) return html`<span class="delta" data-value=${change}>${short ? '=' : 'no change'}</span>`;
  return html`<span class="delta ${(change > 0) === isBad ? 'bad' : 'good'}" data-value=${change}>
    <span aria-hidden="true">${change > 0 ? '▲' : '▼'} </span>${size}<span class="vh">${change > 0 ? ' more' : ' less'}</span></span>`;
}

/**
 * A button that opens a box below it. Escape or a click elsewhere closes it, and the focus returns.
 * @param {{id: string, label: any, title?: string, class?: string, align?: 'left' | 'right', open?: boolean,
 *   onClose?: () => void, children: (close: () => void) => any}} props `children` makes the box when it opens
 */
export function Menu({ id, label, title, class: more = '', align = 'left', open = false, onClose, children }) {
  const [isOpen, setOpen] = useState(open);
  const root = useRef(null);
  const close = () => {
    setOpen(false);
    if (root.current?.contains(document.activeElement)) root.current.querySelector('button')?.focus();
    onClose?.();
  };
  useEffect(() => {
    if (!isOpen) return undefined;
    const outside = (event) => { if (!root.current?.contains(event.target) && event.target.isConnected) close(); };
    const escape = (event) => { if (event.key === 'Escape') close(); };
    document.addEventListener('pointerdown', outside);
    document.addEventListener('keydown', escape);
    const first = root.current?.querySelector('.menu-box :is(input, button, select, [tabindex="0"])');
    first?.focus();
    keepInside(root.current?.querySelector('.menu-box'));
    return () => {
      document.removeEventListener('pointerdown', outside);
      document.removeEventListener('keydown', escape);
    };
  }, [isOpen]);
  return html`<div class="menu ${more}" ref=${root}>
    <button type="button" id=${id} class="menu-button" aria-expanded=${isOpen} aria-haspopup="true" title=${title}
      onClick=${() => (isOpen ? close() : setOpen(true))}>${label}<span aria-hidden="true" class="caret">▾</span></button>
    ${isOpen ? html`<div class="menu-box ${align}" role="group" aria-labelledby=${id}>${children(close)}</div>` : null}
  </div>`;
}

/** Moves an open box to where the window shows all of it. */
function keepInside(box) {
  if (!box) return;
  const { left, right } = box.getBoundingClientRect();
  const over = right - document.documentElement.clientWidth + 8;
  if (over > 0) box.style.translate = `${-Math.min(over, left - 8)}px 0`;
  else if (left < 8) box.style.translate = `${8 - left}px 0`;
}

/**
 * Choices of a menu, with a search where there are many.
 * @param {{options: {value: any, text: string, note?: any}[], value: any, onChoose: (value: any) => void, search?: string}} props
 */
export function Options({ options, value, onChoose, search }) {
  const [sought, setSought] = useState('');
  const words = sought.trim().toLowerCase();
  const found = options.filter(({ text }) => text.toLowerCase().includes(words));
  return html`${search ? html`<input type="search" aria-label=${search} placeholder=${search} value=${sought} autocomplete="off"
      onInput=${(event) => setSought(event.target.value)} />` : null}
    <ul class="options">${found.slice(0, 300).map((option) => html`<li key=${option.value}>
      <button type="button" class="option" aria-pressed=${option.value === value} data-value=${String(option.value)} onClick=${() => onChoose(option.value)}>
        <span>${option.text}</span>${option.note ? html`<span class="note">${option.note}</span>` : null}</button></li>`)}
    </ul>${found.length === 0 ? html`<p class="none">No match.</p>` : null}`;
}

/** A dialog in the middle (`kind` dialog) or at the right (`drawer`); open as long as it is there. */
export function Dialog({ id, title, kind = 'dialog', onClose, actions, children }) {
  const box = useRef(null);
  useEffect(() => {
    const opener = document.activeElement;
    box.current.showModal();
    return () => opener?.isConnected && opener.focus?.();
  }, []);
  return html`<dialog id=${id} ref=${box} class=${kind} aria-labelledby="${id}-title" onClose=${onClose}
      onClick=${(event) => { if (event.target === box.current) box.current.close(); }}>
    <div class="dialog-box"><div class="head"><h2 id="${id}-title">${title}</h2><div class="tools">${actions}
      <button type="button" class="quiet" aria-label="Close" onClick=${() => box.current.close()}>✕</button></div></div>
    <div class="dialog-body">${children}</div></div></dialog>`;
}

/** A dialog at the right. */
export const Drawer = (props) => html`<${Dialog} kind="drawer" ...${props} />`;

/** Buttons of which one is chosen. */
export function Segments({ label, options, value, onChoose }) {
  const name = useId();
  return html`<fieldset class="segments"><legend class="vh">${label}</legend>${options.map((option) => html`<label key=${option.value}>
    <input type="radio" name=${name} value=${option.value} checked=${option.value === value} onChange=${() => onChoose(option.value)} />
    <span>${option.text}</span></label>`)}</fieldset>`;
}

/** Text to copy, with a button that copies it. */
export function Copyable({ text, label = 'Copy' }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text).catch(() => {});
    setDone(true);
    setTimeout(() => setDone(false), 2000);
  };
  return html`<div class="copyable"><pre tabindex="0"><code>${text}</code></pre>
    <button type="button" onClick=${copy}>${isDone ? 'Copied' : label}</button></div>`;
}

/** Announces a text to screen readers. */
export function say(text) {
  document.getElementById('said').textContent = text;
}
