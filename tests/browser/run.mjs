// Runs one scenario of `scenarios.mjs`, by name.

import * as scenarios from './scenarios.mjs';

const [name] = process.argv.slice(2);
try {
  await scenarios[name]();
  process.exit(0);
} catch (error) {
  console.error(error);
  process.exit(1);
}
