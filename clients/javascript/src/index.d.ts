/** A value that JSON can hold; anything else is left out or drops the event. */
export type Data = object;

/** What may come with an event. */
export interface TrackOptions {
  /** Who did it. */
  actor?: string | number | bigint | null;
  /** What it was done to. */
  subject?: string | number | bigint | null;
  /** When it happened; now, by default. */
  occurredAt?: Date | string | number | null;
  /** Events with the same key within a day are one event; a random one, by default. */
  idempotencyKey?: string | null;
}

/** An event as `beforeSend` gets it: a copy, which may be changed. */
export interface OutgoingEvent {
  name: string;
  data?: any;
  actor?: string;
  subject?: string;
  occurredAt?: string | number;
  idempotencyKey?: string;
}

/** Why events are not in the log. */
export type DropReason =
  /** The queue was full. */
  | "queue_full"
  /** The data is not JSON: a cycle, a BigInt, NaN, half of a character, a getter that throws. */
  | "not_json"
  /** The event is larger than `maxEventBytes`, or than the gateway takes. */
  | "too_large"
  /** Name, actor, subject, time or key is none. */
  | "invalid"
  /** `beforeSend` returned null. */
  | "before_send"
  /** `beforeSend` threw an error or returned no event. */
  | "before_send_failed"
  /** The gateway or the log refused the event; the log keeps it in its quarantine. */
  | "refused"
  /** The gateway refused the key, or there is no gateway at the address. */
  | "denied"
  /** Given up after `maxRetries`, or after a day. */
  | "retries"
  /** Logged after `close`, or not sent in its time. */
  | "closed"
  /** Sent, but not answered when the client was closed: it may be in the log. */
  | "unconfirmed"
  /** `url` or `key` cannot be used. */
  | "misconfigured";

/** Tells of events that were dropped: at once for a new reason, then every ten seconds at most. */
export interface DropNotice {
  reason: DropReason;
  /** Number of events since the last notice of this reason. */
  count: number;
  /** Why the last one was dropped; it names keys and limits, never values. */
  message: string;
  /** Name of the last one, if it is known. */
  name: string | null;
}

/** Number of events by outcome. All but `submitted` add up to `submitted`. */
export interface Stats {
  /** Given to `track`. */
  submitted: number;
  /** Stored, as the log confirmed. */
  written: number;
  /** Taken by the gateway, which did not wait for the log. */
  accepted: number;
  /** In the log before. */
  duplicate: number;
  /** Sampled out, or of a tenant that opted out. */
  leftOut: number;
  /** Not logged, for one of `reasons`. */
  dropped: number;
  /** In the queue or under way. */
  pending: number;
  reasons: Partial<Record<DropReason, number>>;
  /** Why a request failed last. */
  lastError: string | null;
  /** How long the gateway has not been reached; null while it is. */
  failingForMs: number | null;
}

export interface Options {
  /** Address of the gateway, such as `https://events.example.com`. */
  url: string | { readonly href: string } | undefined;
  /** A key of `eventlog key create`; in a browser one that anybody may see. */
  key: string | undefined;
  /** False logs nothing. By default true unless the environment variable `EVENTLOG_ENABLED` is 0. */
  enabled?: boolean;
  /** Whether the gateway answers when the log has the events: true by default, in browsers false. */
  confirm?: boolean;
  /** Most events that wait or are under way: 10,000. */
  queueEvents?: number;
  /** Most bytes of them: 16 MiB. */
  queueBytes?: number;
  /** Most events of a request: 500. */
  batchEvents?: number;
  /** Most bytes of a request: 512 KiB, in browsers 60,000. */
  batchBytes?: number;
  /** Most bytes of an event: 256 KiB. */
  maxEventBytes?: number;
  /** How long an event waits for others: 500 ms. */
  lingerMs?: number;
  /** How long a request may take: 15 s. */
  timeoutMs?: number;
  /** How often a batch is sent again; without a limit by default. */
  maxRetries?: number;
  /** First wait before a batch is sent again, doubled with each try: 200 ms. */
  retryBaseMs?: number;
  /** Longest such wait: 10 s. */
  retryMaxMs?: number;
  /** Whether requests of more than 1 KiB are compressed: true; in browsers they never are. */
  gzip?: boolean;
  /** Changes an event, or returns null to drop it. It runs within `track`, so it must be quick. */
  beforeSend?: (event: OutgoingEvent) => OutgoingEvent | null | undefined | false;
  /** Hears of dropped events; by default they are said on the console. Null says nothing. */
  onDrop?: ((notice: DropNotice) => void) | null;
  /** Sends requests instead of the global `fetch`. */
  fetch?: (address: string, init: any) => Promise<any>;
}

/** Logs events through the gateway. No method throws, and none but `flush` and `close` waits. */
export declare class EventLog {
  constructor(options: Options);
  /** Logs an event: it goes into the queue, and is sent later together with others. */
  track(name: string, data?: Data | null, options?: TrackOptions | null): void;
  /**
   * Calls a function and logs the event `name` with `durationMs`, `success`, `errorType` and
   * `errorMessage` beside `params`. What it returns is handed on; what it throws is thrown.
   */
  trackExecution<T>(name: string, fn: () => T, params?: Data | null, context?: TrackOptions | null): T;
  /** Sends what waits; resolves when that has an end, or after the time limit (10 s). */
  flush(options?: { timeoutMs?: number }): Promise<Stats>;
  /** Sends what waits, within the time limit (5 s), and ends the client. */
  close(options?: { timeoutMs?: number }): Promise<Stats>;
  /** Returns the number of events by outcome so far. */
  stats(): Stats;
}
