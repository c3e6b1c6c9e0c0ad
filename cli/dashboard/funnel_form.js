// The choices of a funnel that are not its steps, and the list of saved funnels.

import { html, say, useState } from './ui.js';
import * as funnel from './funnel_definition.js';
import { KeyChoice } from './key_choice.js';

const COUNTED = [['actor', 'Person'], ['subject', 'Subject']];

export function Definition({ definition, keys, set }) {
  const splits = [['', 'Nothing'], ...(definition.by === 'actor' ? [] : [['actor', 'Person']]), ['subject', 'Subject']];
  return html`<div class="choices">
    <span class="choice">
      <label for="funnel-within">Within</label>
      <select id="funnel-within" value=${definition.within} onChange=${({ target }) => set({ within: target.value })}>
        ${Object.entries(funnel.WINDOWS).map(([value, [, text]]) => html`<option value=${value} selected=${value === definition.within}>${text}</option>`)}
      </select>
    </span>
    <${KeyChoice} id="funnel-by" label="Count by" value=${definition.by} fixed=${COUNTED} keys=${keys} change=${(by) => set({ by })} />
    <${KeyChoice} id="funnel-split" label="Split by" value=${definition.split} fixed=${splits} keys=${keys} change=${(split) => set({ split: split === '' ? null : split })} />
    <span class="choice">
      <label for="funnel-attempt">Starting at</label>
      <select id="funnel-attempt" onChange=${({ target }) => set({ isFirstOnly: target.value === 'first' })}>
        <option value="any" selected=${!definition.isFirstOnly}>any attempt</option>
        <option value="first" selected=${definition.isFirstOnly}>the first attempt only</option>
      </select>
    </span>
  </div>`;
}

/** The saved funnels of this browser. */
export function Saved({ definition, set }) {
  const [list, setList] = useState(funnel.saved);
  const [isNaming, setNaming] = useState(false);
  const same = (one) => JSON.stringify(funnel.write(one)) === JSON.stringify(funnel.write(definition));
  const current = list.find(same)?.name ?? '';
  const open = ({ target }) => {
    const found = list.find(({ name }) => name === target.value);
    if (!found) return;
    const { name, ...saved } = found;
    set(saved);
    say(`Opened the funnel ${name}.`);
  };
  const save = (event) => {
    event.preventDefault();
    const name = new FormData(event.target).get('name').trim();
    setNaming(false);
    if (name === '') return;
    funnel.save(name, definition);
    setList(funnel.saved());
    say(`Saved the funnel ${name} in this browser.`);
  };
  const remove = () => {
    funnel.remove(current);
    setList(funnel.saved());
    say(`Removed the funnel ${current}.`);
  };
  return html`<span class="choice saved">
    <label class="vh" for=${isNaming ? 'funnel-name' : 'funnel-saved'}>${isNaming ? 'Name of this funnel' : 'Saved funnels'}</label>
    ${isNaming
      ? html`<form class="other" onSubmit=${save}>
          <input id="funnel-name" name="name" maxlength="100" autocomplete="off" placeholder="Name of this funnel" ref=${(input) => input?.focus()}
                 onKeyDown=${(event) => { if (event.key === 'Escape') setNaming(false); }} />
          <button type="submit">Save</button>
        </form>`
      : html`<select id="funnel-saved" onChange=${open}>
          <option value="" selected=${current === ''}>${list.length === 0 ? 'No saved funnels' : 'Saved funnels'}</option>
          ${list.map(({ name }) => html`<option value=${name} selected=${name === current}>${name}</option>`)}
        </select>
        ${current === ''
          ? html`<button type="button" id="funnel-save" onClick=${() => setNaming(true)}>Save…</button>`
          : html`<button type="button" id="funnel-remove" class="quiet" aria-label=${`Remove the saved funnel ${current}`} onClick=${remove}>Remove</button>`}`}
  </span>`;
}
