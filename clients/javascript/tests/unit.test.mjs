// What needs no gateway: node --test clients/javascript/tests/unit.test.mjs

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { EventLog } from "../src/index.js";
import { toJson } from "../src/json.js";
import { meaning, retryAfter, trackUrl } from "../src/transport.js";

/** A client whose gateway is a function of the events of a request. */
function client(answer, options) {
  const requests = [];
  const notices = [];
  const fetch = async (address, init) => {
    const body = JSON.parse(init.body);
    const events = body.events ?? body;
    requests.push({ address, init, events });
    const { status = 202, body: said = { accepted: events.length }, headers = {} } = (await answer?.(events, requests.length)) ?? {};
    return new Response(JSON.stringify(said), { status, headers });
  };
  const onDrop = (notice) => notices.push(notice);
  const log = new EventLog({ url: "http://gateway", key: "key", gzip: false, lingerMs: 0, retryBaseMs: 1, fetch, onDrop, ...options });
  return { log, requests, notices };
}

/** The names of the events of each request. */
const names = (requests) => requests.map(({ events }) => events.map(({ name }) => name).join(" "));

test("data is written as JSON.stringify writes it", () => {
  const values = [
    {}, [], null, { a: 1, b: [true, false, null, undefined, () => 1], c: undefined, d: Symbol("s"), e: -0, f: 1e300 },
    { date: new Date(0), none: new Date(NaN), boxed: [new Number(1), new String("s"), new Boolean(false)] },
    { text: "\"\\\n\u0000\u2028ä😀", "key \"\u0001": 1 }, { map: new Map([[1, 2]]), own: { toJSON: (key) => `it is ${key}` } },
    { nested: { toJSON: () => ({ deep: [new Date(1)] }) } }, Object.create({ inherited: 1 }), { bytes: new Uint8Array(3) },
  ];
  for (const value of values) assert.equal(toJson(value, 1e6), JSON.stringify(value));
});

test("data that JSON cannot hold drops its event alone, and is counted by reason", async () => {
  const { log, requests, notices } = client();
  const circle = { a: {} };
  circle.a.b = circle;
  let deep = {};
  for (let level = 0; level < 100_000; level += 1) deep = { deep };
  const strange = [
    circle, deep, { n: 1n }, { n: NaN }, { n: -Infinity }, { s: "\ud800" }, { "\udc00": 1 },
    { get x() { throw new Error("no"); } }, { toJSON() { throw new Error("no"); } }, { a: { toJSON: () => 1n } },
    new Proxy({}, { ownKeys() { throw new Error("no"); } }), { get x() { return this.x; } },
  ];
  for (const data of strange) log.track("strange", data);
  const huge = ["x".repeat(1e8), new Array(1e9), Buffer.alloc(1e8), Array.from({ length: 1e6 }, (_, n) => n)];
  for (const value of huge) log.track("huge", { value });
  for (const data of ["text", 1, [], () => 1]) log.track("no object", data);
  for (const name of [undefined, null, "", 7, Symbol("s"), {}, "x".repeat(5_000)]) log.track(name, {});
  for (const options of [{ actor: {} }, { actor: "" }, { subject: [] }, { occurredAt: new Date(NaN) }, { get actor() { throw new Error("no"); } }]) {
    log.track("options", {}, options);
  }
  log.track("good", { n: 1 });
  const { reasons, accepted } = await log.close();
  assert.deepEqual(reasons, { not_json: strange.length + 1, too_large: huge.length, invalid: 4 + 7 + 4 });
  assert.equal(accepted, 1);
  assert.deepEqual(names(requests), ["good"]);
  // At once for each reason, and the rest at the end.
  assert.equal(notices.length, 6);
  assert.equal(notices.reduce((sum, { count }) => sum + count, 0), strange.length + 1 + huge.length + 15);
  assert.match(notices[0].message, /"b" contains itself/);
});

test("an event has a key and a time of its own, or those that it is given", async () => {
  const { log, requests } = client();
  log.track("a");
  log.track("a", null, { actor: 17, subject: 5n, occurredAt: new Date(0), idempotencyKey: "mine" });
  await log.close();
  const [one, two] = requests[0].events;
  assert.match(one.idempotencyKey, /^[0-9a-f-]{32,36}-\d+-[0-9a-z]+$/);
  assert.ok(Math.abs(one.occurredAt - Date.now()) < 60_000);
  assert.deepEqual(two, { name: "a", actor: "17", subject: "5", occurredAt: "1970-01-01T00:00:00.000Z", idempotencyKey: "mine" });
});

