// The keys of this tab, kept until it is closed and never put into an address.

const PLACE = 'eventlog.keys';
const SHAPE = /^el_r_[0-9a-f]{16}_[0-9a-f]{64}$/;

/** Returns the part of a key that is not secret. */
export const idOf = (key) => key.slice(0, 21);

export function all() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? '[]');
    return kept.filter(({ key, tenant }) => SHAPE.test(key) && typeof tenant === 'string');
  } catch {
    return [];
  }
}

export function find(id) {
  return all().find(({ key }) => idOf(key) === id);
}

export function keep(key, tenant) {
  const others = all().filter((other) => idOf(other.key) !== idOf(key));
  sessionStorage.setItem(PLACE, JSON.stringify([...others, { key, tenant }]));
}

export function forget(id) {
  sessionStorage.setItem(PLACE, JSON.stringify(all().filter(({ key }) => idOf(key) !== id)));
}

/** Returns what is wrong with a text as a read key, or null. */
export function fault(text) {
  if (SHAPE.test(text)) return null;
  if (/^el_w_/.test(text)) return 'This is a write key. A read key begins with el_r_.';
  if (/^el_r_/.test(text)) return 'The key is incomplete: copy all of it, from el_r_ to the last of 64 digits.';
  return 'This is not a key: a read key begins with el_r_.';
}
