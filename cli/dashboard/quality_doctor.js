// The doctor's findings: what is wrong with the log itself, with the command that fixes it.

import { json } from './api.js';
import { Card, html, useEffect, useState } from './ui.js';
import { plural } from './format.js';
import { sentence } from './format_more.js';

const STATES = { wrong: 'Wrong', advice: 'Advice', unseen: 'Not seen', ok: 'OK' };

export function Doctor() {
  const [found, setFound] = useState({});
  useEffect(() => {
    let isWanted = true;
    json('/api/doctor').then((answer) => answer.findings ?? answer.rows ?? answer).then(
      (findings) => { if (isWanted) setFound({ findings }); },
      (fault) => { if (isWanted) setFound({ fault }); },
    );
    return () => { isWanted = false; };
  }, []);
  const { findings, fault } = found;
  const of = (state) => (findings ?? []).filter((finding) => finding.state === state);
  const list = [...of('wrong'), ...of('advice')];
  const rest = [...of('unseen'), ...of('ok')];
  return html`<${Card} id="doctor" title="The log itself" note=${html`as <code>eventlog doctor</code> sees it`}>
    ${fault && html`<p class="broken" role="alert">${sentence(fault.message)}</p>`}
    ${!findings && !fault && html`<p class="none">Loading…</p>`}
    ${findings && list.length === 0 && html`<p class="none">Nothing is wrong.</p>`}
    ${list.length > 0 && html`<${Findings} list=${list} />`}
    ${rest.length > 0 && html`<details class="more"><summary>${plural(rest.length, 'check')} without a finding</summary><${Findings} list=${rest} /></details>`}
  <//>`;
}

const Findings = ({ list }) => html`<ul class="findings">
  ${list.map(({ check, state, found, fix, role }) => html`<li data-state=${state} data-check=${check}>
    <p><strong>${STATES[state] ?? state}</strong> <span class="muted">${check}</span> ${found}</p>
    ${fix && html`<pre tabindex="0" aria-label=${`Fix of ${check}`}><code>${fix}</code></pre>`}
    ${fix && role && html`<p class="muted">${role === 'superuser' ? 'As a superuser.' : `As ${role}, or a superuser.`}</p>`}
  </li>`)}
</ul>`;
