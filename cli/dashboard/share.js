// Share links: a view without a key, which expires.

import { read } from './state.js';

const SHAPE = /^#share=(el_v_[0-9a-f]{16}_[0-9a-f]{64})$/;

/** Returns the token of a share link in the address, or null. */
export const tokenOfAddress = () => SHAPE.exec(location.hash)?.[1] ?? null;

/** Returns the state that a share link opens with: its scope, and what the address has besides. */
export function fromScope(scope, state) {
  const own = read(location.search);
  return { ...state, ...(location.search.length > 1 ? own : {}), time_zone: scope.time_zone ?? state.time_zone };
}
