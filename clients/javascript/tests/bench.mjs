// How long `track` takes, for bench/src/clients.rs: node bench.mjs EVENTS

import { setImmediate, setTimeout } from "node:timers/promises";
import { EventLog } from "../src/index.js";

const events = Number(process.argv[2]);

/** Prints the median, the 99th percentile and the longest, in µs: of `track`, or of its JSON alone. */
async function measure(name, count, pause, isJson = false) {
  const log = new EventLog({
    url: process.env.EVENTLOG_URL, key: process.env.EVENTLOG_KEY, queueEvents: 1_000_000, queueBytes: 1e9,
  });
  const times = [];
  for (let n = 0; n < count; n += 1) {
    const data = {
      toolName: "search", hookEvent: "PostToolUse", number: n, success: true,
      note: "as long as the payload of an ordinary event, more or less",
    };
    const began = process.hrtime.bigint();
    if (isJson) JSON.stringify(data);
    else log.track("tool_used", data, { actor: `user ${n % 50}` });
    times.push(Number(process.hrtime.bigint() - began) / 1_000);
    await pause(n);
  }
  const { dropped } = await log.close({ timeoutMs: 120_000 });
  if (dropped > 0) throw new Error(`${dropped} dropped`);
  times.sort((a, b) => a - b);
  const at = (part) => times[Math.floor((times.length - 1) * part)].toFixed(3);
  if (name) console.log(name, at(0.5), at(0.99), at(1));
}

const steady = async (n) => n % 10 === 9 && setTimeout(10);
const flood = async (n) => n % 100 === 99 && setImmediate();
await measure("", 1_000, flood);
await measure("JSON", events / 2, steady, true);
await measure("steady", events / 2, steady);
await measure("flood", events, flood);
