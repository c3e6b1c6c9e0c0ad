-- Functions of the library. Their Rust is in extension/src, one file for each verb; what a planner
-- must know of them (volatility, strictness, parallel safety) is declared here.

CREATE FUNCTION eventlog.log_event(
    tenant_id       uuid,
    name            text,
    data            jsonb       DEFAULT '{}',
    occurred_at     timestamptz DEFAULT NULL,
    actor           text        DEFAULT NULL,
    subject         text        DEFAULT NULL,
    idempotency_key text        DEFAULT NULL
) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'log_event_wrapper';

COMMENT ON FUNCTION eventlog.log_event(uuid, text, jsonb, timestamptz, text, text, text) IS
'Validates an event and inserts it under the caller''s own rights, in the caller''s transaction; returns its id. A NULL tenant_id means eventlog.current_tenant(). Raises on any fault; NULL where eventlog.enabled is off, and for an event that sampling leaves out or whose tenant opted out.';

CREATE FUNCTION eventlog.try_log_event(
    tenant_id       uuid,
    name            text,
    data            jsonb,
    occurred_at     timestamptz DEFAULT NULL,
    actor           text        DEFAULT NULL,
    subject         text        DEFAULT NULL,
    idempotency_key text        DEFAULT NULL
) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'try_log_event_wrapper';

COMMENT ON FUNCTION eventlog.try_log_event(uuid, text, jsonb, timestamptz, text, text, text) IS
'As log_event, but a fault of the event becomes a WARNING, a row in rejected_events, and NULL. Deadlock, cancel, resource and internal errors are raised.';

CREATE FUNCTION eventlog.try_log_event(
    tenant_id       uuid,
    name            text,
    data            text        DEFAULT '{}',
    occurred_at     timestamptz DEFAULT NULL,
    actor           text        DEFAULT NULL,
    subject         text        DEFAULT NULL,
    idempotency_key text        DEFAULT NULL
) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'try_log_event_text_wrapper';

COMMENT ON FUNCTION eventlog.try_log_event(uuid, text, text, timestamptz, text, text, text) IS
'As try_log_event with jsonb, but the payload is text, so that one that is no JSON is a fault of the event too. Literals pick this form.';

CREATE FUNCTION eventlog.log_events(
    tenant_ids       uuid[],
    names            text[],
    data             text[],
    occurred_at      timestamptz[] DEFAULT NULL,
    actors           text[]        DEFAULT NULL,
    subjects         text[]        DEFAULT NULL,
    idempotency_keys text[]        DEFAULT NULL,
    producer         uuid          DEFAULT NULL,
    batch_number     bigint        DEFAULT NULL,
    with_verdicts    boolean       DEFAULT false,
    OUT written      bigint,
    OUT duplicate    bigint,
    OUT sampled      bigint,
    OUT rejected     bigint,
    OUT is_repeat    boolean,
    OUT verdicts     jsonb
) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'log_events_wrapper';

COMMENT ON FUNCTION eventlog.log_events(uuid[], text[], text[], timestamptz[], text[], text[], text[], uuid, bigint, boolean) IS
'Logs a batch: arrays of one length, an element an event; tenant_ids, data and those after it may be NULL. Good events go in, bad ones into rejected_events; the counts come back, and on request a verdict for each position, with NULL only where one is rejected. A batch_number that the producer has sent before writes nothing and returns the counts of then.';

CREATE FUNCTION eventlog.log_events(
    events        jsonb,
    with_verdicts boolean DEFAULT false,
    OUT written   bigint,
    OUT duplicate bigint,
    OUT sampled   bigint,
    OUT rejected  bigint,
    OUT is_repeat boolean,
    OUT verdicts  jsonb
) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'log_events_jsonb_wrapper';

COMMENT ON FUNCTION eventlog.log_events(jsonb, boolean) IS
'Logs a batch given as a JSON array of objects with the keys tenant_id, name, data, occurred_at, actor, subject, idempotency_key.';

CREATE FUNCTION eventlog.validate_event(
    name text,
    data jsonb DEFAULT '{}',
    OUT is_valid boolean,
    OUT sqlstate text,
    OUT message  text,
    OUT detail   text,
    OUT hint     text,
    OUT stored   jsonb
) RETURNS SETOF record
-- A lookup that may fail needs a subtransaction, which a parallel query does not allow.
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'validate_event_wrapper';

COMMENT ON FUNCTION eventlog.validate_event(text, jsonb) IS
'A dry run of log_event: whether name and payload are valid, the error if not, and the payload as it would be stored.';

CREATE FUNCTION eventlog_private.check_import(
    id          bigint,
    tenant_id   uuid,
    name        text,
    INOUT data        jsonb,
    created_at  timestamptz,
    occurred_at timestamptz,
    INOUT actor       text,
    INOUT subject     text,
    OUT sqlstate    text,
    OUT message     text,
    OUT detail      text
) RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE ROWS 1
AS 'MODULE_PATHNAME', 'check_import_wrapper';

CREATE FUNCTION eventlog.current_tenant() RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'current_tenant_wrapper';

COMMENT ON FUNCTION eventlog.current_tenant() IS
'The tenant of this connection, from where eventlog.tenant_source says. 42501 if there is none.';

CREATE FUNCTION eventlog.guard(
    id      bigint,
    name    text,
    data    jsonb,
    actor   text,
    subject text,
    weight  real
) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'guard_wrapper';

COMMENT ON FUNCTION eventlog.guard(bigint, text, jsonb, text, text, real) IS
'The check of the policy events_guard in a log of 0.1.0, which shows neither clock nor tenant.';

CREATE FUNCTION eventlog.guard(
    id          bigint,
    name        text,
    data        jsonb,
    actor       text,
    subject     text,
    weight      real,
    occurred_at timestamptz,
    tenant_id   uuid
) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'guard_of_tenant_wrapper';

