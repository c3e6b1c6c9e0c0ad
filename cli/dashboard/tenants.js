// The page Tenants: which of them grow.

import { Card, html } from './ui.js';

/** @param {{state: import('./state.js').State, choose: Function, ask: Function, session: object}} props */
export function Page() {
  return html`<${Card} id="tenants" title="Tenants"><p class="none">Not built yet.</p></${Card}>`;
}
