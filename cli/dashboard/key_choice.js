// A choice among fixed things, and keys of the payload: those that events have, or another one by its name.

import { html, useState } from './ui.js';

/**
 * `fixed` is a list of `[value, text]`, `keys` one of payload keys; the value of a key is `data.KEY`.
 * Calls `change` with the value.
 */
export function KeyChoice({ label, id, value, fixed, keys, change }) {
  const [isOther, setOther] = useState(false);
  const known = [...new Set([...keys.map((key) => `data.${key}`), ...(value?.startsWith('data.') ? [value] : [])])].sort();
  const choose = ({ target }) => {
    if (target.value === 'other') return setOther(true);
    setOther(false);
    return change(target.value);
  };
  const apply = (event) => {
    event.preventDefault();
    const key = new FormData(event.target).get('key').trim();
    setOther(false);
    if (key !== '') change(key.startsWith('data.') ? key : `data.${key}`);
  };
  return html`<span class="choice">
    <label for=${id}>${label}</label>
    ${isOther
      ? html`<form class="other" onSubmit=${apply}>
          <input id=${id} name="key" autocomplete="off" spellcheck="false" placeholder="key of the payload" ref=${(input) => input?.focus()}
                 onKeyDown=${(event) => { if (event.key === 'Escape') setOther(false); }} />
          <button type="submit">Apply</button>
        </form>`
      : html`<select id=${id} value=${value ?? ''} onChange=${choose}>
          ${fixed.map(([one, text]) => html`<option value=${one} selected=${one === (value ?? '')}>${text}</option>`)}
          ${known.map((one) => html`<option value=${one} selected=${one === value}>${one}</option>`)}
          <option value="other">Another key…</option>
        </select>`}
  </span>`;
}
