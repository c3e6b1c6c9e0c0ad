// The filters: chips that can be changed and removed, and the form that makes one.

import { number } from './format.js';
import { keysOf, titleOfKey } from './keys.js';
import { OPERATORS } from './state.js';
import { Menu, html, useReport, useState } from './ui.js';

const MOST_VALUES = 100;

const shown = (value) => (value === '' ? '(empty)' : String(value));

/** Writes a filter as a sentence: its key, and the rest. */
export function wordsOf({ key, operator, value }) {
  const { text } = OPERATORS[operator];
  if (value === null) return [titleOfKey(key), text];
  const values = [value].flat().map(shown);
  const list = values.length > 2 ? `${values[0]} or ${values.length - 1} others` : values.join(' or ');
  return [titleOfKey(key), `${text} ${list}`];
}

/** Returns the filters with one more; one of equal key and operator gives way to it. */
export function withFilter(filters, filter) {
  return [...filters.filter(({ key, operator }) => key !== filter.key || operator !== filter.operator), filter];
}

/** The values that events have most often, to choose from. */
function Values({ ask, keyName, others, chosen, onToggle }) {
  const [sought, setSought] = useState('');
  const report = useReport(ask, 'summary', { breakdown: keyName, top: MOST_VALUES, only: others });
  const found = (report.isOld ? [] : report.rows ?? []).filter((row) => !row.is_others && row.breakdown_value !== null && row.breakdown_value !== undefined);
  const counts = new Map(found.map((row) => [row.breakdown_value, row.events]));
  const words = sought.trim().toLowerCase();
  const listed = [...new Set([...chosen, ...counts.keys()])].filter((value) => shown(value).toLowerCase().includes(words));
  const add = (event) => {
    if (event.key !== 'Enter' || !sought.trim()) return;
    event.preventDefault();
    if (!chosen.includes(sought.trim())) onToggle(sought.trim());
    setSought('');
  };
  return html`<label>Value<input type="search" id="filter-value" value=${sought} autocomplete="off" placeholder="Find, or enter another one" onInput=${(event) => setSought(event.target.value)} onKeyDown=${add} /></label>
    <div class="values">${listed.slice(0, 60).map((value) => html`<label key=${value}><input type="checkbox" value=${value} checked=${chosen.includes(value)} onChange=${() => onToggle(value)} />
      <span>${shown(value)}</span>${counts.has(value) ? html`<span class="number">${number(counts.get(value))}</span>` : null}</label>`)}
      ${listed.length === 0 ? html`<p class="none">${words ? 'No such value in this range. Enter takes it nevertheless.' : report.rows ? 'No event in this range has it.' : 'Loading…'}</p>` : null}</div>`;
}

/** The form of a filter; `filter` is the one to change, or null for a new one. */
function FilterForm({ state, choose, ask, types, session, filter, close }) {
  const keys = keysOf(types, session);
  const [key, setKey] = useState(filter?.key ?? 'name');
  const [operator, setOperator] = useState(filter?.operator ?? 'is');
  const [values, setValues] = useState([filter?.value ?? []].flat());
  const [isOther, setOther] = useState(false);
  const others = state.filters.filter((other) => other !== filter);
  const kind = OPERATORS[operator].value;
  const operators = Object.keys(OPERATORS).filter((one) => OPERATORS[one].value !== 'number' || key.startsWith('data.'));
  const isReady = kind === null || (kind === 'list' ? values.length > 0 : kind === 'number' ? values.length > 0 && values[0] !== '' && Number.isFinite(Number(values[0])) : Boolean(values[0]));
  const submit = (event) => {
    event.preventDefault();
    if (!isReady || key === 'data.') return;
    const value = kind === null ? null : kind === 'list' ? values.map(String) : kind === 'number' ? Number(values[0]) : String(values[0]);
    close();
    choose({ filters: withFilter(others, { key, operator, value }) });
  };
  const chooseKey = (chosen) => {
    setOther(chosen === 'other');
    setKey(chosen === 'other' ? 'data.' : chosen);
    setValues([]);
    if (OPERATORS[operator].value === 'number' && !chosen.startsWith('data.')) setOperator('is');
  };
  const chooseOperator = (chosen) => {
    if (OPERATORS[chosen].value !== kind) setValues([]);
    setOperator(chosen);
  };
  const listed = keys.includes(key) || isOther ? keys : [...keys, key];
  return html`<form class="filter-form" onSubmit=${submit} aria-label=${filter ? 'Change the filter' : 'New filter'}>
    <label>Property<select id="filter-key" value=${isOther ? 'other' : key} onChange=${(event) => chooseKey(event.target.value)}>
      ${listed.map((one) => html`<option key=${one} value=${one} selected=${!isOther && one === key}>${titleOfKey(one)}</option>`)}<option value="other" selected=${isOther}>Another key…</option></select></label>
    ${isOther ? html`<label>Key of the payload<input id="filter-other" value=${key.slice(5)} autocomplete="off" spellcheck="false" onInput=${(event) => setKey(`data.${event.target.value}`)} /></label>` : null}
    <label>Condition<select id="filter-operator" value=${operator} onChange=${(event) => chooseOperator(event.target.value)}>
      ${operators.map((one) => html`<option key=${one} value=${one} selected=${one === operator}>${OPERATORS[one].text}</option>`)}</select></label>
    ${kind === 'list' && key !== 'data.' ? html`<${Values} key=${key} ask=${ask} keyName=${key} others=${others} chosen=${values}
        onToggle=${(value) => setValues(values.includes(value) ? values.filter((other) => other !== value) : [...values, value])} />` : null}
    ${kind === 'text' || kind === 'number' ? html`<label>Value<input id="filter-value" type=${kind === 'number' ? 'number' : 'text'} step="any" value=${values[0] ?? ''} autocomplete="off" onInput=${(event) => setValues([event.target.value])} /></label>` : null}
    <div class="actions"><button type="submit" class="first" disabled=${!isReady}>${filter ? 'Change' : 'Add'}</button></div>
  </form>`;
}

/** The chips of the filters, and the button that adds one. */
export function Filters(props) {
  const { state, choose } = props;
  return html`<div class="chips">${state.filters.map((filter, n) => {
    const [key, rest] = wordsOf(filter);
    return html`<span class="chip" key=${`${filter.key} ${filter.operator}`} data-filter=${JSON.stringify(filter)}>
      <${Menu} id=${`filter-${n}`} label=${html`<span class="chip-text"><b>${key}</b> ${rest}</span>`} title="Change this filter">${(close) =>
        html`<${FilterForm} ...${props} filter=${filter} close=${close} />`}<//>
      <button type="button" class="remove" aria-label=${`Remove the filter ${key} ${rest}`} onClick=${() => choose({ filters: state.filters.filter((other) => other !== filter) })}>×</button></span>`;
  })}
  ${state.filters.length < 20 ? html`<${Menu} id="add-filter" class="add-filter" label=${html`<span aria-hidden="true">+ </span>Filter`} title="Add a filter">${(close) =>
    html`<${FilterForm} ...${props} filter=${null} close=${close} />`}<//>` : null}</div>`;
}