test("what fails is sent again with the same keys", async () => {
  const { log, requests } = client((_, times) => {
    if (times === 1) throw new TypeError("fetch failed");
    if (times < 6) return { status: [408, 429, 500, 503][times - 2], headers: { "Retry-After": "0" } };
    return null;
  });
  log.track("a");
  const stats = await log.close();
  assert.equal(stats.accepted, 1);
  assert.equal(stats.failingForMs, null);
  assert.match(stats.lastError, /503/);
  assert.equal(requests.length, 6);
  assert.equal(new Set(requests.map(({ events }) => events[0].idempotencyKey)).size, 1);
});

test("retries end where they have a limit", async () => {
  const { log, requests } = client(() => ({ status: 503 }), { maxRetries: 2 });
  log.track("a");
  assert.deepEqual((await log.close()).reasons, { retries: 1 });
  assert.equal(requests.length, 3);
});

test("a refused event is dropped alone, whether the gateway says which or not", async () => {
  for (const says of [true, false]) {
    const { log, requests } = client((events) => {
      const position = events.findIndex(({ name }) => name === "bad");
      return position < 0 ? null : { status: 400, body: { error: { message: "no", ...(says && { position }) } } };
    });
    for (const name of ["a", "bad", "b", "c", "bad", "d"]) log.track(name);
    const { accepted, reasons } = await log.close();
    assert.deepEqual([accepted, reasons], [4, { refused: 2 }]);
    if (says) assert.deepEqual(names(requests), ["a bad b c bad d", "a b c bad d", "a b c d"]);
  }
});

test("a batch that is too large is halved, in order", async () => {
  const { log, requests } = client((events) => (events.length > 2 ? { status: 413 } : null));
  for (const name of "abcdefg") log.track(name);
  assert.equal((await log.close()).accepted, 7);
  const taken = names(requests).filter((_, place) => requests[place].events.length <= 2);
  assert.equal(taken.join(" "), "a b c d e f g");
});

test("batches keep to their bounds", async () => {
  const { log, requests } = client(null, { batchEvents: 3, batchBytes: 1_024 });
  for (const name of "abcdefg") log.track(name, { pad: name === "d" ? "x".repeat(1_000) : "" });
  await log.close();
  assert.deepEqual(names(requests), ["a b c", "d", "e f g"]);
});

test("beforeSend gets a copy, may change or drop it, and its error drops its event alone", async () => {
  const beforeSend = (event) => {
    if (event.name === "throws") throw new Error("no");
    if (event.name === "waits") return Promise.resolve(event);
    if (event.name === "dropped") return null;
    delete event.data.secret;
    return { ...event, actor: "changed" };
  };
  const { log, requests } = client(null, { beforeSend });
  const data = { secret: "s", open: 1 };
  for (const name of ["a", "throws", "waits", "dropped", "b"]) log.track(name, data, { idempotencyKey: name });
  const { reasons } = await log.close();
  assert.deepEqual(reasons, { before_send_failed: 2, before_send: 1 });
  assert.deepEqual(requests[0].events.map(({ name, data, actor, idempotencyKey }) => [name, data, actor, idempotencyKey]), [
    ["a", { open: 1 }, "changed", "a"], ["b", { open: 1 }, "changed", "b"],
  ]);
  assert.equal(data.secret, "s");
});

test("a client that is off does nothing, by its setting or by the environment", async () => {
  process.env.EVENTLOG_ENABLED = "0";
  const byEnvironment = client();
  delete process.env.EVENTLOG_ENABLED;
  for (const { log, requests } of [byEnvironment, client(null, { enabled: false })]) {
    log.track("a");
    assert.equal(log.trackExecution("a", () => 1), 1);
    assert.equal((await log.close()).submitted, 0);
    assert.equal(requests.length, 0);
  }
});

test("a client without an address or a key drops and says why, and never throws", async () => {
  for (const options of [undefined, null, {}, { url: "gateway", key: "k" }, { url: "http://a:b@gateway", key: "k" }, { url: "http://gateway", key: "k\n" }]) {
    const notices = [];
    const log = new EventLog(options && { ...options, onDrop: (notice) => notices.push(notice) });
    if (options === undefined || options === null) continue;
    log.track("a");
    assert.deepEqual((await log.close()).reasons, { misconfigured: 1 });
    assert.equal(notices.length, 1);
  }
  const hostile = new EventLog({ get url() { throw new Error("no"); }, onDrop: null });
  hostile.track("a");
  assert.deepEqual((await hostile.close()).reasons, { misconfigured: 1 });
});

test("a callback that throws harms nobody", async () => {
  const { log } = client(null, { onDrop: () => { throw new Error("no"); } });
  log.track("a", { n: NaN });
  log.track("b");
  assert.equal((await log.close()).accepted, 1);
});

