// JSON of what an application gives, within bounds: no getter, cycle or size of it can throw past here.

/** Why an event cannot be sent. Thrown and caught in here only. */
export class Unfit {
  /** @param {string} reason @param {string} message */
  constructor(reason, message) {
    this.reason = reason;
    this.message = message;
  }
}

/** The gateway reads 100 levels, three of which are around the data. */
const MAX_DEPTH = 90;

/** Text that stands in JSON as it is. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** Half of a character: JSON can hold it, PostgreSQL cannot. */
const LONE_SURROGATE = /\p{Surrogate}/u;

const encoder = new TextEncoder();

/** Returns the length of a text in UTF-8. @param {string} text */
export function byteLength(text) {
  return typeof Buffer === "function" ? Buffer.byteLength(text) : encoder.encode(text).length;
}

/**
 * Returns a value as JSON, as `JSON.stringify` would, or throws why that is not possible: a cycle, a
 * BigInt, NaN, an infinite number, half of a character, a getter or toJSON that throws, or more than
 * `limit` characters. It stops at the limit, however large the value is.
 *
 * @param {unknown} value
 * @param {number} limit
 * @returns {string}
 */
export function toJson(value, limit) {
  const writer = { left: limit, limit, key: "", above: [] };
  try {
    return write(unwrap(value, "", writer), writer) ?? "null";
  } catch (error) {
    if (error instanceof Unfit) throw error;
    if (error instanceof RangeError) throw notJson(writer, "nests too deep");
    throw notJson(writer, "cannot be read");
  }
}

function notJson(writer, what) {
  const key = writer.key === "" ? "it" : `key ${JSON.stringify(writer.key.slice(0, 100))}`;
  return new Unfit("not_json", `${key} ${what}`);
}

function spend(writer, characters) {
  writer.left -= characters;
  if (writer.left < 0) throw new Unfit("too_large", `it is too large: limit ${writer.limit} bytes`);
}

/** Calls toJSON, as JSON.stringify does, but not of bytes that are over the limit anyway. */
function unwrap(value, key, writer) {
  if (typeof value !== "object" || value === null) return value;
  if (ArrayBuffer.isView(value)) spend(writer, 2 * value.byteLength);
  if (typeof value.toJSON === "function") {
    writer.key = key;
    value = value.toJSON(key);
  }
  if (value instanceof Number || value instanceof String || value instanceof Boolean) return value.valueOf();
  return value;
}

/** Returns the JSON of a value, or undefined if JSON leaves it out. */
function write(value, writer) {
  switch (typeof value) {
    case "string":
      return text(value, writer);
    case "number":
      if (!Number.isFinite(value)) throw notJson(writer, "is not a finite number");
      spend(writer, 8);
      return String(value);
    case "boolean":
      spend(writer, 5);
      return value ? "true" : "false";
    case "bigint":
      throw notJson(writer, "is a BigInt");
    case "object":
      spend(writer, 4);
      return value === null ? "null" : nested(value, writer);
    default:
      return undefined;
  }
}

function text(value, writer) {
  spend(writer, value.length + 2);
  if (PLAIN.test(value)) return `"${value}"`;
  if (LONE_SURROGATE.test(value)) throw notJson(writer, "has half of a character (a lone surrogate)");
  return JSON.stringify(value);
}

function nested(value, writer) {
  const { above } = writer;
  if (above.includes(value)) throw notJson(writer, "contains itself");
  if (above.length >= MAX_DEPTH) throw notJson(writer, "nests too deep");
  above.push(value);
  const json = Array.isArray(value) ? array(value, writer) : object(value, writer);
  above.pop();
  return json;
}

function array(value, writer) {
  const { length } = value;
  spend(writer, 2 * length);
  let json = "[";
  for (let place = 0; place < length; place += 1) {
    const item = write(unwrap(value[place], String(place), writer), writer) ?? "null";
    json += place === 0 ? item : `,${item}`;
  }
  return `${json}]`;
}

function object(value, writer) {
  let json = "{";
  for (const key of Object.keys(value)) {
    writer.key = key;
    const member = write(unwrap(value[key], key, writer), writer);
    if (member === undefined) continue;
    json += `${json.length === 1 ? "" : ","}${text(key, writer)}:${member}`;
  }
  return `${json}}`;
}
