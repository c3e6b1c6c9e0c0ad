// Does something with the built client, for tests/tests/cli/own_clients.rs: node scenarios.mjs NAME
//
// The gateway is that of EVENTLOG_URL, with the key EVENTLOG_KEY. What comes of it is printed as JSON, a
// line each; `have` has the test do something and waits until it has.

import { createInterface } from "node:readline";
import { setImmediate, setTimeout } from "node:timers/promises";
import { EventLog } from "../dist/index.js";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (what) => console.log(JSON.stringify(what));
const have = async (what) => {
  say({ have: what });
  await lines.next();
};

const notices = [];
const client = (options) =>
  new EventLog({
    url: process.env.EVENTLOG_URL,
    key: process.env.EVENTLOG_KEY,
    onDrop: (notice) => notices.push(notice),
    lingerMs: 20,
    retryMaxMs: 200,
    ...options,
  });
const number = (log, n, options) => log.track("tool_used", { toolName: "t", n }, { actor: `user ${n % 10}`, ...options });
const range = (count) => Array.from({ length: count }, (_, n) => n);
const LONG = { timeoutMs: 120_000 };

const scenarios = {
  async thousand() {
    const log = client();
    for (const n of range(1_000)) number(log, n, { subject: `thing ${n}`, occurredAt: new Date(1_764_000_000_000 + n) });
    say(await log.close(LONG));
  },

  async outage() {
    const log = client();
    let sent = 0;
    const timer = setInterval(() => number(log, sent++), 2);
    const until = async (count) => {
      while (sent < count) await setTimeout(5);
    };
    await until(100);
    await have("kill");
    await until(sent + 100);
    await have("start");
    await until(sent + 100);
    clearInterval(timer);
    say({ sent, ...(await log.close(LONG)) });
  },

  async flood() {
    const log = client({ queueEvents: 1_000 });
    const memory = () => {
      globalThis.gc();
      return process.memoryUsage().heapUsed;
    };
    number(log, 0);
    const before = memory();
    for (const n of range(200_000)) {
      number(log, n);
      if (n % 5_000 === 0) await setImmediate();
    }
    const full = log.stats();
    const grown = memory() - before;
    say({ full, grown, noticesMeanwhile: notices.length, ...(await log.close({ timeoutMs: 100 })), notices });
  },

  async hang() {
    const log = client({ timeoutMs: 300 });
    for (const n of range(100)) number(log, n);
    const flushed = await log.flush({ timeoutMs: 1_000 });
    for (const n of range(100)) number(log, n);
    const began = Date.now();
    const closed = await log.close({ timeoutMs: 500 });
    number(log, 1);
    say({ flushed, tookMs: Date.now() - began, ...closed, late: log.stats().reasons.closed });
  },

  async few() {
    const log = client();
    for (const n of range(10)) number(log, n);
    say({ ...(await log.close(LONG)), notices });
  },

  async refused() {
    const log = client();
    number(log, 0);
    number(log, 1, { occurredAt: "no time" });
    number(log, 2);
    log.track("nonesuch", { n: 3 });
    number(log, 4, { occurredAt: "nor this" });
    number(log, 5);
    say({ ...(await log.close(LONG)), notices });
  },

  async limit() {
    const log = client({ batchEvents: 30 });
    for (const n of range(70)) number(log, n);
    say(await log.close(LONG));
  },

  async gzip() {
    const encodings = [];
    const fetch = (address, init) => {
      encodings.push(init.headers["Content-Encoding"] ?? "none");
      return globalThis.fetch(address, init);
    };
    const log = client({ fetch });
    number(log, 0);
    await log.flush(LONG);
    for (const n of range(50)) log.track("tool_used", { toolName: "t", n: n + 1, text: "äöü€😀".repeat(50) });
    say({ ...(await log.close(LONG)), encodings });
  },

  async exits() {
    const log = client({ lingerMs: 60_000 });
    for (const n of range(50)) number(log, n);
  },

  async execution() {
    const log = client();
    const failure = new RangeError("out of range");
    const caught = [];
    const attempt = async (call) => {
      try {
        return await call();
      } catch (error) {
        caught.push(error === failure);
      }
    };
    const context = { actor: "user 1" };
    const results = [
      log.trackExecution("skill_executed", () => 1, { skillName: "sync" }, context),
      await log.trackExecution("skill_executed", async () => 2, { skillName: "async" }, context),
    ];
    await attempt(() => log.trackExecution("skill_executed", () => { throw failure; }, { skillName: "throws" }, context));
    await attempt(() => log.trackExecution("skill_executed", async () => { throw failure; }, { skillName: "rejects" }, context));
    say({ results, caught, ...(await log.close(LONG)) });
  },
};

await scenarios[process.argv[2]]();
process.stdin.destroy();
