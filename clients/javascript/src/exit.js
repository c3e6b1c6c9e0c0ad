// The end of a process: what waits is sent, within a limit.

/** Clients whose events wait. */
const waiting = new Set();
let isWatching = false;

/** Longest time that the end of a process waits. */
const EXIT_MS = 5_000;

/** Has a sender's events sent when nothing else keeps the process alive. */
export function sendAtExit(sender) {
  if (typeof globalThis.process?.on !== "function") return;
  waiting.add(sender);
  if (isWatching) return;
  isWatching = true;
  try {
    globalThis.process.on("beforeExit", () => {
      for (const one of waiting) {
        waiting.delete(one);
        if (one.pending > 0) void one.flush(EXIT_MS, true).then(() => one.abort());
      }
    });
  } catch {
    // A process that cannot be watched ends as it likes.
  }
}

/** Forgets a sender, none of whose events wait. */
export function forget(sender) {
  waiting.delete(sender);
}
