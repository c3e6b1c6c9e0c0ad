// Settings: what is out of range is cut to it, what is no number has its default.

import { trackUrl } from "./transport.js";

/** As long as a timer can wait. */
const FOR_EVER = 2 ** 31 - 1;

function number(value, standard, least, most) {
  const given = typeof value === "number" && !Number.isNaN(value) ? value : standard;
  return Math.min(Math.max(given, least), most);
}

/** Returns true unless `EVENTLOG_ENABLED` is 0. */
function isEnabledByEnvironment() {
  try {
    return globalThis.process?.env?.EVENTLOG_ENABLED !== "0";
  } catch {
    // Deno asks for a permission.
    return true;
  }
}

/** Returns the time limit of `flush` or `close`. */
export function timeLimit(options, standard) {
  return number(options?.timeoutMs, standard, 0, FOR_EVER);
}

/** Returns the settings of a client, and why it cannot send, if so. */
export function settingsOf(options) {
  const isBrowser = typeof globalThis.document === "object" && typeof globalThis.addEventListener === "function";
  const given = options.fetch;
  const settings = {
    enabled: options.enabled ?? isEnabledByEnvironment(),
    key: options.key,
    address: null,
    fault: null,
    isBrowser,
    confirm: options.confirm ?? !isBrowser,
    gzip: options.gzip ?? true,
    queueEvents: number(options.queueEvents, 10_000, 1, 1e9),
    queueBytes: number(options.queueBytes, 16 << 20, 1_024, 1e12),
    batchEvents: number(options.batchEvents, 500, 1, 1_000),
    batchBytes: number(options.batchBytes, isBrowser ? 60_000 : 512 << 10, 1_024, 1_000_000),
    maxEventBytes: number(options.maxEventBytes, 256 << 10, 64, 1_000_000),
    lingerMs: number(options.lingerMs, 500, 0, FOR_EVER),
    timeoutMs: number(options.timeoutMs, 15_000, 1, FOR_EVER),
    maxRetries: number(options.maxRetries, Infinity, 0, Infinity),
    retryBaseMs: number(options.retryBaseMs, 200, 1, FOR_EVER),
    retryMaxMs: number(options.retryMaxMs, 10_000, 1, FOR_EVER),
    beforeSend: typeof options.beforeSend === "function" ? options.beforeSend : null,
    fetch: (address, init) => (given ?? globalThis.fetch)(address, init),
  };
  try {
    settings.address = trackUrl(options.url);
  } catch (error) {
    settings.fault = `the url cannot be used: ${error?.message}`;
  }
  if (typeof options.key !== "string" || !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(options.key)) settings.fault = "the key is missing or is no key";
  return settings;
}
