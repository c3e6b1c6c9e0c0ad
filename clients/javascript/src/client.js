// The client: what an application calls.

import { changed, eventOf, itemOf } from "./event.js";
import { trackExecution } from "./execution.js";
import { Unfit } from "./json.js";
import { Sender } from "./sender.js";
import { settingsOf, timeLimit } from "./settings.js";
import { Tally } from "./tally.js";
import { Transport } from "./transport.js";

const FLUSH_MS = 10_000;
const CLOSE_MS = 5_000;

/** Logs events through the gateway. No method throws, and none but `flush` and `close` waits. */
export class EventLog {
  #settings;
  #tally;
  #sender;
  #isClosed = false;
  #onHide = null;

  /** @param {import("./index.d.ts").Options} options */
  constructor(options) {
    let given = options;
    try {
      this.#settings = settingsOf(given ?? {});
    } catch {
      given = {};
      this.#settings = { ...settingsOf(given), fault: "the options cannot be read" };
    }
    this.#tally = new Tally(given?.onDrop);
    this.#sender = new Sender(this.#settings, this.#tally, new Transport(this.#settings));
    this.#watchPage();
  }

  /** Logs an event: it goes into the queue, and is sent later together with others. */
  track(name, data, options) {
    if (!this.#settings.enabled) return;
    this.#tally.submitted += 1;
    let known = null;
    try {
      if (this.#isClosed) throw new Unfit("closed", "the client is closed");
      if (this.#settings.fault !== null) throw new Unfit("misconfigured", this.#settings.fault);
      const { beforeSend, maxEventBytes } = this.#settings;
      let event = eventOf(name, data, options);
      known = event.name;
      if (beforeSend !== null) event = changed(event, beforeSend, maxEventBytes);
      if (event === null) throw new Unfit("before_send", "beforeSend dropped it");
      this.#sender.push(itemOf(event, maxEventBytes));
    } catch (error) {
      const isKnown = error instanceof Unfit;
      this.#tally.drop(isKnown ? error.reason : "not_json", isKnown ? error.message : "it cannot be read", 1, known);
    }
  }

  /** Calls a function and logs how long it took and how it ended. */
  trackExecution(name, fn, params, context) {
    return this.#settings.enabled ? trackExecution(this, name, fn, params, context) : fn();
  }

  /** Sends what waits; resolves when that has an end, or after the time limit. */
  async flush(options) {
    if (!this.#isClosed) await this.#sender.flush(timeLimit(options, FLUSH_MS));
    return this.stats();
  }

  /** Sends what waits, within the time limit, and ends the client. */
  async close(options) {
    if (!this.#isClosed) {
      this.#isClosed = true;
      await this.#sender.flush(timeLimit(options, CLOSE_MS), true);
      this.#sender.close();
      this.#tally.tellAll();
      this.#leavePage();
    }
    return this.stats();
  }

  /** Returns the number of events by outcome so far. */
  stats() {
    return this.#tally.stats(this.#sender.pending);
  }

  /** Sends what waits when the page is hidden: it may never come back. */
  #watchPage() {
    const { isBrowser, enabled } = this.#settings;
    if (!isBrowser || !enabled) return;
    this.#onHide = (event) => {
      if (event.type === "pagehide" || globalThis.document.visibilityState === "hidden") this.#sender.hide();
    };
    globalThis.document.addEventListener("visibilitychange", this.#onHide);
    globalThis.addEventListener("pagehide", this.#onHide);
  }

  #leavePage() {
    if (this.#onHide === null) return;
    globalThis.document.removeEventListener("visibilitychange", this.#onHide);
    globalThis.removeEventListener("pagehide", this.#onHide);
  }
}
