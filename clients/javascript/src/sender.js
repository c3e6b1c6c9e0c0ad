// The queue of events and the loop that sends it.

import { forget, sendAtExit } from "./exit.js";

/** How long the log knows an idempotency key is a day: a batch that is older could be logged twice. */
const LONGEST_TRY_MS = 23 * 60 * 60 * 1_000;

/** Refusals in a row after which the next request waits. */
const REFUSALS_AT_ONCE = 20;
const REFUSAL_PAUSE_MS = 50;

/** Browsers let keepalive requests under way have 64 KiB together. */
const KEEPALIVE_BYTES = 60_000;

/** Holds events within bounds, and sends them in batches, one after another. */
export class Sender {
  #settings;
  #tally;
  #transport;
  #queue = [];
  /** Place in the queue of the first event that waits. */
  #head = 0;
  #queuedBytes = 0;
  /** Events and bytes in the queue or under way. */
  pending = 0;
  #pendingBytes = 0;
  /** Counts of events that came in and went out, to know when a flush is done. */
  #entered = 0;
  #left = 0;
  #waiters = new Set();
  #timer = null;
  #isSending = false;
  /** Most events of the next batch: fewer after an answer of 413. */
  #most;
  #failures = 0;
  #refusals = 0;
  #denials = 0;
  /** Ends the wait before the next try. */
  #endWait = null;
  #isClosed = false;

  constructor(settings, tally, transport) {
    this.#settings = settings;
    this.#tally = tally;
    this.#transport = transport;
    this.#most = settings.batchEvents;
  }

