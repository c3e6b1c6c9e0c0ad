// Runs one scenario, by name.

import * as funnels from './funnels.mjs';
import * as quality from './quality.mjs';
import * as retention from './retention.mjs';
import * as scenarios from './scenarios.mjs';
import * as welcome from './welcome.mjs';

const all = { ...scenarios, ...funnels, ...retention, ...quality, ...welcome };
const [name] = process.argv.slice(2);
try {
  await all[name]();
  process.exit(0);
} catch (error) {
  console.error(error);
  process.exit(1);
}
