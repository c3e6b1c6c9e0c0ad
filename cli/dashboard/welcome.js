// What an empty log shows: how to send the first event. When it comes, the page goes to Events by itself.

import { addressOf, json } from './api.js';
import { keyCommand, programs } from './first_event.js';
import { Copyable, html, say, useEffect, useRef, useState } from './ui.js';

/**
 * Tells whether the tenant has no event at all, and goes to Events once the first one has come. As long as it is not
 * known, and for a share link, which cannot know, it is null.
 */
export function useIsEmpty({ ask, session, state, choose }) {
  const [found, setFound] = useState({ tenant: undefined, isEmpty: null });
  const isEmpty = found.tenant === state.tenant ? found.isEmpty : null;
  useEffect(() => {
    if (isEmpty === false || session.kind === 'share') return undefined;
    let isWanted = true;
    const any = addressOf('get_events', { tenant: state.tenant, since: '1970-01-01', row_limit: 1 });
    json(any).then(({ rows }) => {
      if (!isWanted) return;
      setFound({ tenant: state.tenant, isEmpty: rows.length === 0 });
      if (isEmpty && rows.length > 0) {
        say('The first event has arrived.');
        // A range that has ended would not show it.
        choose({ page: 'events', view: {}, filters: [], ...(state.range === 'custom' ? { range: '24h' } : {}) });
      }
    }, () => {});
    return () => { isWanted = false; };
  }, [ask]);
  return isEmpty;
}

export function Welcome({ session, state, live }) {
  const tenant = state.tenant && state.tenant !== 'all' ? state.tenant : session?.tenants?.[0]?.id ?? 'TENANT';
  const list = programs({ origin: location.origin, tenant });
  const [chosen, setChosen] = useState(list[0].id);
  const tabs = useRef(null);
  const { before, code, title } = list.find(({ id }) => id === chosen);
  const keys = (event) => {
    const at = list.findIndex(({ id }) => id === chosen);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: list.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const { id } = list.at(to % list.length);
    setChosen(id);
    tabs.current.querySelector(`#tab-${id}`).focus();
  };
  return html`<section class="panel welcome" id="welcome" aria-labelledby="title-welcome">
    <div class="head"><h2 id="title-welcome"><span class="spinner" aria-hidden="true"></span>Waiting for the first event</h2>
      <p class="note" role="status">${live === 'live' ? 'Listening: it shows here as soon as it arrives.' : 'Looking once a minute.'}</p></div>
    <p>This tenant has no events yet. Make a key that can log, then send one:</p>
    <${Copyable} text=${keyCommand(tenant)} />
    <div class="tabs" role="tablist" aria-label="Programs" ref=${tabs} onKeyDown=${keys}>
      ${list.map((one) => html`<button type="button" role="tab" id=${`tab-${one.id}`} key=${one.id} aria-selected=${String(one.id === chosen)}
        aria-controls="program" tabindex=${one.id === chosen ? '0' : '-1'} onClick=${() => setChosen(one.id)}>${one.title}</button>`)}
    </div>
    <div role="tabpanel" id="program" aria-labelledby=${`tab-${chosen}`} tabindex="0" data-program=${chosen}>
      ${before && html`<pre class="before" tabindex="0" aria-label=${`Before ${title}`}><code>${before}</code></pre>`}
      <${Copyable} key=${chosen} text=${code} />
    </div>
  </section>`;
}
