// The page Quality: alerts, what fails, how long things take, what was refused, what drifts, and the state of the log.

import { html, useState } from './ui.js';
import { Alerts } from './quality_alerts.js';
import { Doctor } from './quality_doctor.js';
import { Errors } from './quality_errors.js';
import { Quarantine } from './quality_quarantine.js';
import { Subjects } from './quality_subjects.js';
import { Taxonomy } from './quality_taxonomy.js';

/** @param {{state: import('./state.js').State, choose: Function, ask: Function, session: object, again: Function}} props */
export function Page(props) {
  const { session } = props;
  // A share link is of reports that take filters.
  const isShare = session?.kind === 'share';
  // Events that were logged again may change the drift, whose answer is kept for long.
  const [retries, setRetries] = useState(0);
  return html`${!isShare && html`<${Alerts} ...${props} />`}
    <${Errors} ...${props} />
    <${Subjects} ...${props} />
    ${!isShare && html`<${Quarantine} ...${props} retried=${() => setRetries((count) => count + 1)} /><${Taxonomy} key=${retries} ...${props} />`}
    ${session?.all_tenants && html`<${Doctor} />`}`;
}
