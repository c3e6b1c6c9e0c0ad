// The keys that events can be cut by: name, subject, actor, and those of their payloads.

import { seesPeople } from './people.js';

/** The keys of payloads that the event types declare, most common first. */
export function payloadKeysOf(types) {
  const counts = new Map();
  for (const { required_keys: required = [], optional_keys: optional = [], count_keys: counted = [], status } of types) {
    if (status === 'retired') continue;
    // Those with counts of their own are asked for often, and answered fast.
    for (const key of new Set([...(required ?? []), ...(optional ?? []), ...(counted ?? [])])) {
      counts.set(key, (counts.get(key) ?? 0) + ((counted ?? []).includes(key) ? 1000 : 1));
    }
  }
  return [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([key]) => `data.${key}`);
}

/** All keys that the events may be cut by. */
export function keysOf(types, session) {
  return ['name', 'subject', ...(seesPeople(session) ? ['actor'] : []), ...payloadKeysOf(types)];
}

/** What a key is called: payload keys as they are. */
export const titleOfKey = (key) => (key.startsWith('data.') ? key.slice(5) : key === 'actor' ? 'person' : key);
