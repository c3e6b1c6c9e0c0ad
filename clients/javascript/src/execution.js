// Calls of a function as events: how long it took, and how it ended.

/** Longest type and message of an error that are sent. */
const LONGEST_TYPE = 200;
const LONGEST_ERROR = 1_000;

/** Returns a well-formed text of bounded length. */
function shortened(value, most) {
  const text = String(value);
  const cut = text.length > most ? text.slice(0, most) : text;
  // The cut may go through a character.
  return cut.replace(/\p{Surrogate}/gu, "\ufffd");
}

/** Returns the type and the message of what was thrown; its getters may throw. */
function failure(error) {
  const read = (get, most) => {
    try {
      const value = get();
      return value === undefined || value === null || value === "" ? undefined : shortened(value, most);
    } catch {
      return undefined;
    }
  };
  const isObject = (typeof error === "object" && error !== null) || typeof error === "function";
  return {
    errorType: read(() => (isObject ? (error.name ?? error.constructor?.name) : typeof error), LONGEST_TYPE) ?? "unknown",
    errorMessage: read(() => (isObject ? error.message : error), LONGEST_ERROR),
  };
}

const now = () => globalThis.performance?.now?.() ?? Date.now();

/** Returns true for a promise that has nothing of its own, so that another stands for it. */
function isPlainPromise(value) {
  return Object.getPrototypeOf(value) === Promise.prototype && Object.keys(value).length === 0;
}

/**
 * Calls a function, and logs how that went. What it returns is handed on: values, generators and
 * thenables as they are; a promise as one with the same end. What it throws is thrown.
 *
 * @param {{track: Function}} log
 */
export function trackExecution(log, name, fn, params, context) {
  const occurredAt = new Date();
  const began = now();
  const note = (outcome) => {
    const durationMs = Math.round((now() - began) * 1_000) / 1_000;
    log.track(name, { ...params, ...outcome, durationMs }, { occurredAt, ...context });
  };
  const noted = (outcome) => {
    try {
      note(outcome());
    } catch {
      // Not even params that cannot be read are the caller's fault.
    }
  };
  const succeeded = () => noted(() => ({ success: true }));
  const failed = (error) => noted(() => ({ success: false, ...failure(error) }));
  let result;
  try {
    result = fn();
  } catch (error) {
    failed(error);
    throw error;
  }
  if (!(result instanceof Promise)) {
    succeeded();
    return result;
  }
  if (isPlainPromise(result)) {
    return result.then(
      (value) => {
        succeeded();
        return value;
      },
      (error) => {
        failed(error);
        throw error;
      },
    );
  }
  // One with methods of its own stays itself.
  result.then(succeeded, failed);
  return result;
}
