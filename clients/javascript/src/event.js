// What the application gives, as the JSON of an event.

import { Unfit, byteLength, toJson } from "./json.js";

/** Longest name, actor, subject or idempotency key that is sent: the log's own limits are lower. */
const LONGEST_TEXT = 1_024;

/** A random id, where a browser's page is not secure or Node is 18. */
function randomId() {
  const words = new Uint32Array(4);
  if (globalThis.crypto?.getRandomValues) globalThis.crypto.getRandomValues(words);
  else words.forEach((_, place) => (words[place] = Math.random() * 2 ** 32));
  return Array.from(words, (word) => word.toString(16).padStart(8, "0")).join("");
}

/** Begins the keys of this process: drawn with the first event, since workers draw nothing before. */
let prefix = null;
let count = 0;

/**
 * Returns a key by which the log knows the event, however often it is sent. A key drawn for each event
 * would cost more than all the rest. The time tells machines apart that were restored from one snapshot.
 */
export function newKey() {
  prefix ??= globalThis.crypto?.randomUUID?.() ?? randomId();
  count += 1;
  return `${prefix}-${count}-${Date.now().toString(36)}`;
}

/** Returns a text, or undefined for none; ids may be numbers. */
function textOf(value, key) {
  if (value === undefined || value === null) return undefined;
  const text = typeof value === "number" || typeof value === "bigint" ? String(value) : value;
  if (typeof text !== "string" || text === "") throw new Unfit("invalid", `${key} must be text`);
  if (text.length > LONGEST_TEXT) throw new Unfit("invalid", `${key} is longer than ${LONGEST_TEXT} characters`);
  return text;
}

/** Returns a time as the gateway reads it. */
function timeOf(value) {
  if (value === undefined || value === null) return Date.now();
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
  if (typeof value === "string" || (typeof value === "number" && Number.isFinite(value))) return value;
  throw new Unfit("invalid", "occurredAt must be a Date, a text or a number");
}

/** Returns the event that is sent, as an object. */
export function eventOf(name, data, options) {
  if (typeof name !== "string" || name === "") throw new Unfit("invalid", "the name must be text");
  if (data !== undefined && data !== null && (typeof data !== "object" || Array.isArray(data))) {
    throw new Unfit("invalid", "the data must be an object");
  }
  return {
    name: textOf(name, "the name"),
    data: data ?? undefined,
    actor: textOf(options?.actor, "actor"),
    subject: textOf(options?.subject, "subject"),
    occurredAt: timeOf(options?.occurredAt),
    idempotencyKey: textOf(options?.idempotencyKey, "idempotencyKey") ?? newKey(),
  };
}

/** Returns an event of the queue; throws `Unfit` if it cannot be sent. */
export function itemOf(event, limit) {
  const json = toJson(event, limit);
  const bytes = byteLength(json);
  if (bytes > limit) throw new Unfit("too_large", `it has ${bytes} bytes: limit ${limit}`);
  return { json, bytes, name: event.name };
}

/** Has the application change an event, which it gets as a copy; returns it, or null to drop it. */
export function changed(event, beforeSend, limit) {
  const copy = JSON.parse(toJson(event, limit));
  let kept;
  try {
    kept = beforeSend(copy);
  } catch {
    throw new Unfit("before_send_failed", "beforeSend threw an error");
  }
  if (kept === null || kept === undefined || kept === false) return null;
  if (typeof kept !== "object" || typeof kept.then === "function") {
    throw new Unfit("before_send_failed", "beforeSend must return the event, or null to drop it");
  }
  const { name, data, actor, subject, occurredAt, idempotencyKey } = kept;
  return eventOf(name, data, { actor, subject, occurredAt, idempotencyKey: idempotencyKey ?? event.idempotencyKey });
}
