// Retrying rejected events. It writes, so it takes the key itself: the page asks for it if it has only a session.

import { auth, json } from './api.js';
import { sentence } from './format_more.js';
import { plural } from './format.js';
import { KeyAgain } from './sign_in.js';
import { Dialog, html, useState } from './ui.js';

/** @param {{names: string[], tenant: string | null, done: () => void}} props */
export function Retry({ names, tenant, done }) {
  const [isOpen, setOpen] = useState(false);
  return html`<button type="button" class="first" id="retry-open" onClick=${() => setOpen(true)}>Retry…</button>
    ${isOpen && html`<${Form} names=${names} tenant=${tenant} onClose=${(isDone) => { setOpen(false); if (isDone) done(); }} />`}`;
}

function Form({ names, tenant, onClose }) {
  const [chosen, setChosen] = useState(names);
  const [hasKey, setHasKey] = useState(auth.key !== null);
  const [{ fault, isBusy, answer }, setState] = useState({});
  const retry = async (event) => {
    event.preventDefault();
    setState({ isBusy: true });
    try {
      setState({ answer: await json(`/api/replay${tenant ? `?tenant=${tenant}` : ''}`, { method: 'POST', body: { names: chosen } }) });
    } catch (refusal) {
      setState({ fault: sentence(refusal.message) });
    }
  };
  const toggle = (name) => ({ target }) => setChosen(target.checked ? [...chosen, name] : chosen.filter((one) => one !== name));
  const body = () => {
    if (answer) return html`<p role="status" id="retried">${told(answer)}</p>`;
    if (!hasKey) return html`<${KeyAgain} why="To retry events the page needs the key itself: a session can only read." onKey=${() => setHasKey(true)} />`;
    return html`<form id="retry" onSubmit=${retry}>
      <p>Events that fit the rules now are logged. The others stay, with the reason.</p>
      <fieldset class="checks"><legend>Events</legend>
        ${names.map((name) => html`<label><input type="checkbox" checked=${chosen.includes(name)} onChange=${toggle(name)} /> ${name}</label>`)}
      </fieldset>
      <p class="fault" role="alert">${fault ?? ''}</p>
      <div class="actions"><button type="submit" class="first" disabled=${isBusy || chosen.length === 0}>Retry</button></div>
    </form>`;
  };
  return html`<${Dialog} id="retry-dialog" title="Retry rejected events" onClose=${() => onClose(Boolean(answer))}>${body()}<//>`;
}

/** Says what became of the events. */
function told({ replayed = 0, still_rejected: rejected = 0 }) {
  return `${plural(replayed, 'event')} logged, ${rejected === 0 ? 'none' : plural(rejected, 'event')} rejected again.`;
}
