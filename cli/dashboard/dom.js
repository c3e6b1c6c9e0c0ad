// Makes elements from text and attributes only, so that nothing a client logged becomes markup.

export const $ = (id) => document.getElementById(id);

/** Makes an element with attributes (an `on…` function listens) and children, which are elements or text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (name === 'class') element.className = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/**
 * Makes a table. Columns are `{ title, text(row), value(row), number }`: the cell, and the value behind it.
 * The first column is the header of its row.
 */
export function table({ id, caption, columns, rows, hidden = false }) {
  const cell = (column, row, position) => {
    const text = column.text(row);
    const value = column.value ? column.value(row) : text;
    const attributes = { 'data-value': value === null ? '' : String(value), class: column.number ? 'number' : column.class };
    if (position === 0) attributes.scope = 'row';
    return h(position === 0 ? 'th' : 'td', attributes, text instanceof Node ? text : String(text));
  };
  const head = columns.map((column) => h('th', { scope: 'col', class: column.number ? 'number' : undefined }, column.title));
  const body = rows.map((row) => h('tr', {}, columns.map((column, position) => cell(column, row, position))));
  const made = h('table', { id }, h('caption', { class: 'vh' }, caption), h('thead', {}, h('tr', {}, head)), h('tbody', {}, body));
  // A table that is too large scrolls, also by keyboard.
  return hidden ? h('div', { class: 'vh' }, made) : h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption }, made);
}

/** Announces a text to screen readers. */
export function say(text) {
  $('said').textContent = text;
}
