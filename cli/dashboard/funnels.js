// The page Funnels: how many reach each step, in order, within a window; and who did not.

import { Body, Card, html, useReport, useState } from './ui.js';
import { Definition, Saved } from './funnel_form.js';
import { DropOuts } from './funnel_dropouts.js';
import { Results } from './funnel_results.js';
import { Steps } from './funnel_steps.js';
import * as funnel from './funnel_definition.js';
import { seesPeople } from './people.js';

const MOST_NAMES = 100;
const RARE = 60e3;

/** @param {{state: import('./state.js').State, choose: Function, ask: Function, session: object, types: object[]}} props */
export function Page({ state, choose, ask, session, types }) {
  const [step, setStep] = useState(null);
  const counted = useReport(ask, 'summary', { breakdown: 'name', top: MOST_NAMES }, { every: RARE });
  const chosen = funnel.read(state.view);
  const steps = chosen.steps.length > 0 ? chosen.steps : funnel.suggest(byName(counted.rows));
  const definition = { ...chosen, steps };
  const isAsked = steps.length > 0;
  const answer = useReport(ask, isAsked ? 'funnel' : null, funnel.argumentsOf(definition));
  const set = (change) => choose({ view: funnel.write({ ...definition, ...change }) });
  const names = listed(types, counted.rows, steps);

  return html`<${Card} id="funnel" title="Funnel" actions=${html`<${Saved} definition=${definition} set=${set} />`}>
      <${Definition} definition=${definition} keys=${keysOf(types, steps)} set=${set} />
      ${!isAsked && counted.rows?.length === 0
        ? html`<p class="none">No events in this range.</p>`
        : html`<${Steps} definition=${definition} names=${names} rows=${answer.rows} isOld=${answer.isOld} set=${set} open=${seesPeople(session) ? setStep : null} />`}
      ${isAsked && html`<${Body} report=${answer}>${(rows) => html`<${Results} definition=${definition} rows=${rows} />`}<//>`}
    <//>
    ${step !== null && step <= steps.length && html`<${DropOuts} definition=${definition} step=${step} ask=${ask} choose=${choose} state=${state} onClose=${() => setStep(null)} />`}`;
}

/** The rows of `summary` by name, most events first. */
function byName(rows) {
  return (rows ?? []).filter((row) => row.is_others !== true && typeof row.breakdown_value === 'string')
    .map(({ breakdown_value: name, events }) => ({ name, events }));
}

/** All names that a step can have: the declared ones, those that occur, and those of the address. */
function listed(types, counted, steps) {
  const live = types.filter(({ status }) => status !== 'retired').map(({ name }) => name);
  return [...new Set([...live, ...byName(counted).map(({ name }) => name), ...steps])].sort();
}

/** The keys that the payloads of these names may have, as declared. */
function keysOf(types, names) {
  const own = types.filter(({ name }) => names.includes(name));
  return [...new Set(own.flatMap((type) => [...type.required_keys ?? [], ...type.optional_keys ?? []]))];
}
