// The page: who is signed in, which page is shown, and when it asks again.

import { auth, makeAsk } from './api.js';
import { setZone } from './format.js';
import { Header } from './header.js';
import { watch } from './live.js';
import { Outage, Notices } from './notices.js';
import { spanOf } from './ranges.js';
import { fromScope, tokenOfAddress } from './share.js';
import { nameOf } from './session.js';
import { Door, signOut, whoAmI } from './sign_in.js';
import * as address from './state.js';
import { Toolbar } from './toolbar.js';
import { Safe, html, render, useEffect, useMemo, useRef, useReport, useState } from './ui.js';
import * as events from './events.js';
import * as experiments from './experiments.js';
import * as funnels from './funnels.js';
import * as overview from './overview.js';
import * as quality from './quality.js';
import * as retention from './retention.js';
import * as tenants from './tenants.js';
import { Welcome, useIsEmpty } from './welcome.js';

const PAGES = { overview, events, funnels, retention, experiments, quality, tenants };

/** Least time between two updates, since new events come in bursts. */
const CALM = 5e3;
const AGAIN = 10e3;
const NONE = [];

/** Returns a state that the session may see. */
function fitted(state, session) {
  if (!session) return state;
  const isMany = session.kind === 'read' && (session.all_tenants || session.tenants.length > 1);
  if (!isMany) return { ...state, tenant: null, page: state.page === 'tenants' ? 'overview' : state.page };
  const isKnown = state.tenant === 'all' || session.all_tenants || session.tenants.some(({ id }) => id === state.tenant);
  if (state.tenant && isKnown) return state;
  // Begins with the list of tenants.
  return { ...state, tenant: 'all', page: state.page === 'overview' ? 'tenants' : state.page };
}

