// The dialog that makes a share link, and lists those there are.

import { auth, json } from './api.js';
import { date, spanText } from './format.js';
import { nameOf } from './session.js';
import { EXPIRIES, makeLink } from './share.js';
import { KeyAgain } from './sign_in.js';
import { PAGES, fromJson } from './state.js';
import { wordsOf } from './filters.js';
import { Copyable, Dialog, html, useEffect, useState } from './ui.js';

/** Pages that a link can show. */
const SHARED = ['overview', 'funnels', 'retention', 'events'];

function Links({ turn }) {
  const [links, setLinks] = useState([]);
  const load = () => json('/api/shares').then(({ shares }) => setLinks(shares ?? []), () => setLinks([]));
  useEffect(() => { load(); }, [turn]);
  if (links.length === 0) return null;
  const end = (id) => json(`/api/share/${id}`, { method: 'DELETE' }).then(load, load);
  const about = ({ scope }) => [PAGES[scope?.page] ?? 'A view', ...fromJson(scope?.filters).map((filter) => wordsOf(filter).join(' '))].join(', ');
  return html`<h3>Links that work now</h3><ul class="links">${links.map((link) => html`<li key=${link.id}>
    <span>${about(link)}<span class="note"> until ${date(link.expires_at)}</span></span>
    <button type="button" onClick=${() => end(link.id)}>End<span class="vh"> the link to ${about(link)} until ${date(link.expires_at)}</span></button></li>`)}</ul>`;
}

function Maker({ state, span, session }) {
  const [expiresIn, setExpiresIn] = useState('30 days');
  const [people, setPeople] = useState(state.page === 'events');
  const [made, setMade] = useState(null);
  const [fault, setFault] = useState('');
  const [turn, setTurn] = useState(0);
  const submit = async (event) => {
    event.preventDefault();
    setFault('');
    try {
      setMade(await makeLink({ state, span, expiresIn, people }));
      setTurn(turn + 1);
    } catch (refusal) {
      setFault(`No link was made: ${refusal.message}.`);
    }
  };
  const filters = state.filters.map((filter) => wordsOf(filter).join(' ')).join('; ');
  return html`<p>Anybody with the link sees <strong>${PAGES[state.page]}</strong> of <strong>${nameOf(session, state.tenant)}</strong>, ${spanText(span)}${filters ? `, where ${filters}` : ''}, and nothing else. No key is needed.</p>
    <form class="share-form" onSubmit=${submit}>
      <label>The link works for <select id="share-expires" value=${expiresIn} onChange=${(event) => setExpiresIn(event.target.value)}>${Object.entries(EXPIRIES).map(([value, text]) => html`<option value=${value} selected=${value === expiresIn}>${text}</option>`)}</select></label>
      <label class="check"><input type="checkbox" id="share-people" checked=${people} disabled=${state.page === 'events'} onChange=${(event) => setPeople(event.target.checked)} /> It shows single people and events</label>
      <button type="submit" class="first">Make a link</button></form>
    <p class="fault" role="alert">${fault}</p>
    ${made ? html`<div id="share-link" role="status"><p>Works until ${date(made.expires_at)}. It is shown once: copy it now.</p><${Copyable} text=${made.link} label="Copy" /></div>` : null}
    <${Links} turn=${turn} />`;
}

/** The button Share, and its dialog. */
export function ShareButton(props) {
  const [isOpen, setOpen] = useState(false);
  const [hasKey, setHasKey] = useState(Boolean(auth.key));
  if (!SHARED.includes(props.state.page)) return null;
  return html`<button type="button" id="share" onClick=${() => { setHasKey(Boolean(auth.key)); setOpen(true); }}>Share</button>
    ${isOpen ? html`<${Dialog} id="share-dialog" title="Share this view" onClose=${() => setOpen(false)}>
      ${hasKey ? html`<${Maker} ...${props} />`
        : html`<${KeyAgain} why="The browser’s session can only read. To make a link, enter the key again." onKey=${() => setHasKey(true)} />`}<//>` : null}`;
}
