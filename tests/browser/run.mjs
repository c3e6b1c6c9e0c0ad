// Runs one scenario, by name.

import * as alerts from './alerts.mjs';
import * as events from './events.mjs';
import * as experiments from './experiments.mjs';
import * as funnels from './funnels.mjs';
import * as overview from './overview.mjs';
import * as quality from './quality.mjs';
import * as retention from './retention.mjs';
import * as signingIn from './signing_in.mjs';
import * as states from './states.mjs';
import * as welcome from './welcome.mjs';

const all = { ...alerts, ...overview, ...events, ...states, ...signingIn, ...funnels, ...retention, ...experiments, ...quality, ...welcome };
const [name] = process.argv.slice(2);
try {
  await all[name]();
  process.exit(0);
} catch (error) {
  console.error(error);
  process.exit(1);
}
