// Takes docs/dashboard.png, the README's picture, of a demo that runs:
//
//     EVENTLOG_BROWSER='{"origin": "http://127.0.0.1:…", "keys": {"a": "el_r_…"}, "chromium": "/usr/bin/chromium"}' \
//         node demo/picture.mjs
//
// The packages are those of the browser's tests: make setup-tests.

import { enter, inBrowser, keys } from '../tests/browser/browser.mjs';

await inBrowser(async (page) => {
  await enter(page, keys.a);
  // Charts come to rest.
  await new Promise((done) => { setTimeout(done, 1500); });
  await page.screenshot({ path: 'docs/dashboard.png' });
}, { width: 1280, height: 1180 });
process.exit(0);