COMMENT ON FUNCTION eventlog.guard(bigint, text, jsonb, text, text, real, timestamptz, uuid) IS
'The check of the policy events_guard: applies the rules of event_types to a plain INSERT, for a caller who may insert.';

-- The rest of the transaction as the log's owner, for a caller with its rights.
CREATE FUNCTION eventlog_private.become_owner() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'become_owner_wrapper';

CREATE FUNCTION eventlog.late_event() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'late_event_wrapper';

COMMENT ON FUNCTION eventlog.late_event() IS
'Trigger on closed partitions: notes events that come too late for the rollups.';

CREATE FUNCTION eventlog_private.announced_watermark() RETURNS timestamptz
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'announced_watermark_wrapper';

CREATE FUNCTION eventlog_private.histogram_step(state internal, value double precision, weight double precision) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'histogram_step_wrapper';

CREATE FUNCTION eventlog_private.merge_histograms_step(state internal, histogram double precision[]) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'merge_histograms_step_wrapper';

CREATE FUNCTION eventlog_private.histogram_final(state internal) RETURNS double precision[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'histogram_final_wrapper';

-- A histogram of values: pairs of a bucket and its weight.
CREATE AGGREGATE eventlog._histogram(value double precision, weight double precision) (
    SFUNC = eventlog_private.histogram_step,
    STYPE = internal,
    FINALFUNC = eventlog_private.histogram_final
);

CREATE AGGREGATE eventlog._merge_histograms(histogram double precision[]) (
    SFUNC = eventlog_private.merge_histograms_step,
    STYPE = internal,
    FINALFUNC = eventlog_private.histogram_final
);

CREATE FUNCTION eventlog_private.add_histograms(a double precision[], b double precision[]) RETURNS double precision[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'add_histograms_wrapper';

-- The value below which a share (0 to 1) of a histogram lies, right within 2 %.
CREATE FUNCTION eventlog._percentile(histogram double precision[], share double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'percentile_wrapper';

-- Who was active on which day; extension/src/report/activity.rs says how it is kept.
CREATE FUNCTION eventlog_private.activity_step(state internal, actor text, day_offset integer, first_days integer,
                                        returning_days integer, days integer) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'activity_step_wrapper';

CREATE FUNCTION eventlog_private.activity_final(state internal) RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'activity_final_wrapper';

CREATE AGGREGATE eventlog._activity(actor text, day_offset integer, first_days integer, returning_days integer,
                                    days integer) (
    SFUNC = eventlog_private.activity_step,
    STYPE = internal,
    FINALFUNC = eventlog_private.activity_final
);

CREATE FUNCTION eventlog._active_within(activity bytea, days_back integer, days integer) RETURNS integer[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'active_within_wrapper';

CREATE FUNCTION eventlog._retained(activity bytea, starts integer[]) RETURNS integer[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'retained_wrapper';

CREATE FUNCTION eventlog.registry_changed() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'registry_changed_wrapper';

COMMENT ON FUNCTION eventlog.registry_changed() IS
'Trigger that tells every backend that a table changed that the library keeps a copy of.';

-- Takes a lock until the transaction ends; whether it was got. `purpose` is partitions, maintenance
-- or erasure. Not advisory locks, which every role can take.
CREATE FUNCTION eventlog_private.take_lock(purpose text, is_shared boolean, may_wait boolean) RETURNS boolean
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'take_lock_wrapper';

-- Who processes are; of null, those in a transaction of this database for more than an hour.
CREATE FUNCTION eventlog_private.describe_processes(pids integer[]) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'describe_processes_wrapper';

-- Whether a process that holds a lock on events cannot have written, and will see the watermark of
-- now before it does.
CREATE FUNCTION eventlog_private.has_not_written(pid integer) RETURNS boolean
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'has_not_written_wrapper';

CREATE FUNCTION eventlog.erase_tenant() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'erase_tenant_wrapper';

COMMENT ON FUNCTION eventlog.erase_tenant() IS
'Trigger on a table of tenants: erases a tenant that is deleted, as forget_tenant() does but in one transaction and without a receipt, as the log''s owner. Its argument is the tenant''s key column.';

CREATE FUNCTION eventlog_private.hash_key_id() RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hash_key_id_wrapper';

CREATE FUNCTION eventlog.hash_actor(actor text) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'actor_hash_wrapper';

COMMENT ON FUNCTION eventlog.hash_actor(text) IS
'The keyed hash of an actor, as the log stores it where actors are hashed. The log owner''s and the services'': who may hash can try out who a hash is.';

-- As log_event, but what was hashed on its way into the quarantine is not hashed again, neither
-- sampling nor a quota leaves it out, and no lookup is made: the owner may read what the caller may
-- not. The log owner's.
CREATE FUNCTION eventlog_private.replay_event(
    tenant_id       uuid,
    name            text,
    data            jsonb,
    occurred_at     timestamptz,
    actor           text,
    subject         text,
    idempotency_key text,
    weight          real
) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'replay_event_wrapper';

-- The machine: a name for the time since its start, and the seconds since then. Null where the system
-- does not tell.
CREATE FUNCTION eventlog_private.machine_boot() RETURNS text
LANGUAGE c VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'machine_boot_wrapper';

CREATE FUNCTION eventlog_private.machine_uptime() RETURNS double precision
LANGUAGE c VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'machine_uptime_wrapper';

-- The keyed hash that the log stores instead of an actor; null where no key was ever accepted.
-- 55000 where the file does not hold the key that was: what cannot be looked for is not passed over.
CREATE FUNCTION eventlog_private.hash_actor(actor text) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hash_actor_wrapper';
