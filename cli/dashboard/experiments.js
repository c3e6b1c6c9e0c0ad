// The page Experiments: what the variants of an experiment did to a metric.

import { Body, Card, html, say, useReport } from './ui.js';
import * as experiment from './experiment_definition.js';
import { KeyChoice } from './key_choice.js';
import { Results } from './experiment_results.js';

/** @param {{state: import('./state.js').State, choose: Function, ask: Function, types: object[]}} props */
export function Page({ state, choose, ask, types }) {
  const definition = experiment.read(state.view);
  const isAsked = experiment.isWhole(definition);
  const answer = useReport(ask, isAsked ? 'experiment_results' : null, experiment.argumentsOf(definition), { every: 30e3 });
  const set = (change, text) => {
    if (text) say(text);
    choose({ view: experiment.write({ ...definition, ...change }) });
  };
  const keys = (name) => types.filter((type) => type.name === name).flatMap((type) => [...type.required_keys ?? [], ...type.optional_keys ?? []]);
  const variants = [...new Set([...(answer.rows ?? []).map(({ variant }) => variant), ...(definition.control ? [definition.control] : [])])].sort();
  const select = (id, label, options, value, change) => html`<span class="choice">
    <label for="experiment-${id}">${label}</label>
    <select id="experiment-${id}" onChange=${({ target }) => change(target.value === '' ? null : target.value)}>
      ${options.map(([one, text]) => html`<option value=${one} selected=${one === (value ?? '')}>${text}</option>`)}
    </select>
  </span>`;
  const names = [...new Set([...types.filter(({ status }) => status !== 'retired').map(({ name }) => name), definition.exposure, definition.metric])]
    .filter(Boolean).sort().map((name) => [name, name]);

  return html`<${Card} id="experiment" title="Experiment">
    <div class="choices">
      ${select('exposure', 'Exposure', [['', 'Choose an event'], ...names], definition.exposure, (exposure) => set({ exposure, variantKey: null, control: null }))}
      <${KeyChoice} id="experiment-variant" label="Variant" value=${definition.variantKey ?? ''} fixed=${[['', 'Choose a key']]} keys=${keys(definition.exposure)}
        change=${(key) => set({ variantKey: key || null, control: null })} />
      ${select('metric', 'Metric', [['', 'Choose an event'], ...names], definition.metric, (metric) => set({ metric, valueKey: null }))}
      <${KeyChoice} id="experiment-value" label="Compares" value=${definition.valueKey ?? ''} fixed=${[['', 'how many convert']]} keys=${keys(definition.metric)}
        change=${(key) => set({ valueKey: key || null })} />
      ${select('within', 'Counts until', Object.entries(experiment.HORIZONS).map(([value, [, text]]) => [value, value === 'all' ? text : `${text} after`]), definition.within,
        (within) => set({ within }))}
      ${select('control', 'Control', [['', 'the usual one'], ...variants.map((name) => [name, name])], definition.control, (control) => set({ control }))}
      ${select('better', 'Better is', [['higher', 'more'], ['lower', 'less']], definition.isLowerBetter ? 'lower' : 'higher', (better) => set({ isLowerBetter: better === 'lower' }))}
    </div>
    ${isAsked
      ? html`<${Body} report=${answer} none="Nobody was exposed to a variant in this range.">${(rows) => html`<${Results} definition=${definition} rows=${rows} />`}<//>`
      : html`<p class="none">Choose the event that says which variant somebody saw, the key of its payload that names the variant, and the event that they should lead to.
          Filters count for the exposures: choose one for a single experiment.</p>`}
  <//>`;
}