  /** Puts an event into the queue, unless that is full. */
  push(item) {
    const { queueEvents, queueBytes, batchEvents, batchBytes, lingerMs } = this.#settings;
    const isFull = this.pending >= queueEvents || (this.pending > 0 && this.#pendingBytes + item.bytes > queueBytes);
    if (isFull) {
      this.#tally.drop("queue_full", `the queue is full: ${this.pending} events wait`, 1, item.name);
      return;
    }
    this.#queue.push(item);
    this.#queuedBytes += item.bytes;
    this.pending += 1;
    this.#pendingBytes += item.bytes;
    this.#entered += 1;
    if (this.pending === 1) sendAtExit(this);
    const isBatch = this.#queue.length - this.#head >= batchEvents || this.#queuedBytes >= batchBytes;
    this.#schedule(isBatch ? 0 : lingerMs, isBatch);
  }

  /** Starts sending after a while; the caller never does it. */
  #schedule(delay, isSooner = false) {
    if (this.#isSending || (this.#timer !== null && !isSooner)) return;
    if (this.#timer !== null) {
      if (this.#timer.isSoon) return;
      clearTimeout(this.#timer.id);
    }
    const id = setTimeout(() => {
      this.#timer = null;
      void this.#run();
    }, delay);
    id.unref?.();
    this.#timer = { id, isSoon: isSooner };
  }

  /** Sends until nothing waits. */
  async #run() {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      for (let batch = this.#take(); batch.length > 0; batch = this.#take()) await this.#deliver(batch);
    } finally {
      this.#isSending = false;
    }
  }

  /** Takes the next batch out of the queue. */
  #take(mostEvents = this.#most, mostBytes = this.#settings.batchBytes) {
    const batch = [];
    let bytes = 0;
    while (this.#head < this.#queue.length && batch.length < mostEvents) {
      const item = this.#queue[this.#head];
      if (bytes + item.bytes + 2 > mostBytes && (batch.length > 0 || mostBytes < this.#settings.batchBytes)) break;
      this.#queue[this.#head] = undefined;
      this.#head += 1;
      bytes += item.bytes + 1;
      this.#queuedBytes -= item.bytes;
      batch.push(item);
    }
    if (this.#head === this.#queue.length || this.#head > 1_000) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    return batch;
  }

  /** Sends a batch, in parts if need be, until each of its events has an end. */
  async #deliver(batch) {
    const began = Date.now();
    const parts = [batch];
    while (parts.length > 0) {
      if (this.#isClosed) return;
      const part = parts.pop();
      const answer = await this.#transport.send(part, this.#keepsAlive(part));
      if (this.#isClosed) return;
      const rest = this.#judge(part, answer);
      if (rest !== null) {
        parts.push(...rest.reverse());
        await this.#pause();
        continue;
      }
      this.#failures += 1;
      if (this.#failures > this.#settings.maxRetries) {
        this.#end(part, "retries", answer.message);
        this.#failures = 0;
      } else if (Date.now() - began > LONGEST_TRY_MS) {
        this.#end(part, "retries", `it was tried for a day: ${answer.message}`);
      } else {
        parts.push(part);
        // Clients that were told the same time do not all come back at once.
        await this.#wait((answer.afterMs ?? 0) + this.#backoff(this.#failures), answer.afterMs !== null);
      }
    }
  }

  /** Waits a little after many refusals in a row, longer if none of the requests is let in. */
  async #pause() {
    if (this.#denials > 0) await this.#wait(this.#backoff(this.#denials));
    else if (this.#refusals > REFUSALS_AT_ONCE) await this.#wait(Math.random() * REFUSAL_PAUSE_MS);
  }

  /** Returns true if a batch fits into what a browser sends even if its page goes. */
  #keepsAlive(part) {
    if (!this.#settings.isBrowser) return false;
    const bytes = part.reduce((sum, item) => sum + item.bytes + 1, 2);
    return this.#transport.keptAlive + bytes <= KEEPALIVE_BYTES;
  }

  /** A random part of a time that doubles with each try. */
  #backoff(tries) {
    const { retryBaseMs, retryMaxMs } = this.#settings;
    return Math.random() * Math.min(retryMaxMs, retryBaseMs * 2 ** Math.min(tries, 20));
  }

  async #wait(delay, isAsked = false) {
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, delay);
      timer.unref?.();
      this.#endWait = (evenIfAsked) => {
        if (isAsked && !evenIfAsked) return;
        clearTimeout(timer);
        resolve();
      };
    });
    this.#endWait = null;
  }

  /** Counts what an answer settles; returns the parts to send next, or null for the same again. */
  #judge(part, answer) {
    if (answer.kind === "later") {
      this.#tally.reaching(answer.message);
      return null;
    }
    this.#tally.reaching(null);
    this.#failures = 0;
    const halves = () => {
      const half = part.length >> 1;
      return [part.slice(0, half), part.slice(half)];
    };
    if (answer.kind === "taken") {
      this.#refusals = 0;
      this.#denials = 0;
      this.#most = Math.min(this.#settings.batchEvents, this.#most * 2);
      this.#taken(part, answer.verdicts);
      return [];
    }
    if (answer.kind === "too_large") {
      this.#most = Math.max(1, part.length >> 1);
      if (part.length > 1) return halves();
      this.#end(part, "too_large", answer.message);
      return [];
    }
    this.#refusals += 1;
    if (answer.kind === "denied") {
      this.#denials += 1;
      this.#tally.lastError = answer.message;
      this.#end(part, "denied", answer.message);
      return [];
    }
    const at = part.length === 1 ? 0 : answer.position;
    if (at === null || at < 0 || at >= part.length) return halves();
    this.#end([part[at]], "refused", answer.message);
    const rest = part.filter((_, place) => place !== at);
    return rest.length > 0 ? [rest] : [];
  }

  #taken(part, verdicts) {
    const statuses = verdicts?.length === part.length ? verdicts : part.map(() => null);
    this.#leave(part);
    statuses.forEach((verdict, place) => {
      switch (verdict?.status) {
        case "written":
          this.#tally.written += 1;
          break;
        case "duplicate":
          this.#tally.duplicate += 1;
          break;
        case "left_out":
          this.#tally.leftOut += 1;
          break;
        case "rejected": {
          const sqlstate = verdict.sqlstate ? ` (SQLSTATE ${verdict.sqlstate})` : "";
          this.#tally.drop("refused", `${verdict.message}${sqlstate}`, 1, part[place].name);
          break;
        }
        default:
          this.#tally.accepted += 1;
      }
    });
    this.#notify();
  }

  #leave(items) {
    this.pending -= items.length;
    this.#left += items.length;
    for (const item of items) this.#pendingBytes -= item.bytes;
    if (this.pending === 0) forget(this);
  }

  /** Drops events. */
  #end(items, reason, message) {
    this.#leave(items);
    this.#tally.drop(reason, message, items.length, items[0]?.name ?? null);
    this.#notify();
  }

  #notify() {
    for (const waiter of this.#waiters) if (this.#left >= waiter.until) waiter.done();
  }

  /** Sends all that waits now; resolves when that has an end or the time is over. */
  async flush(timeoutMs, isRef = false) {
    if (this.pending === 0) return;
    await new Promise((resolve) => {
      const timer = setTimeout(() => waiter.done(), timeoutMs);
      if (!isRef) timer.unref?.();
      const waiter = {
        until: this.#entered,
        done: () => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve();
        },
      };
      this.#waiters.add(waiter);
      this.#failures = Math.min(this.#failures, 1);
      this.#endWait?.(false);
      this.#schedule(0, true);
    });
  }

  /** Sends what a page may still send when it goes: what fits into a keepalive request. */
  hide() {
    const batch = this.#take(this.#settings.batchEvents, KEEPALIVE_BYTES - this.#transport.keptAlive);
    if (batch.length === 0) return;
    void this.#transport.send(batch, true, true).then((answer) => {
      if (this.#isClosed) return;
      const rest = this.#judge(batch, answer) ?? [batch];
      for (const part of rest.reverse()) {
        this.#queue.splice(this.#head, 0, ...part);
        for (const item of part) this.#queuedBytes += item.bytes;
      }
      if (rest.length > 0) this.#schedule(this.#settings.lingerMs);
    });
  }

  /** Gives up what is under way, so that a process can end. */
  abort() {
    this.#transport.abort();
  }

  /** Ends it: what is under way may be in the log, what waits is not. */
  close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    forget(this);
    clearTimeout(this.#timer?.id);
    const waiting = this.#queue.slice(this.#head);
    this.#queue = [];
    this.#head = 0;
    const underWay = this.pending - waiting.length;
    this.pending = 0;
    this.#pendingBytes = 0;
    this.#tally.drop("unconfirmed", "the client was closed before the gateway answered", underWay);
    this.#tally.drop("closed", "the client was closed before they were sent", waiting.length);
    this.#endWait?.(true);
    this.#transport.abort();
    for (const waiter of this.#waiters) waiter.done();
  }
}
