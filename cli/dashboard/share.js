// Share links: a view without a key, which expires.

import { json } from './api.js';
import { asJson, read, write } from './state.js';

const SHAPE = /^#share=(el_v_[0-9a-f]{16}_[0-9a-f]{64})$/;

/** Returns the token of a share link in the address, or null. */
export const tokenOfAddress = () => SHAPE.exec(location.hash)?.[1] ?? null;

/** How long a link may work, as the dialog offers it. */
export const EXPIRIES = { '1 day': '1 day', '7 days': '7 days', '30 days': '30 days', '90 days': '90 days', '1 year': '1 year' };

/**
 * Returns the state that a share link opens with: the range and the page of its scope. Its filters are applied by
 * the gateway, so they are not among those that can be removed; what came before the range is not in it.
 */
export function fromScope(scope, state) {
  // After a reload the address has what was chosen since.
  const known = location.search.length > 1 ? state : read(scope.view ?? '');
  const page = location.search.length > 1 ? known.page : read(`?page=${encodeURIComponent(scope.page ?? '')}`).page;
  return { ...known, page, tenant: null, filters: location.search.length > 1 ? known.filters : [], compare: 'none' };
}

const DAYS = { '24h': 1, week: 7, '7d': 7, '30d': 30, month: 31, '90d': 90, year: 366 };

/** The ranges that a session may choose: those within the span of a share link. */
export function rangesOf(session, ranges) {
  if (session.kind !== 'share' || !session.scope?.range) return ranges;
  const { range } = session.scope;
  return ranges.filter((one) => one === range || DAYS[one] <= (DAYS[range] ?? 0));
}

/** Makes a link to what is shown. Needs the key itself. @returns {Promise<{link: string, expires_at: string, id: string}>} */
export async function makeLink({ state, span, expiresIn, people }) {
  const { id, token, expires_at: expiresAt } = await json('/api/share', {
    method: 'POST',
    body: {
      page: state.page,
      view: write({ ...state, tenant: null, filters: [] }),
      filters: state.filters.length > 0 ? asJson(state.filters) : null,
      since: span.since,
      until: span.until,
      range: state.range,
      time_zone: state.time_zone,
      expires_in: expiresIn,
      people,
      tenant_id: state.tenant ?? undefined,
    },
  });
  return { link: `${location.origin}/#share=${token}`, expires_at: expiresAt, id };
}
