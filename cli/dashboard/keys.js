// The keys of this tab. They are kept until it is closed, and never put into an address.

const PLACE = 'eventlog.keys';
const SHAPE = /^el_r_[0-9a-f]{16}_[0-9a-f]{64}$/;

/** The part of a key that is no secret. */
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

/** What is wrong with a text as a key to read; null for nothing. */
export function fault(text) {
  if (SHAPE.test(text)) return null;
  if (/^el_w_/.test(text)) return 'This key is for writing. A key to read begins with el_r_.';
  if (/^el_r_/.test(text)) return 'The key is not whole: copy all of it, el_r_… with 64 digits at the end.';
  return 'This is no key: a key to read begins with el_r_.';
}
