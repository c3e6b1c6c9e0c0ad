// Signing in: a read key becomes a session, which the browser keeps as a cookie that no script can read.

import { Refusal, auth, json } from './api.js';
import { Copyable, html, useEffect, useRef, useState } from './ui.js';

const SHAPE = /^el_r_[0-9a-f]{16}_[0-9a-f]{64}$/;

/** Returns what is wrong with a text as a read key, or null. */
export function faultOf(text) {
  if (SHAPE.test(text)) return null;
  if (/^el_w_/.test(text)) return 'This is a write key. A read key begins with el_r_.';
  if (/^el_r_/.test(text)) return 'The key is incomplete: copy all of it, from el_r_ to the last of 64 digits.';
  return 'This is not a key: a read key begins with el_r_.';
}

/**
 * Who is signed in.
 * @typedef {{key_id: string | null, kind: 'read' | 'share', description: string, tenants: {id: string, name: string | null}[],
 *   all_tenants: boolean, can_replay: boolean, expires_at: string | null, scope: object | null}} Session
 */

/** Remembers that this browser has a session, which no script can see. */
const PLACE = 'eventlog.signed_in';
const remember = (isIn) => (isIn ? localStorage.setItem(PLACE, 'yes') : localStorage.removeItem(PLACE));

/** Signs in with a key, for this browser. @returns {Promise<Session>} */
export async function signIn(key) {
  const before = { ...auth };
  Object.assign(auth, { key, share: null });
  try {
    const session = await json('/api/session', { method: 'POST' });
    remember(true);
    // A link that led here has no further meaning.
    if (before.share) history.replaceState(null, '', location.pathname);
    return session;
  } catch (fault) {
    Object.assign(auth, before);
    throw fault;
  }
}

/** Returns who is signed in, by the cookie or a share link; null for nobody. @returns {Promise<Session | null>} */
export async function whoAmI() {
  if (!auth.share && !localStorage.getItem(PLACE)) return null;
  try {
    return await json('/api/session');
  } catch (fault) {
    if (fault instanceof Refusal && !auth.share && fault.status === 401) return null;
    throw fault;
  }
}

/** Ends the session. */
export async function signOut() {
  auth.key = null;
  remember(false);
  await json('/api/session', { method: 'DELETE' }).catch(() => {});
}

const said = (fault) => {
  if (fault.status === 401) return 'The key is unknown, revoked or expired.';
  if (fault.status === 429) return 'Too many attempts, or the key is at its limit. Try again in a minute.';
  return `The key could not be tried: ${fault.message}.`;
};

/** A field for a key, which calls `onKey` with one that has the right shape. */
export function KeyForm({ id, button, onKey }) {
  const field = useRef(null);
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  useEffect(() => field.current.focus(), []);
  const submit = async (event) => {
    event.preventDefault();
    const key = field.current.value.trim();
    const wrong = faultOf(key);
    setFault(wrong ?? '');
    if (wrong) return;
    setBusy(true);
    try {
      await onKey(key);
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      setFault(said(refusal));
    } finally {
      setBusy(false);
    }
  };
  return html`<form id="${id}-form" onSubmit=${submit}>
      <label for="${id}-key">Key</label>
      <input id="${id}-key" ref=${field} type="password" autocomplete="off" spellcheck="false" required placeholder="el_r_…" aria-describedby="${id}-fault" />
      <button type="submit" class="first" disabled=${isBusy}>${button}</button>
    </form><p class="fault" id="${id}-fault" role="alert">${fault}</p>`;
}

/** The page of those who have not signed in. */
export function Door({ why, onSession }) {
  return html`<main class="door panel" id="door" aria-labelledby="door-title" tabindex="-1">
    <h1 id="door-title"><img src="/dashboard/icon.svg" alt="" width="22" height="22" /> Sign in with a read key</h1>
    ${why ? html`<p id="door-why" class="why">${why}</p>` : null}
    <${KeyForm} id="door" button="Sign in" onKey=${async (key) => onSession(await signIn(key))} />
    <div class="help"><p>The log’s owner creates a key for a tenant:</p>
      <${Copyable} text="eventlog key create --kind read --tenant UUID" />
      <p>This browser stays signed in for 30 days, or until you sign out. The key itself is not stored.</p></div>
  </main>`;
}

/** Asks for the key again, where only the key itself will do: to share, and to replay. */
export function KeyAgain({ why, onKey }) {
  return html`<div class="key-again"><p>${why}</p><${KeyForm} id="again" button="Go on" onKey=${async (key) => { await signIn(key); onKey(); }} /></div>`;
}