function App() {
  const [phase, setPhase] = useState('loading');
  const [why, setWhy] = useState(null);
  const [session, setSession] = useState(null);
  const [state, setState] = useState(() => address.read(location.search));
  const [turn, setTurn] = useState({ isNews: false });
  const [outage, setOutage] = useState(null);
  const [notices, setNotices] = useState(NONE);
  const [live, setLive] = useState('poll');
  const [isBusy, setBusy] = useState(true);
  const goodUntil = useRef(null);
  const views = useRef({});
  const asked = useRef(0);
  const pending = useRef(0);
  const who = useRef(null);
  who.current = session;

  const enter = (found) => {
    setSession(found);
    setState((known) => fitted(found.scope ? fromScope(found.scope, known) : known, found));
    setPhase('shown');
  };
  const signedIn = (found) => {
    setWhy(null);
    enter(found);
    // The form that had the focus is gone.
    setTimeout(() => document.getElementById('page')?.focus({ preventScroll: true }));
  };
  const leave = async (reason = null, { isEnd = true } = {}) => {
    if (isEnd) await signOut();
    setSession(null);
    setWhy(reason);
    setPhase('door');
  };

  useEffect(() => {
    const begin = () => {
      auth.share = tokenOfAddress();
      setPhase('loading');
      whoAmI().then((found) => (found ? enter(found) : setPhase('door')), (fault) => {
        if (fault.status === 401) return leave(`${fault.message[0].toUpperCase()}${fault.message.slice(1)}.`, { isEnd: false });
        setOutage(fault);
        setPhase('away');
        return setTimeout(begin, AGAIN);
      });
    };
    const moved = () => {
      work();
      setState(fitted(address.read(location.search), who.current));
    };
    begin();
    addEventListener('hashchange', begin);
    addEventListener('popstate', moved);
    return () => { removeEventListener('hashchange', begin); removeEventListener('popstate', moved); };
  }, []);

  // Busy until nothing is on its way, also not what a panel asks for as soon as it is drawn.
  const work = () => {
    setBusy(true);
    const soon = document.hidden ? (then) => setTimeout(then, 50) : requestAnimationFrame;
    soon(() => soon(() => setTimeout(() => { if (pending.current === 0) setBusy(false); }, 50)));
  };

  const choose = (change) => {
    work();
    const isMoved = change.page && change.page !== state.page;
    if (isMoved) views.current[state.page] = state.view;
    const view = change.view ?? (isMoved ? views.current[change.page] ?? {} : state.view);
    const next = fitted({ ...state, ...change, view }, session);
    history.pushState(null, '', address.write(next) + location.hash);
    setState(next);
    if (isMoved) scrollTo(0, 0);
  };

  // What is shown differently is not asked again.
  const { tenant, range, since, until, compare, filters, time_zone: zone } = state;
  const question = JSON.stringify([tenant, range, since, until, compare, filters, zone]);
  const base = useMemo(() => spanOf({ ...state, unit: null }), [question, turn]);
  const span = base.units.includes(state.unit) ? { ...base, unit: state.unit } : base;
  const ask = useMemo(() => {
    asked.current = Date.now();
    const about = { fault: null, notices: new Set() };
    return makeAsk({
      isNews: turn.isNews,
      state,
      span: base,
      pending: (change) => {
        pending.current += change;
        work();
      },
      told: (fault, said = []) => {
        if (!fault) {
          goodUntil.current = Date.now();
          for (const notice of said) about.notices.add(notice);
          setNotices((known) => (about.notices.size === 0 && known.length === 0 ? known : [...about.notices]));
          if (!about.fault) setOutage(null);
        } else if (fault.isOutage) {
          about.fault = fault;
          setOutage(fault);
        } else if (fault.status === 401) {
          leave(auth.share ? fault.message : 'The session has ended: the key was revoked or has expired. Sign in again.', { isEnd: !auth.share });
        }
      },
    });
  }, [base, session]);

  const again = (isNews = false) => {
    work();
    setTurn({ isNews: isNews === true });
  };
  useEffect(() => {
    if (!outage || phase !== 'shown') return undefined;
    const timer = setTimeout(again, Math.max(AGAIN, (outage.retryAfter ?? 0) * 1000));
    return () => clearTimeout(timer);
  }, [outage, turn, phase]);

  useEffect(() => {
    if (phase !== 'shown') return undefined;
    let waiting = null;
    const news = () => {
      waiting ??= setTimeout(() => {
        waiting = null;
        if (!document.hidden) again(true);
      }, Math.max(0, asked.current + CALM - Date.now()));
    };
    const seen = () => { if (!document.hidden && Date.now() - asked.current > 60e3) again(); };
    document.addEventListener('visibilitychange', seen);
    // The reports come first: a browser has only a few connections.
    let stop = () => {};
    const starting = setTimeout(() => { stop = watch(state.tenant, news, setLive); }, 600);
    return () => { clearTimeout(starting); stop(); clearTimeout(waiting); document.removeEventListener('visibilitychange', seen); };
  }, [phase, session, state.tenant]);

  setZone(state.time_zone);
  document.title = phase === 'shown' ? `${address.PAGES[state.page]} · ${nameOf(session, state.tenant)}` : 'eventlog';
  document.body.dataset.state = phase !== 'shown' ? phase : outage ? 'away' : 'shown';
  if (phase === 'door') return html`<${Door} why=${why} onSession=${signedIn} />`;
  if (phase !== 'shown') return html`<main class="door">${outage ? html`<${Outage} fault=${outage} again=${() => location.reload()} />` : html`<p class="none">Loading…</p>`}</main>`;
  return html`<${Shown} ...${{ state, session, span, ask, choose, again, live, outage, notices, isBusy, goodUntil: goodUntil.current, leave }} />`;
}

function Shown({ state, session, span, ask, choose, again, live, outage, notices, isBusy, goodUntil, leave }) {
  const { rows: types = NONE } = useReport(ask, 'names', {}, { keep: 300e3 });
  const { Page } = PAGES[state.page];
  const isEmpty = useIsEmpty({ ask, session, state, choose });
  const props = { state, span, choose, ask, session, types, again };
  return html`<a class="skip" href="#page" onClick=${(event) => { event.preventDefault(); document.getElementById('page').focus(); }}>Skip to the reports</a>
    <${Header} ...${props} live=${outage ? 'away' : live} leave=${leave} />
    <${Toolbar} ...${props} />
    <main id="page" tabindex="-1" class="page-${state.page} ${outage ? 'is-away' : ''}" aria-busy=${isBusy} 
        data-since=${span.since} data-until=${span.until} data-before-since=${span.before?.since} data-before-until=${span.before?.until} data-unit=${span.unit} data-zone=${state.time_zone}>
      ${outage ? html`<${Outage} fault=${outage} again=${again} goodUntil=${goodUntil} />` : null}
      <${Notices} notices=${notices} />
      <${Safe} key=${state.page}>${isEmpty && !outage ? html`<${Welcome} ...${props} live=${live} />` : html`<${Page} ...${props} />`}<//>
    </main>
    <footer><p>Times are in ${state.time_zone.replaceAll('_', ' ')}. Sampled events count with their weight. <a href="/api/openapi.json">API of this page</a></p></footer>`;
}

render(html`<${App} />`, document.getElementById('root'));
