// The steps of a funnel, and a form to choose others.

import { h } from './dom.js';

const USUAL = ['conversation_started', 'message_sent', 'escalation_triggered'];
const MOST = 8;

/** Returns the chosen steps, else common ones that occur, else the names with the most events. */
export function stepsOf(state, counted) {
  if (state.steps.length > 0) return state.steps;
  const found = counted.map(({ name }) => name);
  const usual = USUAL.filter((name) => found.includes(name));
  return usual.length > 1 ? usual : found.slice(0, 3);
}

/** Makes a form for the steps; calls `choose` with the new ones. */
export function form(steps, names, choose) {
  const option = (name, chosen) => h('option', { value: name, selected: name === chosen }, name);
  const listed = (chosen) => [...new Set([...names, chosen])].sort();
  const field = (step, position) => h('label', {}, `Step ${position + 1} `,
    h('select', { 'data-step': position }, listed(step).map((name) => option(name, step))));
  const read = (element) => [...element.closest('form').querySelectorAll('select')].map((select) => select.value);
  return h('form', { class: 'steps', 'aria-label': 'Steps of the funnel', onsubmit: (event) => { event.preventDefault(); choose(read(event.target.firstChild)); } },
    steps.map(field),
    h('div', { class: 'actions' },
      h('button', { type: 'submit' }, 'Show'),
      steps.length < MOST && names.length > 0
        ? h('button', { type: 'button', class: 'quiet', onclick: (event) => choose([...read(event.target), names.find((name) => !steps.includes(name)) ?? names[0]]) }, 'Add a step') : null,
      steps.length > 2
        ? h('button', { type: 'button', class: 'quiet', onclick: (event) => choose(read(event.target).slice(0, -1)) }, 'Remove the last') : null));
}