test("close ends within its time, and says what may be in the log", async () => {
  const { log } = client(() => setTimeout(60_000, null, { ref: false }), { batchEvents: 2 });
  for (const name of "abc") log.track(name);
  await setTimeout(50);
  assert.deepEqual((await log.close({ timeoutMs: 50 })).reasons, { unconfirmed: 2, closed: 1 });
  log.track("late");
  assert.deepEqual((await log.close()).reasons, { unconfirmed: 2, closed: 2 });
});

test("executions hand on what functions return and throw, as it is", async () => {
  const { log, requests } = client();
  class Own extends Promise {}
  const own = new Own((resolve) => resolve(3));
  const thenable = { then() { throw new Error("called"); } };
  const generator = (function* () { yield 1; })();
  const frozen = Object.freeze({});
  for (const value of [undefined, null, 0, frozen, own, thenable, generator, (async function* () { yield 1; })()]) {
    assert.equal(log.trackExecution("a", () => value), value);
  }
  assert.equal(generator.next().value, 1);
  assert.equal(await own, 3);
  const errors = [new TypeError("no"), "text", undefined, null, 7, Symbol("s"), { get message() { throw new Error("no"); } }, Object.create(null)];
  for (const error of errors) {
    const thrown = await Promise.resolve().then(() => log.trackExecution("a", () => { throw error; })).catch((one) => one);
    const rejected = await log.trackExecution("a", () => Promise.reject(error)).catch((one) => one);
    assert.ok(Object.is(thrown, error) && Object.is(rejected, error));
  }
  log.trackExecution("a", () => 1, { get x() { throw new Error("no"); } });
  assert.equal(await log.trackExecution("a", async () => { throw new Error("long".repeat(1_000)); }).catch(() => 1), 1);
  await log.close();
  const sent = requests.flatMap(({ events }) => events);
  assert.equal(sent.length, 8 + 2 * errors.length + 1);
  assert.equal(sent.at(-1).data.errorMessage.length, 1_000);
  assert.ok(sent.every(({ data }) => data.durationMs >= 0 && data.success === (data.errorType === undefined)));
});

test("a page that is hidden sends at once what fits into a keepalive request", async () => {
  const target = new EventTarget();
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  globalThis.addEventListener = target.addEventListener.bind(target);
  globalThis.removeEventListener = target.removeEventListener.bind(target);
  try {
    const { log, requests } = client(null, { lingerMs: 60_000 });
    for (let n = 0; n < 100; n += 1) log.track("a", { n, pad: "x".repeat(900) });
    globalThis.document.dispatchEvent(new Event("visibilitychange"));
    assert.equal(requests.length, 0, "it is visible");
    globalThis.document.visibilityState = "hidden";
    globalThis.document.dispatchEvent(new Event("visibilitychange"));
    target.dispatchEvent(new Event("pagehide"));
    const bytes = requests.reduce((sum, { init }) => sum + Buffer.byteLength(init.body), 0);
    assert.ok(bytes > 40_000 && bytes <= 65_536, `${bytes} bytes`);
    assert.ok(requests.every(({ init }) => init.keepalive && init.credentials === "omit"));
    // Without a header for which the browser would have to ask first.
    assert.ok(requests.every(({ init }) => JSON.parse(init.body).key === "key"));
    assert.deepEqual(requests[0].init.headers, { "Content-Type": "text/plain" });
    assert.equal((await log.close()).accepted, 100);
    const sent = requests.flatMap(({ events }) => events.map(({ data }) => data.n));
    assert.equal(new Set(sent).size, 100);
  } finally {
    for (const name of ["document", "addEventListener", "removeEventListener"]) delete globalThis[name];
  }
});

test("answers mean what the gateway says", () => {
  const kinds = (status, body) => meaning(status, null, JSON.stringify(body ?? {})).kind;
  assert.deepEqual([200, 202, 204, 301, 400, 401, 403, 404, 408, 413, 415, 425, 429, 500, 502, 503].map((status) => kinds(status)), [
    "later", "taken", "later", "denied", "refused", "denied", "denied", "denied", "later", "too_large", "denied", "later", "later", "later", "later", "later",
  ]);
  assert.equal(kinds(403, { error: { message: "no", position: 3 } }), "refused");
  assert.equal(meaning(502, "7", "<html>").afterMs, 7_000);
  for (const [header, wait] of [[null, null], ["5", 5_000], ["soon", null], ["99999999", 900_000], [new Date(10_000).toUTCString(), 3_000]]) {
    assert.equal(retryAfter(header, 7_000), wait);
  }
  for (const [url, address] of [["http://a", "http://a/api/track"], ["https://a:1/b/", "https://a:1/b/api/track"], ["http://a/api/track?x", "http://a/api/track"]]) {
    assert.equal(trackUrl(url), address);
  }
});
