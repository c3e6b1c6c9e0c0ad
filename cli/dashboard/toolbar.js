// The row below the top: the range, what it is compared with, the filters, and sharing.

import { COMPARISONS, RANGES } from './ranges.js';
import { date, spanText } from './format.js';
import { Filters, wordsOf } from './filters.js';
import { rangesOf } from './share.js';
import { ShareButton } from './share_dialog.js';
import { fromJson } from './state.js';
import { Menu, Options, html, say, useEffect, useState } from './ui.js';

function CustomRange({ state, span, onChoose }) {
  const [from, setFrom] = useState(span.firstDay);
  const [to, setTo] = useState(span.lastDay);
  const submit = (event) => {
    event.preventDefault();
    const [since, until] = [from, to].sort();
    if (since) onChoose({ range: 'custom', since, until });
  };
  return html`<form class="custom" onSubmit=${submit} aria-label="Custom range">
    <label>From <input type="date" id="custom-from" value=${from} onInput=${(event) => setFrom(event.target.value)} /></label>
    <label>to <input type="date" id="custom-to" value=${to} onInput=${(event) => setTo(event.target.value)} /></label>
    <button type="submit">Show</button></form>`;
}

function RangeMenu({ state, span, choose, session }) {
  const options = rangesOf(session, Object.keys(RANGES).filter((range) => range !== 'custom')).map((value) => ({ value, text: RANGES[value] }));
  return html`<${Menu} id="range" label=${html`${state.range === 'custom' ? '' : html`<strong>${RANGES[state.range]}</strong> `}<span class="span">${spanText(span)}</span>`} title="Range">${(close) => {
    const chosen = (change) => { close(); choose(change); };
    return html`<${Options} options=${options} value=${state.range} onChoose=${(range) => chosen({ range, since: null, until: null, unit: null })} />
      <${CustomRange} ...${{ state, span }} onChoose=${chosen} />`;
  }}<//>`;
}

function CompareMenu({ state, choose }) {
  const options = Object.entries(COMPARISONS).map(([value, text]) => ({ value, text }));
  return html`<${Menu} id="compare" label=${state.compare === 'none' ? 'No comparison' : `vs ${COMPARISONS[state.compare].toLowerCase()}`} title="Compare with">${(close) =>
    html`<${Options} options=${options} value=${state.compare} onChoose=${(compare) => { close(); choose({ compare }); }} />`}<//>`;
}

/** What a share link shows, for whoever follows it. */
function Scope({ session }) {
  const { scope, expires_at: expiresAt } = session;
  return html`<p id="scope"><strong>Shared view</strong>${expiresAt ? ` until ${date(expiresAt)} ` : ' '}
    ${fromJson(scope?.filters).map((filter) => { const [key, rest] = wordsOf(filter); return html`<span class="chip is-fixed" key=${`${key}${rest}`}><b>${key}</b> ${rest}</span>`; })}</p>`;
}

/** The row of range, comparison, filters and sharing. */
export function Toolbar(props) {
  const { session, again, span } = props;
  useEffect(() => say(`Showing ${spanText(span)}.`), [span.firstDay, span.lastDay]);
  return html`<div class="toolbar" role="region" aria-label="Range and filters">
    ${session.kind === 'share' ? html`<${Scope} session=${session} />` : null}
    <${RangeMenu} ...${props} />${session.kind === 'share' ? null : html`<${CompareMenu} ...${props} />`}<${Filters} ...${props} />
    <div class="tools">${session.kind === 'share' ? null : html`<${ShareButton} ...${props} />`}
      <button type="button" id="refresh" class="quiet" title="Refresh" onClick=${again}><span aria-hidden="true">⟳</span><span class="vh">Refresh</span></button></div>
  </div>`;
}
