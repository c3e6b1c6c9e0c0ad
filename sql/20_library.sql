-- Functions of the library: all that are written in Rust (extension/src/api/), and the aggregates over
-- them. Declares what the planner must know of them: volatility, strictness, parallel safety. The doors,
-- which only run a private SQL function as the log's owner (extension/src/api/door.rs), stand beside that
-- function.

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
'Checks an event and inserts it with the caller''s own rights, in the caller''s transaction; returns its id. A NULL tenant_id means eventlog.current_tenant(). Raises an error if the event is invalid. Returns NULL if eventlog.enabled is off, if sampling leaves the event out, or if its tenant opted out.';

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
'Like log_event, but an invalid event gives a WARNING and a row in rejected_events, and returns NULL. Deadlocks, cancellation, resource and internal errors are still raised.';

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
'Like try_log_event with jsonb, but takes the payload as text, so that malformed JSON is a fault of the event too. String literals select this form.';

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
'Logs a batch given as arrays of equal length, one element per event; tenant_ids, data and the later ones may be NULL. Valid events are logged, invalid ones go to rejected_events. Returns the counts and, if with_verdicts is true, a verdict for each event; if it is NULL, verdicts only if an event is rejected. A batch_number that the producer has sent before writes nothing and returns the former counts.';

-- All arguments must be given, so that a call with fewer means the function above.
CREATE FUNCTION eventlog.log_events(
    tenant_ids       uuid[],
    names            text[],
    data             text[],
    occurred_at      timestamptz[],
    actors           text[],
    subjects         text[],
    idempotency_keys text[],
    producer         uuid,
    batch_number     bigint,
    with_verdicts    boolean,
    protocols        text[],
    OUT written      bigint,
    OUT duplicate    bigint,
    OUT sampled      bigint,
    OUT rejected     bigint,
    OUT is_repeat    boolean,
    OUT verdicts     jsonb
) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'log_events_wrapper';

COMMENT ON FUNCTION eventlog.log_events(uuid[], text[], text[], timestamptz[], text[], text[], text[], uuid, bigint, boolean, text[]) IS
'Logs a batch as log_events with arrays does, for a program that translates what clients of other products send: protocols names the protocol of each event, which rejected_events keeps.';

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
-- A lookup that can fail needs a subtransaction, which a parallel query does not allow.
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'validate_event_wrapper';

COMMENT ON FUNCTION eventlog.validate_event(text, jsonb) IS
'Tests name and payload as log_event would: returns whether they are valid, the error if not, and the payload as it would be stored.';

-- Returns the name under which events of this name are stored: that of the event type that has it as an alias,
-- else the name itself.
CREATE FUNCTION eventlog._name_of(name text) RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'name_of_wrapper';

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
'Returns the tenant of this connection, from the source set by eventlog.tenant_source. Raises 42501 if there is none.';

CREATE FUNCTION eventlog.tenant(name text) RETURNS uuid
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenant_wrapper';

COMMENT ON FUNCTION eventlog.tenant(text) IS
'Returns the uuid of a tenant that the application knows by a name: always the same one (version 5, in the namespace 4ff0c3e4-e05c-591f-8568-2b020f360136). Upper and lower case differ.';

CREATE FUNCTION eventlog.tenant(number bigint) RETURNS uuid
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenant_of_number_wrapper';

COMMENT ON FUNCTION eventlog.tenant(bigint) IS
'Returns the uuid of a tenant that the application knows by a number: that of its digits, so tenant(42) = tenant(''42'').';

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
'Condition of the policy events_guard in a log of 0.1.0, which passes neither clock nor tenant.';

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
'Condition of the policy events_guard: applies the rules of event_types to a plain INSERT of a role that may insert.';

-- Makes the log's owner the current role for the rest of the transaction, for a caller with its rights.
CREATE FUNCTION eventlog_private.become_owner() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'become_owner_wrapper';

CREATE FUNCTION eventlog.late_event() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'late_event_wrapper';

COMMENT ON FUNCTION eventlog.late_event() IS
'Trigger of closed partitions: records events that are too late for the rollups.';

CREATE FUNCTION eventlog_private.announced_watermark() RETURNS timestamptz
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'announced_watermark_wrapper';

-- Returns the tables of which the library keeps a copy.
CREATE FUNCTION eventlog_private.cached_tables() RETURNS text[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cached_tables_wrapper';

CREATE FUNCTION eventlog.registry_changed() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'registry_changed_wrapper';

COMMENT ON FUNCTION eventlog.registry_changed() IS
'Trigger: invalidates every backend''s cached copy of this table.';

-- Takes a lock until the end of the transaction, and returns whether it was free. `purpose` is partitions,
-- maintenance or erasure. These are not advisory locks, which every role can take.
CREATE FUNCTION eventlog_private.take_lock(purpose text, is_shared boolean, may_wait boolean) RETURNS boolean
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'take_lock_wrapper';

-- Describes processes; for null, those whose transaction in this database is older than an hour.
CREATE FUNCTION eventlog_private.describe_processes(pids integer[]) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'describe_processes_wrapper';

-- Lists the processes of this database: whether each is idle, which means that it waits for its client and has
-- not written in its transaction, and whether policies bind its role. To be asked before pg_locks: a transaction
-- that is prepared in between leaves its process idle.
CREATE FUNCTION eventlog_private.processes() RETURNS TABLE (pid integer, xid bigint, is_idle boolean, is_bound boolean)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'processes_wrapper';

CREATE FUNCTION eventlog.erase_tenant() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'erase_tenant_wrapper';

COMMENT ON FUNCTION eventlog.erase_tenant() IS
'Trigger of a table of tenants: erases a deleted tenant as the log''s owner, like forget_tenant() but in one transaction and without a receipt. Its argument is the key column.';

CREATE FUNCTION eventlog.name_tenant() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'name_tenant_wrapper';

COMMENT ON FUNCTION eventlog.name_tenant() IS
'Trigger of a table of tenants: records the name of a new or renamed tenant as the log''s owner. Its arguments are the key column and the name column.';

CREATE FUNCTION eventlog_private.hash_key_id() RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hash_key_id_wrapper';

CREATE FUNCTION eventlog.hash_actor(actor text) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'actor_hash_wrapper';

COMMENT ON FUNCTION eventlog.hash_actor(text) IS
'Returns the keyed hash of an actor, as the log stores it for event types with hash_actor. For the log''s owner and services only, since it allows finding out by trying who a hash is.';

-- Logs a quarantined event. Unlike log_event, does not hash again what was hashed on the way into the
-- quarantine, leaves nothing out by sampling or quota, and does no lookups, because the owner may read what
-- the caller may not. For the log's owner.
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

-- The machine: an identifier of its last start, and the seconds since then. Null if the system does not
-- provide them.
CREATE FUNCTION eventlog_private.machine_boot() RETURNS text
LANGUAGE c VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'machine_boot_wrapper';

CREATE FUNCTION eventlog_private.machine_uptime() RETURNS double precision
LANGUAGE c VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'machine_uptime_wrapper';

-- Returns the keyed hash that the log stores instead of an actor, or null if no key was ever accepted.
-- Raises 55000 if the file does not hold the accepted key, rather than miss hashed actors.
CREATE FUNCTION eventlog_private.hash_actor(actor text) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hash_actor_wrapper';
