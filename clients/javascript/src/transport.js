// One request to the gateway, and what its answer means. Nothing in here throws.

/** A smaller body is sent as it is. */
const GZIP_FROM_BYTES = 1_024;

/** Longest answer that is read: verdicts of 1,000 events are a tenth of it. */
const LONGEST_ANSWER = 4 << 20;

/** Longest wait that a Retry-After may ask for. */
const LONGEST_WAIT_MS = 15 * 60 * 1_000;

/** Statuses that say: the same later. */
const LATER = new Set([408, 425, 429]);

/** Returns the address of `/api/track` below an address of the gateway; throws if it is none. */
export function trackUrl(url) {
  const address = new URL(String(url?.href ?? url));
  if (!/^https?:$/.test(address.protocol)) throw new TypeError("the url must begin with http:// or https://");
  if (address.username || address.password) throw new TypeError("the url must not have a user or a password");
  const path = address.pathname.replace(/\/+$/, "");
  return address.origin + (path.endsWith("/api/track") ? path : `${path}/api/track`);
}

async function compress(text) {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Reads an answer's text up to a limit. */
async function readText(response) {
  if (!response.body?.getReader) return (await response.text()).slice(0, LONGEST_ANSWER);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
    if (text.length > LONGEST_ANSWER) {
      await reader.cancel();
      return text;
    }
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Returns the milliseconds of a Retry-After header, in seconds or as a date; null without one. */
export function retryAfter(header, now = Date.now()) {
  if (!header) return null;
  const wait = /^\s*\d+\s*$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - now;
  return Number.isNaN(wait) ? null : Math.min(Math.max(wait, 0), LONGEST_WAIT_MS);
}

/**
 * Returns what an answer means for the events of its request:
 * `taken` with verdicts if the gateway waited for them, `refused` with the position of one event if the
 * gateway says which, `too_large`, `denied` by the key or the address, or `later`.
 */
export function meaning(status, header, text) {
  const body = parsed(text);
  const said = body?.error?.message;
  const message = typeof said === "string" ? `${status}: ${said}` : `the gateway answered ${status}`;
  if (status === 202) return { kind: "taken", verdicts: null };
  if (status === 200 && Array.isArray(body?.verdicts)) return { kind: "taken", verdicts: body.verdicts };
  if (status === 413) return { kind: "too_large", message };
  if (LATER.has(status) || status >= 500) return { kind: "later", afterMs: retryAfter(header), message };
  if (status >= 200 && status < 300) return { kind: "later", afterMs: null, message: `not the gateway's answer: ${status}` };
  const position = Number.isInteger(body?.error?.position) ? body.error.position : null;
  if (status === 400 || (status === 403 && position !== null)) return { kind: "refused", position, message };
  if (status === 0 || (status >= 300 && status < 400)) return { kind: "denied", message: "the url leads to another address: give that one" };
  return { kind: "denied", message };
}

/** Sends batches to one gateway. */
export class Transport {
  #settings;
  /** What is under way, to be aborted at the end. */
  #controllers = new Set();
  /** Bytes of keepalive requests under way. */
  keptAlive = 0;

  constructor(settings) {
    this.#settings = settings;
  }

  /**
   * Sends events; returns what the answer means. With `keepalive` a browser sends them even if the page
   * goes meanwhile; with `isLast` the page goes now, so that nothing can be waited for.
   */
  async send(items, keepalive, isLast = false) {
    const { timeoutMs } = this.#settings;
    const controller = new AbortController();
    this.#controllers.add(controller);
    let timer;
    // A fetch that does not heed its signal is left behind.
    const given = new Promise((resolve) => {
      const end = (message) => resolve({ kind: "later", afterMs: null, message });
      controller.signal.addEventListener("abort", () => end("the request was given up"));
      timer = setTimeout(() => {
        end(`no answer within ${timeoutMs} ms`);
        controller.abort();
      }, timeoutMs);
      timer.unref?.();
    });
    try {
      return await Promise.race([this.#ask(items, keepalive, isLast, controller.signal), given]);
    } catch (error) {
      const cause = error?.cause?.code ?? error?.cause?.message ?? error?.message;
      return { kind: "later", afterMs: null, message: `the gateway cannot be reached: ${cause ?? "no reason given"}` };
    } finally {
      clearTimeout(timer);
      this.#controllers.delete(controller);
    }
  }

  async #ask(items, keepalive, isLast, signal) {
    const { address, key, confirm, gzip, fetch, isBrowser } = this.#settings;
    const text = `[${items.map((item) => item.json).join(",")}]`;
    const bytes = items.reduce((sum, item) => sum + item.bytes + 1, 1);
    const init = { method: "POST", signal, redirect: "manual" };
    if (isBrowser) {
      // Plain text with the key in it, for which a browser need not ask first whether it may.
      const body = `{"key":"${key}","events":${text}}`;
      Object.assign(init, { headers: { "Content-Type": "text/plain" }, body, keepalive, credentials: "omit" });
    } else {
      init.headers = { "Content-Type": "application/json", Authorization: `Bearer ${key}` };
      init.body = text;
      if (gzip && bytes >= GZIP_FROM_BYTES && typeof CompressionStream === "function") {
        init.body = await compress(text);
        init.headers["Content-Encoding"] = "gzip";
      }
    }
    if (globalThis.process?.env?.NEXT_RUNTIME) init.cache = "no-store";
    if (keepalive) this.keptAlive += bytes;
    try {
      const response = await fetch(confirm && !isLast ? `${address}?wait=true` : address, init);
      return meaning(response.status, response.headers.get("retry-after"), await readText(response));
    } finally {
      if (keepalive) this.keptAlive -= bytes;
    }
  }

  /** Gives up what is under way. */
  abort() {
    for (const controller of this.#controllers) controller.abort();
  }
}
