// What a session may see, and what its tenants are called.

import { PAGES } from './state.js';

/** What a tenant is called: its name, else its id. */
export function nameOf(session, id) {
  if (id === 'all' || (session.all_tenants && !id)) return 'All tenants';
  const found = id ? session.tenants.find((tenant) => tenant.id === id) : session.tenants[0];
  // One that has no name is known by what its key is for.
  const purpose = session.tenants.length === 1 ? session.description : null;
  return found?.name || purpose || found?.id || id || 'Tenant';
}

/** The pages that a session may open. */
export function pagesOf(session) {
  const isMany = session.all_tenants || session.tenants.length > 1;
  return Object.keys(PAGES).filter((page) => {
    if (page === 'tenants') return isMany && session.kind === 'read';
    if (session.kind !== 'share') return true;
    return page === 'overview' || page === 'funnels' || page === 'retention' || (page === 'events' && session.scope?.people);
  });
}
