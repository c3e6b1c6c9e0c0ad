// The filters: chips that can be changed and removed, and a form to add one.

import { OPERATORS } from './state.js';
import { html } from './ui.js';

/** Writes a filter as a sentence. */
export function textOf({ key, operator, value }) {
  const values = [value].flat();
  const last = values.length > 2 ? `${values[0]} or ${values.length - 1} others` : values.join(' or ');
  return `${key} ${OPERATORS[operator].text}${value === null ? '' : ` ${last}`}`;
}

/** Returns the filters with one more; of equal key and operator it takes the place. */
export function withFilter(filters, filter) {
  return [...filters.filter(({ key, operator }) => key !== filter.key || operator !== filter.operator), filter];
}

/** The chips of the filters. */
export function Filters({ state, choose }) {
  return html`<div class="chips">${state.filters.map((filter) => html`<span class="chip">${textOf(filter)}
    <button type="button" aria-label="Remove the filter ${textOf(filter)}" onClick=${() => choose({ filters: state.filters.filter((other) => other !== filter) })}>×</button></span>`)}</div>`;
}
