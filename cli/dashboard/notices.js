// What stands above the reports: an outage, and what the server noticed about the request.

import { hour } from './format.js';
import { html } from './ui.js';

function textOf(fault) {
  if (fault.status === 0) return ['The gateway does not answer.', html`Check that this machine is online and that <code>eventlog serve</code> is running.`];
  if (fault.status === 429) {
    return ['This key has reached its limit.', html`The page tries again later. To create a key with a higher limit: <code>eventlog key create --kind read --rate-limit N</code>`];
  }
  return [`The gateway answers, but ${fault.message}.`, html`Start PostgreSQL, or fix the settings of <code>eventlog serve</code> (PGHOST and so on); its <a href="/readyz">/readyz</a> and its log say what is missing.`];
}

/** Says what is away, of when the reports are, and what to do. */
export function Outage({ fault, again, goodUntil }) {
  const [title, what] = textOf(fault);
  return html`<div class="notice bad" role="alert" id="outage">
    <p><strong>${title}</strong>${goodUntil ? ` The reports below are from ${hour(goodUntil)}.` : ''}</p>
    <p>${what} The page tries again by itself.</p>
    <button type="button" onClick=${again}>Try again now</button></div>`;
}

/** Shows the server's notices, such as that a filter names an unknown event. */
export function Notices({ notices }) {
  if (notices.length === 0) return null;
  return html`<div class="notice" id="notices" role="status">${notices.map((text) => html`<p>${text}</p>`)}</div>`;
}
