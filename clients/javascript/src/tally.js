// Counts of events by outcome, and notices of those that are lost.

/** Between two notices of the same reason. */
const NOTICE_EVERY_MS = 10_000;

/** Longest message of a notice: it may come from a server that is not ours. */
const LONGEST_MESSAGE = 500;

/** Says on the console what was lost, where the application does not ask for it. */
function warn({ reason, count, message }) {
  console.warn(`pg-eventlog: ${count} ${count === 1 ? "event" : "events"} dropped (${reason}): ${message}`);
}

/** Counts events, and passes losses on once in a while. */
export class Tally {
  #onDrop;
  /** By reason: when a notice was given last, and what is untold since. */
  #notices = new Map();

  /** @param {((notice: object) => void) | null | undefined} onDrop */
  constructor(onDrop) {
    this.#onDrop = onDrop === undefined ? warn : onDrop;
    this.submitted = 0;
    this.written = 0;
    this.accepted = 0;
    this.duplicate = 0;
    this.leftOut = 0;
    this.dropped = 0;
    this.reasons = {};
    this.lastError = null;
    this.failingSince = null;
  }

  /** Counts events that will not be in the log. */
  drop(reason, message, count = 1, name = null) {
    if (count === 0) return;
    this.dropped += count;
    this.reasons[reason] = (this.reasons[reason] ?? 0) + count;
    const known = this.#notices.get(reason) ?? { last: -Infinity, count: 0 };
    this.#notices.set(reason, known);
    known.count += count;
    known.message = String(message).slice(0, LONGEST_MESSAGE);
    known.name = name;
    if (Date.now() - known.last >= NOTICE_EVERY_MS) this.#tell(reason, known);
  }

  /** Passes on what was held back. */
  tellAll() {
    for (const [reason, known] of this.#notices) if (known.count > 0) this.#tell(reason, known);
  }

  #tell(reason, known) {
    const notice = { reason, count: known.count, message: known.message, name: known.name };
    known.last = Date.now();
    known.count = 0;
    try {
      this.#onDrop?.(notice);
    } catch {
      // The application's own fault, which must not become the caller's.
    }
  }

  /** Notes whether the gateway answers. */
  reaching(error) {
    if (error === null) {
      this.failingSince = null;
    } else {
      this.lastError = String(error).slice(0, LONGEST_MESSAGE);
      this.failingSince ??= Date.now();
    }
  }

  /** Returns the counts. */
  stats(pending) {
    const { submitted, written, accepted, duplicate, leftOut, dropped, lastError } = this;
    const failingForMs = this.failingSince === null ? null : Date.now() - this.failingSince;
    const reasons = { ...this.reasons };
    return { submitted, written, accepted, duplicate, leftOut, dropped, pending, reasons, lastError, failingForMs };
  }
}
