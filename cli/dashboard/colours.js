// Colours of series: those of a name, whatever its rank.

const COUNT = 8;
const slots = new Map();

function slotOf(text) {
  let sum = 7;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 65521;
  return sum % COUNT;
}

/**
 * Returns the colours of values that are shown together. A value keeps its colour; only two of the same colour
 * that are shown together are told apart.
 * @param {(string | null)[]} values
 * @returns {Map<string | null, string>} names of colours of the style sheet
 */
export function coloursOf(values) {
  const taken = new Set();
  const found = new Map();
  for (const value of [...values].sort((a, b) => String(a).localeCompare(String(b)))) {
    let slot = slots.get(value) ?? slotOf(String(value));
    for (let n = 0; n < COUNT && taken.has(slot); n += 1) slot = (slot + 1) % COUNT;
    taken.add(slot);
    if (!slots.has(value)) slots.set(value, slot);
    found.set(value, `series-${slot}`);
  }
  return found;
}
