// The client in a real Chromium, for tests/tests/cli/own_clients_shipped.rs: what a page logs while it is
// there, and what it had not sent when it went. The gateway takes requests of every origin.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(new URL("../../../tests/browser/package.json", import.meta.url));
const puppeteer = require("puppeteer-core");

const { EVENTLOG_URL: url, EVENTLOG_KEY: key, EVENTLOG_CHROMIUM: executablePath = "/usr/bin/chromium" } = process.env;
const LONG = 240_000;

const script = readFileSync(new URL("../dist/index.js", import.meta.url));
const page = `<!doctype html><title>shop</title><script type="module">
import { EventLog } from "./pg-eventlog.js";
window.log = new EventLog({ url: ${JSON.stringify(url)}, key: ${JSON.stringify(key)}, lingerMs: 3_600_000 });
</script>`;
const server = createServer((request, response) => {
  const isScript = request.url === "/pg-eventlog.js";
  response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
  response.end(isScript ? script : page);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

const args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await puppeteer.launch({ executablePath, args, headless: true, timeout: LONG, protocolTimeout: LONG });
try {
  const tab = await browser.newPage();
  const asked = [];
  const faults = [];
  tab.on("request", (request) => asked.push(request.method()));
  tab.on("console", (message) => faults.push(message.text()));
  tab.on("pageerror", (error) => faults.push(String(error)));
  await tab.goto(origin);
  const stats = await tab.evaluate(async () => {
    for (let n = 0; n < 1_000; n += 1) window.log.track("tool_used", { toolName: "t", n });
    return window.log.flush({ timeoutMs: 120_000 });
  });
  assert.deepEqual([stats.accepted, stats.dropped], [1_000, 0], JSON.stringify(stats));
  // The page goes, and none of these was sent.
  await tab.evaluate(() => {
    for (let n = 1_000; n < 1_100; n += 1) window.log.track("tool_used", { toolName: "t", n });
  });
  await tab.goto("about:blank");
  assert.deepEqual(faults, []);
  // A browser that ends takes its requests with it: the test says when the log has them.
  console.log("gone");
  await once(process.stdin.resume(), "end");
  assert.ok(asked.includes("POST") && !asked.includes("OPTIONS"), "no request needs leave of its own");
} finally {
  await browser.close();
  server.close();
}
