// The top of the page: whose figures these are, the pages, the time zone, the theme, and signing out.

import { nameOf, pagesOf } from './session.js';
import { PAGES, write } from './state.js';
import { nextTheme, onTheme, theme } from './theme.js';
import { allZones, browserZone, offsetText } from './time_zone.js';
import { Menu, Options, html, useEffect, useMemo, useReport, useState } from './ui.js';

const LIVE = { live: 'Live', poll: 'Every 60 s', away: 'Offline' };

/** The tenants to choose from. A key of all tenants has those with events. */
function Tenants({ state, session, ask, onChoose }) {
  const { rows } = useReport(ask, session.tenants.length === 0 ? 'tenants_overview' : null, { tenant: 'all', row_limit: 1000 });
  const known = session.tenants.length > 0 ? session.tenants : (rows ?? []).map((row) => ({ id: row.tenant_id, name: row.display_name }));
  const listed = known.map(({ id, name }) => ({ value: id, text: name || id, note: name ? id.slice(0, 8) : null }));
  return html`<${Options} options=${[{ value: 'all', text: 'All tenants' }, ...listed]} value=${state.tenant} search="Find a tenant" onChoose=${onChoose} />`;
}

function TenantMenu({ state, session, choose, ask }) {
  const isMany = session.kind === 'read' && (session.all_tenants || session.tenants.length > 1);
  const name = nameOf(session, state.tenant);
  const isId = !isMany && !session.tenants[0]?.name;
  if (!isMany) return html`<p class="tenant ${isId ? 'is-id' : ''}" id="tenant" title=${session.description || name}>${name}</p>`;
  const label = html`<span class="tenant-name">${name}</span>`;
  return html`<${Menu} id="tenant" class="tenant" label=${label} title="Choose a tenant">${(close) => html`<${Tenants} ...${{ state, session, ask }} onChoose=${(tenant) => {
    close();
    choose({ tenant, filters: [], page: tenant === 'all' ? 'tenants' : state.page === 'tenants' ? 'overview' : state.page });
  }} />`}<//>`;
}

function ZoneMenu({ state, choose }) {
  const own = browserZone();
  const shown = (zone) => zone.replaceAll('_', ' ');
  const options = useMemo(() => {
    const first = [...new Set([own, 'UTC', state.time_zone])];
    const zones = [...first, ...allZones().filter((zone) => !first.includes(zone))];
    return zones.map((zone, n) => ({ value: zone, text: shown(zone), note: n < first.length ? (zone === own ? `this browser’s, ${offsetText(zone)}` : offsetText(zone)) : null }));
  }, [state.time_zone]);
  return html`<${Menu} id="zone" align="right" label=${html`<span class="vh">Time zone: </span>${offsetText(state.time_zone)}`} title="Time zone: ${shown(state.time_zone)}">${(close) =>
    html`<${Options} options=${options} value=${state.time_zone} search="Find a time zone" onChoose=${(zone) => { close(); choose({ time_zone: zone }); }} />`}<//>`;
}

function ThemeButton() {
  const [name, setName] = useState(theme());
  useEffect(() => onTheme(setName), []);
  const sign = { auto: '◐', light: '☀', dark: '☾' }[name];
  return html`<button type="button" id="theme" class="quiet" title="Theme: ${name}" onClick=${nextTheme}><span aria-hidden="true">${sign}</span><span class="vh">Theme: ${name}</span></button>`;
}

function AccountMenu({ session, leave }) {
  if (session.kind === 'share') return null;
  return html`<${Menu} id="account" align="right" label=${html`<span class="vh">Your key</span><svg class="icon" viewBox="0 0 20 20" aria-hidden="true"><circle cx="7" cy="13" r="4" /><path d="m10 10 7-7m-3 3 3 3" /></svg>`} title="Your key">${() => html`
    <p class="account"><strong>${session.description || 'A read key'}</strong><br /><code>el_r_${session.key_id}…</code></p>
    <button type="button" class="option" id="sign-out" onClick=${() => leave()}>Sign out</button>
    <button type="button" class="option" id="other-key" onClick=${() => leave('Sign in with another key.')}>Use another key</button>`}<//>`;
}

/** The top of the page. */
export function Header({ state, session, choose, ask, live, leave }) {
  return html`<header class="bar">
    <p class="brand"><img src="/dashboard/icon.svg" alt="eventlog" width="22" height="22" /></p>
    <h1 class="vh">${PAGES[state.page]} of ${nameOf(session, state.tenant)}</h1>
    <${TenantMenu} ...${{ state, session, choose, ask }} />
    <nav aria-label="Pages">${pagesOf(session).map((page) => html`<a key=${page} href=${write({ ...state, page, view: {} })} aria-current=${page === state.page ? 'page' : undefined}
      onClick=${(event) => { if (!event.metaKey && !event.ctrlKey && !event.shiftKey) { event.preventDefault(); choose({ page }); } }}>${PAGES[page]}</a>`)}</nav>
    <div class="tools">
      <p class="live" id="live" data-kind=${live}><span class="dot" aria-hidden="true"></span><span id="live-text">${LIVE[live]}</span></p>
      <${ZoneMenu} ...${{ state, choose }} /><${ThemeButton} /><${AccountMenu} ...${{ session, leave }} />
    </div>
  </header>`;
}
