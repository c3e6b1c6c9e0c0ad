// Tables, with a search and a download of what they show.

import { html } from './html.js';
import { useState } from './hooks.js';

/** Writes a value as a field of CSV. A text that a spreadsheet would take for a formula gets an apostrophe. */
function field(value) {
  if (value === null || value === undefined) return '';
  let text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  if (typeof value !== 'number' && /^[=+\-@\t\r\n＝＋－＠]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text)) text = `'${text}`;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const valueOf = (column, row) => (column.value ? column.value(row) : column.text(row));

/** Writes rows as CSV; columns are those of a Table. */
export function csvOf(columns, rows) {
  const lines = [columns.map((column) => column.csv ?? column.title), ...rows.map((row) => columns.map((column) => valueOf(column, row)))];
  return `${lines.map((line) => line.map(field).join(',')).join('\r\n')}\r\n`;
}

/** Has the browser save a text, or a picture, as a file. */
export function download(name, text, kind = 'text/csv') {
  const address = URL.createObjectURL(new Blob([text], { type: kind }));
  const link = document.createElement('a');
  Object.assign(link, { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10e3);
}

/**
 * A table. The first column is the header of its row.
 * @param {object} props
 * @param {string} props.id
 * @param {string} props.caption for screen readers, and the name of a download
 * @param {{title: any, text: (row: object) => any, value?: (row: object) => any, number?: boolean, class?: string,
 *   csv?: string}[]} props.columns `text` makes the cell, `value` is what is behind it
 * @param {object[]} props.rows
 * @param {boolean} [props.search] offers a search in the values
 * @param {boolean} [props.csv] offers a download of the rows found
 * @param {(row: object) => void} [props.onRow] a row is a button
 * @param {(row: object) => string} [props.rowClass]
 * @param {boolean} [props.hidden] for screen readers only
 */
export function Table({ id, caption, columns, rows, search = false, csv = false, onRow, rowClass, hidden = false, class: more = '' }) {
  const [sought, setSought] = useState('');
  const words = sought.trim().toLowerCase();
  const found = words ? rows.filter((row) => columns.some((column) => String(valueOf(column, row) ?? '').toLowerCase().includes(words))) : rows;
  const cell = (row, column, position) => {
    const value = valueOf(column, row);
    const about = { key: position, 'data-value': value === null || value === undefined || typeof value === 'object' ? '' : String(value), class: column.number ? 'number' : column.class };
    const text = column.text(row);
    if (position > 0) return html`<td ...${about}>${text}</td>`;
    return html`<th scope="row" ...${about}>${onRow ? html`<button type="button" class="row-button" onClick=${() => onRow(row)}>${text}</button>` : text}</th>`;
  };
  const made = html`<table id="table-${id}" class=${more}><caption class="vh">${caption}</caption>
    <thead><tr>${columns.map((column) => html`<th scope="col" class=${column.number ? 'number' : column.class}>${column.title}</th>`)}</tr></thead>
    <tbody>${found.map((row, n) => html`<tr key=${row.key ?? n} class=${rowClass?.(row)}>${columns.map((column, position) => cell(row, column, position))}</tr>`)}</tbody></table>`;
  if (hidden) return html`<div class="vh">${made}</div>`;
  return html`${search || csv ? html`<div class="table-tools">
      ${search ? html`<input type="search" aria-label="Find in ${caption}" placeholder="Find" value=${sought} onInput=${(event) => setSought(event.target.value)} />` : null}
      ${csv ? html`<button type="button" class="csv" onClick=${() => download(`${caption.toLowerCase().replace(/[^a-z0-9]+/g, '-')}.csv`, csvOf(columns, found))}>CSV</button>` : null}
    </div>` : null}
    <div class="scroll" tabindex="0" role="region" aria-label=${caption}>${made}</div>
    ${words && found.length === 0 ? html`<p class="none">No match.</p>` : null}`;
}
