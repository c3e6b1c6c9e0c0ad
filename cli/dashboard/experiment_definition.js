// The definition of an experiment: what the address says of it, and what the report is asked.

/** Horizons by their form in the address: how long after the exposure an event of the metric counts. */
export const HORIZONS = {
  all: [null, 'the end of the range'],
  '1h': ['1 hour', '1 hour'],
  '1d': ['1 day', '1 day'],
  '7d': ['7 days', '7 days'],
  '14d': ['14 days', '14 days'],
  '30d': ['30 days', '30 days'],
};

const LONGEST = 200;
const one = (value) => {
  const [text] = [value ?? []].flat();
  return typeof text === 'string' && text !== '' ? text.slice(0, LONGEST) : null;
};
const keyOf = (value) => (/^data\..+/s.test(one(value) ?? '') ? one(value) : null);

/** Reads a definition from parameters of the address; what is invalid has the default. */
export function read(parameters) {
  const within = one(parameters.within);
  return {
    exposure: one(parameters.exposure),
    variantKey: keyOf(parameters.variant_key),
    metric: one(parameters.metric_name),
    valueKey: keyOf(parameters.value_key),
    control: one(parameters.control),
    within: Object.hasOwn(HORIZONS, within ?? '') ? within : 'all',
    isLowerBetter: one(parameters.better) === 'lower',
  };
}

/** Writes a definition as parameters of the address, without what is usual. */
export function write({ exposure, variantKey, metric, valueKey, control, within, isLowerBetter }) {
  return {
    ...(exposure ? { exposure: [exposure] } : {}),
    ...(variantKey ? { variant_key: [variantKey] } : {}),
    ...(metric ? { metric_name: [metric] } : {}),
    ...(valueKey ? { value_key: [valueKey] } : {}),
    ...(control ? { control: [control] } : {}),
    ...(within === 'all' ? {} : { within: [within] }),
    ...(isLowerBetter ? { better: ['lower'] } : {}),
  };
}

/** True if the report can be asked. */
export const isWhole = ({ exposure, variantKey, metric }) => Boolean(exposure && variantKey && metric);

/** The arguments of the report `experiment_results`. */
export function argumentsOf({ exposure, variantKey, metric, valueKey, control, within, isLowerBetter }) {
  const [interval] = HORIZONS[within];
  return {
    exposure,
    variant_key: variantKey,
    metric,
    ...(valueKey ? { value_key: valueKey } : {}),
    ...(control ? { control } : {}),
    ...(interval ? { within: interval } : {}),
    ...(isLowerBetter ? { lower_is_better: true } : {}),
  };
}
