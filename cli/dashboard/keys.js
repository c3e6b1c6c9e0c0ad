// The keys that events can be cut by: name, subject, actor, and those of their payloads.

import { seesPeople } from './people.js';

/** Keys whose values are all different, or no single values: ids, times, sizes, texts, objects. */
const isScattered = (key) => /(^id|Id|_id|At|_at|[tT]imestamp|[mM]essage|[tT]ext|[mM]etadata|[uU]rl|Ms|_ms|[dD]uration|[cC]ount|[sS]ize|[bB]ytes)$/.test(key);

/**
 * The keys of payloads that the event types declare, those first that are most worth cutting by: with `counts`
 * (name → events) those of the types that occur.
 */
export function payloadKeysOf(types, counts) {
  const worth = new Map();
  for (const { name, required_keys: required, optional_keys: optional, count_keys: counted, status } of types) {
    if (status === 'retired') continue;
    const weight = counts ? counts.get(name) ?? 0 : 1;
    const add = (keys, points) => (keys ?? []).forEach((key) => worth.set(key, (worth.get(key) ?? (isScattered(key) ? -1e12 : 0)) + points * weight));
    add(required, 3);
    add(optional, 1);
    // Those with counts of their own are asked for often, and answered fast.
    add(counted, 1000);
  }
  return [...worth].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([key]) => `data.${key}`);
}

/** All keys that the events may be cut by. */
export function keysOf(types, session) {
  return ['name', 'subject', ...(seesPeople(session) ? ['actor'] : []), ...payloadKeysOf(types)];
}

/** What a key is called: payload keys as they are. */
export const titleOfKey = (key) => (key.startsWith('data.') ? key.slice(5) : key === 'actor' ? 'person' : key);
