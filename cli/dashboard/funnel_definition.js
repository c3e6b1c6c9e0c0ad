// The definition of a funnel: what the address and the saved list say of it, and what the report is asked.

/** Windows by their form in the address. */
export const WINDOWS = {
  '1h': ['1 hour', '1 hour'],
  '6h': ['6 hours', '6 hours'],
  '1d': ['1 day', '1 day'],
  '3d': ['3 days', '3 days'],
  '7d': ['7 days', '7 days'],
  '14d': ['14 days', '14 days'],
  '30d': ['30 days', '30 days'],
  '90d': ['90 days', '90 days'],
};

export const MOST_STEPS = 20;
/** Values of a split that are drawn; the others are added up. */
export const MOST_VALUES = 6;

const PLACE = 'eventlog.funnels';
const OFTEN = ['conversation_started', 'message_sent', 'skill_executed', 'escalation_triggered'];
const LONGEST = 200;

const text = (value) => (typeof value === 'string' ? value.slice(0, LONGEST) : '');
const list = (value) => [value ?? []].flat().filter((one) => typeof one === 'string' && one !== '');
const isKey = (value) => /^data\..+/s.test(value);

/** Reads a definition from parameters of the address, or from the saved list; what is invalid has the default. */
export function read(parameters) {
  const [within] = list(parameters.within);
  const [by] = list(parameters.by);
  const [split] = list(parameters.split_by);
  const [attempt] = list(parameters.attempt);
  return {
    steps: list(parameters.step).map(text).slice(0, MOST_STEPS),
    within: Object.hasOwn(WINDOWS, within ?? '') ? within : '7d',
    by: by === 'subject' || isKey(by ?? '') ? text(by) : 'actor',
    split: ['actor', 'subject'].includes(split) || isKey(split ?? '') ? text(split) : null,
    isFirstOnly: attempt === 'first',
  };
}

/** Writes a definition as parameters of the address, without what is usual. */
export function write({ steps, within, by, split, isFirstOnly }) {
  return {
    ...(steps.length > 0 ? { step: steps } : {}),
    ...(within === '7d' ? {} : { within: [within] }),
    ...(by === 'actor' ? {} : { by: [by] }),
    ...(split ? { split_by: [split] } : {}),
    ...(isFirstOnly ? { attempt: ['first'] } : {}),
  };
}

/** Chooses steps for a log that nobody has chosen any for: the usual ones, or the most frequent names. */
export function suggest(counted) {
  const names = counted.filter(({ events }) => events > 0).map(({ name }) => name);
  const usual = OFTEN.filter((name) => names.includes(name));
  return usual.length > 1 ? usual.slice(0, 3) : names.slice(0, 3);
}

/** The arguments of the reports `funnel` and `funnel_dropouts`. */
export function argumentsOf({ steps, within, by, split, isFirstOnly }) {
  const [interval] = WINDOWS[within];
  return {
    steps,
    within: interval,
    by,
    any_attempt: !isFirstOnly,
    ...(split ? { breakdown: split, top: MOST_VALUES } : {}),
  };
}

/** Says whom a definition counts. */
export function whoOf(by, count = 2) {
  if (by === 'actor') return count === 1 ? 'person' : 'people';
  if (by === 'subject') return count === 1 ? 'subject' : 'subjects';
  return `${count === 1 ? 'value' : 'values'} of ${by}`;
}

/** Puts the step at one position to another. */
export function move(steps, from, to) {
  const moved = steps.toSpliced(from, 1);
  return moved.toSpliced(to, 0, steps[from]);
}

/** The saved funnels of this browser, by name. */
export function saved() {
  try {
    const kept = JSON.parse(localStorage.getItem(PLACE) ?? '[]');
    return kept.filter(({ name }) => text(name) !== '').map(({ name, ...parameters }) => ({ name: text(name), ...read(parameters) }));
  } catch {
    return [];
  }
}

function keep(funnels) {
  const kept = funnels.map(({ name, ...definition }) => ({ name, ...write(definition) }));
  try {
    localStorage.setItem(PLACE, JSON.stringify(kept));
  } catch {
    // A browser that keeps nothing still shows the funnel.
  }
}

/** Saves a funnel; one of the same name is replaced. */
export function save(name, definition) {
  const others = saved().filter((other) => other.name !== name);
  keep([...others, { name, ...definition }].sort((a, b) => (a.name < b.name ? -1 : 1)));
}

export function remove(name) {
  keep(saved().filter((other) => other.name !== name));
}
