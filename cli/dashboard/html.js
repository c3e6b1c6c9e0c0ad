// Makes elements of templates.

import htm from './htm.js';
import { h } from './preact.js';

/** Makes elements: html`<p class="note">${text}</p>`. */
export const html = htm.bind(h);
