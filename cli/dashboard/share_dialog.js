// The dialog that makes a share link.

import { html } from './ui.js';

/** The button Share, and its dialog. */
export function ShareButton() {
  return html`<button type="button" id="share">Share</button>`;
}
