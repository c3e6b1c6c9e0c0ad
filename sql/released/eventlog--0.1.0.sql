\echo Use "CREATE EXTENSION eventlog" to load this file. \quit

-- The install script is the numbered files of sql/ in order. It makes functions and views over the
-- catalog only: the log itself is made by create_log() as ordinary tables that belong to the
-- database, because a member table of an extension loses its policies, its row-level security and
-- its foreign keys in a dump.

-- Payloads, names and actors are UTF-8 throughout; in a database of another encoding they would
-- not be what they say.
DO $$
BEGIN
    IF pg_catalog.current_setting('server_encoding') OPERATOR(pg_catalog.<>) 'UTF8' THEN
        RAISE EXCEPTION 'eventlog needs a database with encoding UTF8, this one has %',
                pg_catalog.current_setting('server_encoding')
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'CREATE DATABASE name TEMPLATE template0 ENCODING ''UTF8'';';
    END IF;
END
$$;
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
'Logs a batch: arrays of one length, an element an event; tenant_ids, data and those after it may be NULL. Good events go in, bad ones into rejected_events; the counts come back, and on request a verdict for each position. A batch_number that the producer has sent before writes nothing and returns the counts of then.';

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

CREATE FUNCTION eventlog._check_import(
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
'The check of the policy events_guard: applies the rules of event_types to a plain INSERT.';

CREATE FUNCTION eventlog.registry_changed() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'registry_changed_wrapper';

COMMENT ON FUNCTION eventlog.registry_changed() IS
'Trigger that tells every backend that a table changed that the library keeps a copy of.';
-- The tables of the log, made by create_log().

-- Closes a new relation: row-level security on, nothing granted to anybody. ALTER DEFAULT
-- PRIVILEGES may have granted, and TRUNCATE is beyond what policies refuse.
CREATE FUNCTION eventlog._close(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    grantee text;
    kind    "char" := (SELECT relkind FROM pg_class WHERE oid = relation);
BEGIN
    IF kind IN ('r', 'p') THEN
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    END IF;
    FOR grantee IN
        SELECT DISTINCT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END
          FROM pg_class c, aclexplode(c.relacl) acl
         WHERE c.oid = relation AND acl.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM %s CASCADE',
                       CASE kind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, relation, grantee);
    END LOOP;
END
$$;

-- Whether a table of the log has to be made; says 42501 with the remedy where that is not allowed.
CREATE FUNCTION eventlog._is_missing(table_name text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass(format('eventlog.%I', table_name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    IF NOT has_schema_privilege('eventlog', 'CREATE') THEN
        RAISE EXCEPTION 'permission denied to create the log in schema eventlog'
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('a superuser types: SELECT eventlog.create_log(owner => %L);', current_user);
    END IF;
    RETURN true;
END
$$;

CREATE FUNCTION eventlog._create_events() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog._is_missing('events') THEN
        CREATE TABLE eventlog.events (
            id          bigint      GENERATED ALWAYS AS IDENTITY,
            tenant_id   uuid        NOT NULL,
            name        text        NOT NULL,
            data        jsonb       NOT NULL DEFAULT '{}',
            actor       text,
            subject     text,
            occurred_at timestamptz,
            created_at  timestamptz NOT NULL DEFAULT now(),
            weight      real,
            CONSTRAINT events_pkey PRIMARY KEY (id, created_at)
        ) PARTITION BY RANGE (created_at);
        PERFORM eventlog._close('eventlog.events');
        PERFORM eventlog._close('eventlog.events_id_seq');
    END IF;

    CREATE INDEX IF NOT EXISTS events_tenant_id_name_created_at_idx
        ON eventlog.events (tenant_id, name, created_at DESC);
    CREATE INDEX IF NOT EXISTS events_tenant_id_created_at_idx
        ON eventlog.events (tenant_id, created_at DESC);

    COMMENT ON TABLE eventlog.events IS
        'The log: one row an event, append-only, partitioned by created_at. Write with eventlog.log_event().';
    COMMENT ON COLUMN eventlog.events.id IS 'Number of the event, rising in the order of insertion, with gaps.';
    COMMENT ON COLUMN eventlog.events.tenant_id IS 'Whose event it is; the policies compare it with eventlog.current_tenant().';
    COMMENT ON COLUMN eventlog.events.name IS 'Name of the event, one of event_types.';
    COMMENT ON COLUMN eventlog.events.data IS 'Payload: a JSON object without null keys, within the type''s max_bytes.';
    COMMENT ON COLUMN eventlog.events.actor IS 'Who did it: a user id or the like, at most 512 bytes.';
    COMMENT ON COLUMN eventlog.events.subject IS 'What it was done to, such as skill/canvas, at most 512 bytes.';
    COMMENT ON COLUMN eventlog.events.occurred_at IS 'When it happened by the client''s clock, if the client said so.';
    COMMENT ON COLUMN eventlog.events.created_at IS 'When it was logged by the server''s clock: the start of the transaction.';
    COMMENT ON COLUMN eventlog.events.weight IS 'How many events the row stands for: 1/rate where it survived sampling, null for 1.';
END
$$;

CREATE FUNCTION eventlog._create_event_types() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog._is_missing('event_types') THEN
        CREATE TABLE eventlog.event_types (
            name             text        CONSTRAINT event_types_pkey PRIMARY KEY,
            domain           text        NOT NULL DEFAULT 'application',
            description      text        NOT NULL DEFAULT '',
            required_keys    text[]      NOT NULL DEFAULT '{}',
            optional_keys    text[]      NOT NULL DEFAULT '{}',
            allow_other_keys boolean     NOT NULL DEFAULT true,
            allowed_values   jsonb       NOT NULL DEFAULT '{}',
            max_bytes        integer     NOT NULL DEFAULT 2048,
            actor_key        text,
            subject_keys     text[]      NOT NULL DEFAULT '{}',
            duration_key     text,
            success_key      text,
            error_key        text,
            occurred_at_key  text,
            default_values   jsonb       NOT NULL DEFAULT '{}',
            default_when_key text,
            sample_rate      double precision NOT NULL DEFAULT 1,
            sample_key       text,
            redact_keys      text[]      NOT NULL DEFAULT '{}',
            hash_keys        text[]      NOT NULL DEFAULT '{}',
            hash_actor       boolean     NOT NULL DEFAULT false,
            path_keys        text[]      NOT NULL DEFAULT '{}',
            status           text        NOT NULL DEFAULT 'active',
            successor        text,
            created_at       timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT event_types_name_check CHECK (
                name ~ '^[a-z][a-z0-9_.]*(\.\*)?$' AND octet_length(name) <= 128),
            CONSTRAINT event_types_keys_check CHECK (
                array_position(required_keys, NULL) IS NULL
                AND array_position(optional_keys, NULL) IS NULL
                AND array_position(subject_keys, NULL) IS NULL
                AND array_position(redact_keys, NULL) IS NULL
                AND array_position(hash_keys, NULL) IS NULL
                AND array_position(path_keys, NULL) IS NULL
                AND cardinality(subject_keys) <= 8),
            CONSTRAINT event_types_allowed_values_check CHECK (
                jsonb_typeof(allowed_values) = 'object'
                AND NOT jsonb_path_exists(allowed_values, 'strict $.* ? (@.type() != "array")')
                AND NOT jsonb_path_exists(allowed_values,
                    'strict $.*[*] ? (@.type() == "object" || @.type() == "array" || @.type() == "null")')),
            CONSTRAINT event_types_default_values_check CHECK (jsonb_typeof(default_values) = 'object'),
            CONSTRAINT event_types_sample_rate_check CHECK (sample_rate > 0 AND sample_rate <= 1),
            CONSTRAINT event_types_max_bytes_check CHECK (max_bytes BETWEEN 8 AND 16777216),
            CONSTRAINT event_types_status_check CHECK (status IN ('active', 'deprecated', 'retired'))
        );
        PERFORM eventlog._close('eventlog.event_types');
    END IF;

    COMMENT ON TABLE eventlog.event_types IS
        'The enum of event names, and the rules of their payloads. Change it with eventlog.define_event().';
    COMMENT ON COLUMN eventlog.event_types.name IS 'Name; one that ends in .* is a wildcard, honoured while eventlog.allow_wildcards is on.';
    COMMENT ON COLUMN eventlog.event_types.domain IS 'What part of the product it belongs to.';
    COMMENT ON COLUMN eventlog.event_types.description IS 'When it is logged, in a sentence.';
    COMMENT ON COLUMN eventlog.event_types.required_keys IS 'Keys that a payload must have, with a value other than null.';
    COMMENT ON COLUMN eventlog.event_types.optional_keys IS 'Keys that a payload may have.';
    COMMENT ON COLUMN eventlog.event_types.allow_other_keys IS 'Whether a payload may have keys that are not declared.';
    COMMENT ON COLUMN eventlog.event_types.allowed_values IS 'Key to array of the values it may have: {"role": ["user", "assistant"]}.';
    COMMENT ON COLUMN eventlog.event_types.max_bytes IS 'Largest payload in bytes, as pg_column_size() gives it before compression.';
    COMMENT ON COLUMN eventlog.event_types.actor_key IS 'Key that becomes the actor where the caller gave none.';
    COMMENT ON COLUMN eventlog.event_types.subject_keys IS 'Keys that become the subject, joined by /, where the caller gave none and all are there.';
    COMMENT ON COLUMN eventlog.event_types.duration_key IS 'Key that reports read as the duration in milliseconds.';
    COMMENT ON COLUMN eventlog.event_types.success_key IS 'Key that reports read as success, a boolean.';
    COMMENT ON COLUMN eventlog.event_types.error_key IS 'Key that reports read as the type of the error.';
    COMMENT ON COLUMN eventlog.event_types.occurred_at_key IS 'Key whose value, an ISO 8601 time or milliseconds since 1970, becomes occurred_at where the caller gave none; what does not parse stays in the payload.';
    COMMENT ON COLUMN eventlog.event_types.default_values IS 'Key to the value it gets where the payload has none.';
    COMMENT ON COLUMN eventlog.event_types.default_when_key IS 'Key that a payload must have to get default_values; null for every payload.';
    COMMENT ON COLUMN eventlog.event_types.sample_rate IS 'Share of the events that is kept, above 0 and at most 1; those kept weigh 1/rate.';
    COMMENT ON COLUMN eventlog.event_types.sample_key IS 'Key whose value decides: all events of one value are in or out. Null: the actor decides.';
    COMMENT ON COLUMN eventlog.event_types.redact_keys IS 'Keys that are removed at any depth, as those of eventlog.redact_keys are from every event.';
    COMMENT ON COLUMN eventlog.event_types.hash_keys IS 'Keys whose values, at any depth, become HMAC-SHA-256 under the key in eventlog.hash_key_file.';
    COMMENT ON COLUMN eventlog.event_types.hash_actor IS 'Whether the actor, and the value of actor_key, become HMAC-SHA-256 too.';
    COMMENT ON COLUMN eventlog.event_types.path_keys IS 'Keys whose values, at any depth, are paths: ~/ and the rest below a home folder, elsewhere the last component.';
    COMMENT ON COLUMN eventlog.event_types.status IS 'active, deprecated, or retired (refused).';
    COMMENT ON COLUMN eventlog.event_types.successor IS 'Name to use instead of a deprecated or retired one.';
    COMMENT ON COLUMN eventlog.event_types.created_at IS 'When it was defined.';
END
$$;

CREATE FUNCTION eventlog._create_other_tables() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog._is_missing('rejected_events') THEN
        CREATE TABLE eventlog.rejected_events (
            id                bigint      GENERATED ALWAYS AS IDENTITY
                                          CONSTRAINT rejected_events_pkey PRIMARY KEY,
            created_at        timestamptz NOT NULL DEFAULT now(),
            tenant_id         uuid,
            claimed_tenant_id uuid,
            name              text,
            data              text,
            occurred_at       timestamptz,
            actor             text,
            subject           text,
            idempotency_key   text,
            sqlstate          text        NOT NULL,
            reason            text        NOT NULL,
            role_name         name        NOT NULL,
            can_replay        boolean     NOT NULL DEFAULT false,
            weight            real
        );
        PERFORM eventlog._close('eventlog.rejected_events');
        PERFORM eventlog._close('eventlog.rejected_events_id_seq');
    END IF;
    CREATE INDEX IF NOT EXISTS rejected_events_tenant_id_created_at_idx
        ON eventlog.rejected_events (tenant_id, created_at DESC);

    COMMENT ON TABLE eventlog.rejected_events IS
        'The quarantine: events that broke a rule and were not to raise an error, with the reason.';
    COMMENT ON COLUMN eventlog.rejected_events.id IS 'Number of the row.';
    COMMENT ON COLUMN eventlog.rejected_events.created_at IS 'When it was refused.';
    COMMENT ON COLUMN eventlog.rejected_events.tenant_id IS 'The caller''s tenant; null for a caller that has none, such as a service.';
    COMMENT ON COLUMN eventlog.rejected_events.claimed_tenant_id IS 'The tenant that the caller named.';
    COMMENT ON COLUMN eventlog.rejected_events.name IS 'The name as given, cut to 200 characters.';
    COMMENT ON COLUMN eventlog.rejected_events.data IS 'The payload as text, {} for none, redacted and hashed as its type says; null where it has more than 64 KiB, or cannot be read and so not be redacted.';
    COMMENT ON COLUMN eventlog.rejected_events.occurred_at IS 'The client''s clock as given.';
    COMMENT ON COLUMN eventlog.rejected_events.actor IS 'The actor as given, hashed where its type says so, cut to 200 characters.';
    COMMENT ON COLUMN eventlog.rejected_events.subject IS 'The subject as given, cut to 200 characters.';
    COMMENT ON COLUMN eventlog.rejected_events.idempotency_key IS 'The key as given, cut to 255 characters.';
    COMMENT ON COLUMN eventlog.rejected_events.sqlstate IS 'The SQLSTATE that log_event would have raised.';
    COMMENT ON COLUMN eventlog.rejected_events.reason IS 'Message and detail; no value of the payload.';
    COMMENT ON COLUMN eventlog.rejected_events.role_name IS 'The role that called.';
    COMMENT ON COLUMN eventlog.rejected_events.can_replay IS
        'Whether replay_rejected() may log it: it is the caller''s own to write, and was kept whole.';

    COMMENT ON COLUMN eventlog.rejected_events.weight IS 'How many events it stands for, where it survived sampling; null for 1.';

    IF eventlog._is_missing('idempotency_keys') THEN
        CREATE TABLE eventlog.idempotency_keys (
            tenant_id  uuid        NOT NULL,
            key        text        NOT NULL COLLATE "C",
            event_id   bigint,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant_id, key)
        );
        PERFORM eventlog._close('eventlog.idempotency_keys');
    END IF;
    COMMENT ON TABLE eventlog.idempotency_keys IS
        'Idempotency keys that were seen, and the event of each. A key older than eventlog.idempotency_window counts as new.';
    COMMENT ON COLUMN eventlog.idempotency_keys.tenant_id IS 'The tenant; keys of tenants are apart.';
    COMMENT ON COLUMN eventlog.idempotency_keys.key IS 'The key, at most 255 bytes.';
    COMMENT ON COLUMN eventlog.idempotency_keys.event_id IS 'The id of the first event of the key.';
    COMMENT ON COLUMN eventlog.idempotency_keys.created_at IS 'When it was seen.';

    IF eventlog._is_missing('producers') THEN
        CREATE TABLE eventlog.producers (
            role_name    name        NOT NULL,
            producer     uuid        NOT NULL,
            batch_number bigint,
            written      bigint      NOT NULL DEFAULT 0,
            duplicate    bigint      NOT NULL DEFAULT 0,
            sampled      bigint      NOT NULL DEFAULT 0,
            rejected     bigint      NOT NULL DEFAULT 0,
            batches      bigint      NOT NULL DEFAULT 0,
            gaps         bigint      NOT NULL DEFAULT 0,
            created_at   timestamptz NOT NULL DEFAULT now(),
            updated_at   timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT producers_pkey PRIMARY KEY (role_name, producer)
        );
        PERFORM eventlog._close('eventlog.producers');
    END IF;
    COMMENT ON TABLE eventlog.producers IS
        'Writers that number their batches, so that one that is sent again is written once.';
    COMMENT ON COLUMN eventlog.producers.role_name IS 'The role that the writer connects as.';
    COMMENT ON COLUMN eventlog.producers.producer IS 'The uuid that the writer gave itself.';
    COMMENT ON COLUMN eventlog.producers.batch_number IS 'Number of its last batch.';
    COMMENT ON COLUMN eventlog.producers.written IS 'Events of that batch that were written.';
    COMMENT ON COLUMN eventlog.producers.duplicate IS 'Events of that batch whose idempotency key was seen.';
    COMMENT ON COLUMN eventlog.producers.sampled IS 'Events of that batch that sampling left out.';
    COMMENT ON COLUMN eventlog.producers.rejected IS 'Events of that batch that were quarantined.';
    COMMENT ON COLUMN eventlog.producers.batches IS 'Batches so far.';
    COMMENT ON COLUMN eventlog.producers.gaps IS 'Numbers that were skipped so far.';
    COMMENT ON COLUMN eventlog.producers.created_at IS 'When the first batch came.';
    COMMENT ON COLUMN eventlog.producers.updated_at IS 'When the last batch came.';

    IF eventlog._is_missing('tenant_roles') THEN
        CREATE TABLE eventlog.tenant_roles (
            role_name name CONSTRAINT tenant_roles_pkey PRIMARY KEY,
            tenant_id uuid NOT NULL
        );
        PERFORM eventlog._close('eventlog.tenant_roles');
    END IF;
    COMMENT ON TABLE eventlog.tenant_roles IS
        'The tenant of each database role, where eventlog.tenant_source is role. The owner''s to change.';
    COMMENT ON COLUMN eventlog.tenant_roles.role_name IS 'The role that is current when the log is used.';
    COMMENT ON COLUMN eventlog.tenant_roles.tenant_id IS 'Its tenant.';

    IF eventlog._is_missing('log_config') THEN
        CREATE TABLE eventlog.log_config (
            only_row           boolean     CONSTRAINT log_config_pkey PRIMARY KEY DEFAULT true,
            layout_version     integer     NOT NULL DEFAULT 1,
            partition_interval interval    NOT NULL DEFAULT '1 month',
            retention          interval    NOT NULL DEFAULT '90 days',
            premake            interval    NOT NULL DEFAULT '1 year',
            tenants_table      text,
            tenants_method     text,
            tenants_key        name,
            service_roles      text[]      NOT NULL DEFAULT '{}',
            hash_key_id        text,
            created_at         timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT log_config_only_row_check CHECK (only_row),
            CONSTRAINT log_config_retention_check CHECK (retention > '0'::interval),
            CONSTRAINT log_config_premake_check CHECK (premake >= '0'::interval)
        );
        PERFORM eventlog._close('eventlog.log_config');
        INSERT INTO eventlog.log_config DEFAULT VALUES;
    END IF;
    COMMENT ON TABLE eventlog.log_config IS 'What create_log() was told, in one row.';
    COMMENT ON COLUMN eventlog.log_config.only_row IS 'True: there is one row.';
    COMMENT ON COLUMN eventlog.log_config.layout_version IS 'Version of the tables, which migrate_log() raises.';
    COMMENT ON COLUMN eventlog.log_config.partition_interval IS 'Span of a partition of events.';
    COMMENT ON COLUMN eventlog.log_config.retention IS 'How long events are kept.';
    COMMENT ON COLUMN eventlog.log_config.premake IS 'How far ahead partitions are made.';
    COMMENT ON COLUMN eventlog.log_config.tenants_table IS 'The table that reference_tenants() tied the log to.';
    COMMENT ON COLUMN eventlog.log_config.tenants_method IS 'How it is tied: foreign_key or trigger.';
    COMMENT ON COLUMN eventlog.log_config.tenants_key IS 'Its key column.';
    COMMENT ON COLUMN eventlog.log_config.service_roles IS 'The roles that grant_service() was given.';
    COMMENT ON COLUMN eventlog.log_config.hash_key_id IS 'What tells the key that the log hashes with from others; accept_hash_key() sets it.';
    COMMENT ON COLUMN eventlog.log_config.created_at IS 'When the log was made.';
END
$$;
-- The tables of payload hygiene: lookups, settings of tenants, and what the rules did.

CREATE FUNCTION eventlog._create_hygiene_tables() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog._is_missing('enrichments') THEN
        CREATE TABLE eventlog.enrichments (
            name         text        NOT NULL,
            target_key   text        NOT NULL,
            source_key   text        NOT NULL,
            lookup       text        NOT NULL,
            match_column name        NOT NULL,
            match_type   text        NOT NULL,
            value_column name        NOT NULL,
            created_at   timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT enrichments_pkey PRIMARY KEY (name, target_key)
        );
        PERFORM eventlog._close('eventlog.enrichments');
    END IF;
    COMMENT ON TABLE eventlog.enrichments IS
        'Keys that the log sets by looking them up. Change it with eventlog.add_enrichment().';
    COMMENT ON COLUMN eventlog.enrichments.name IS 'Name of the event.';
    COMMENT ON COLUMN eventlog.enrichments.target_key IS 'Key of the payload that is set.';
    COMMENT ON COLUMN eventlog.enrichments.source_key IS 'Key of the payload whose value is looked up.';
    COMMENT ON COLUMN eventlog.enrichments.lookup IS 'The table, qualified with its schema. Text, so that a dump can be restored without it.';
    COMMENT ON COLUMN eventlog.enrichments.match_column IS 'Its column that is compared with the value.';
    COMMENT ON COLUMN eventlog.enrichments.match_type IS 'The type of that column.';
    COMMENT ON COLUMN eventlog.enrichments.value_column IS 'Its column that the payload gets.';
    COMMENT ON COLUMN eventlog.enrichments.created_at IS 'When it was added.';

    IF eventlog._is_missing('tenant_settings') THEN
        CREATE TABLE eventlog.tenant_settings (
            tenant_id         uuid        CONSTRAINT tenant_settings_pkey PRIMARY KEY,
            is_opted_out      boolean     NOT NULL DEFAULT false,
            max_bytes         integer,
            events_per_minute integer,
            over_quota        text        NOT NULL DEFAULT 'reject',
            updated_at        timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT tenant_settings_max_bytes_check CHECK (max_bytes BETWEEN 8 AND 16777216),
            CONSTRAINT tenant_settings_events_per_minute_check CHECK (events_per_minute >= 0),
            CONSTRAINT tenant_settings_over_quota_check CHECK (over_quota IN ('reject', 'sample', 'quarantine'))
        );
        PERFORM eventlog._close('eventlog.tenant_settings');
    END IF;
    COMMENT ON TABLE eventlog.tenant_settings IS
        'Tenants with limits of their own. The owner''s to change, with eventlog.set_tenant().';
    COMMENT ON COLUMN eventlog.tenant_settings.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN eventlog.tenant_settings.is_opted_out IS 'Whether nothing is logged of it.';
    COMMENT ON COLUMN eventlog.tenant_settings.max_bytes IS 'Largest payload in bytes, where that is stricter than the type''s; null for the type''s.';
    COMMENT ON COLUMN eventlog.tenant_settings.events_per_minute IS 'Events that it may log in a minute of the server''s clock; null for any number.';
    COMMENT ON COLUMN eventlog.tenant_settings.over_quota IS 'What happens to more: reject (53400), sample (some are kept, and weigh more), or quarantine.';
    COMMENT ON COLUMN eventlog.tenant_settings.updated_at IS 'When it was set.';

    IF eventlog._is_missing('hygiene_counts') THEN
        CREATE TABLE eventlog.hygiene_counts (
            created_at timestamptz NOT NULL DEFAULT now(),
            tenant_id  uuid        NOT NULL,
            kind       text        NOT NULL,
            name       text        NOT NULL,
            key        text,
            events     bigint      NOT NULL,
            CONSTRAINT hygiene_counts_kind_check CHECK (
                kind IN ('enrichment_missed', 'clock_clamped', 'over_quota'))
        );
        PERFORM eventlog._close('eventlog.hygiene_counts');
    END IF;
    CREATE INDEX IF NOT EXISTS hygiene_counts_tenant_id_created_at_idx
        ON eventlog.hygiene_counts (tenant_id, created_at DESC);
    COMMENT ON TABLE eventlog.hygiene_counts IS
        'What the log did to events on their way in, in the transaction that did it: rows are only added, so that no writer waits for another. Read eventlog.stat_hygiene.';
    COMMENT ON COLUMN eventlog.hygiene_counts.created_at IS 'When it was counted.';
    COMMENT ON COLUMN eventlog.hygiene_counts.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN eventlog.hygiene_counts.kind IS
        'enrichment_missed (a lookup gave nothing), clock_clamped (occurred_at was ahead), or over_quota.';
    COMMENT ON COLUMN eventlog.hygiene_counts.name IS 'Name of the event; empty where a quota counts over names.';
    COMMENT ON COLUMN eventlog.hygiene_counts.key IS 'The key that an enrichment did not set.';
    COMMENT ON COLUMN eventlog.hygiene_counts.events IS 'How many events.';
END
$$;
-- The starter taxonomy: names that a SaaS product logs sooner or later. create_log() loads it, all
-- of it or the domains it is told; afterwards the rows are the log's own, to change and to retire.

CREATE FUNCTION eventlog._starter_taxonomy() RETURNS TABLE (
    name             text,
    domain           text,
    description      text,
    required_keys    text[],
    optional_keys    text[],
    allowed_values   jsonb,
    subject_keys     text[],
    duration_key     text,
    success_key      text,
    error_key        text,
    occurred_at_key  text,
    default_values   jsonb,
    default_when_key text,
    sample_key       text
)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT v.name, v.domain, v.description, v.required_keys::text[], v.optional_keys::text[],
           v.allowed_values::jsonb, v.subject_keys::text[], v.duration_key, v.success_key, v.error_key,
           -- A hook tells its own clock, and that it was a hook.
           CASE v.name WHEN 'tool_used' THEN 'clientTimestamp' END,
           CASE v.name WHEN 'tool_used' THEN jsonb '{"source": "hook"}' ELSE '{}' END,
           CASE v.name WHEN 'tool_used' THEN 'hookEvent' END,
           -- Where somebody sets a rate, conversations stay whole.
           CASE v.name WHEN 'message_sent' THEN 'conversationId' END
      FROM (VALUES
        ('conversation_started',   'conversation', 'A conversation began.',
         '{sessionId,conversationId}', '{}', '{}', '{conversationId}', NULL, NULL, NULL),
        ('message_sent',           'conversation', 'A message was sent in a conversation.',
         '{conversationId,role}', '{confidence}', '{"role": ["user", "assistant"]}', '{conversationId}', NULL, NULL, NULL),
        ('escalation_triggered',   'escalation',   'A conversation was handed to a person.',
         '{conversationId,reason}', '{integrationId}', '{}', '{conversationId}', NULL, NULL, NULL),
        ('plan_updated',           'billing',      'A subscription changed its plan or status.',
         '{previousPlan,newPlan,status}', '{}', '{}', '{}', NULL, NULL, NULL),
        ('checkout_completed',     'billing',      'A checkout was paid.',
         '{plan,stripeSessionId}', '{}', '{}', '{}', NULL, NULL, NULL),
        ('ingest_started',         'ingestion',    'Ingestion of a source began.',
         '{sourceType,url}', '{}', '{}', '{sourceType}', NULL, NULL, NULL),
        ('ingest_completed',       'ingestion',    'Ingestion of a source ended well.',
         '{sourceType,url,docs,chunks}', '{}', '{}', '{sourceType}', NULL, NULL, NULL),
        ('ingest_failed',          'ingestion',    'Ingestion of a source failed.',
         '{sourceType,url,errorCode}', '{}', '{}', '{sourceType}', NULL, NULL, 'errorCode'),
        ('integration_failed',     'integrations', 'A call of an integration failed.',
         '{integrationId,type,errorCode}', '{}', '{}', '{type,integrationId}', NULL, NULL, 'errorCode'),
        ('integration_succeeded',  'integrations', 'A call of an integration went well.',
         '{integrationId,type}', '{}', '{}', '{type,integrationId}', NULL, NULL, NULL),
        ('quota_exceeded',         'limits',       'A tenant tried to use more than its quota.',
         '{quotaType,limit,attempted}', '{}', '{}', '{quotaType}', NULL, NULL, NULL),
        ('tool_used',              'usage',        'A tool was used, as told by a hook callback.',
         '{toolName}', '{skillId,skillName,hookEvent,source,clientTimestamp}', '{}', '{toolName}', NULL, NULL, NULL),
        ('skill_executed',         'usage',        'A skill ran to its end.',
         '{skillName,success,durationMs}', '{errorType,errorMessage}', '{"success": [true, false]}', '{skillName}', 'durationMs', 'success', 'errorType'),
        ('artifact_deployed',      'artifacts',    'An artifact was deployed.',
         '{artifactName,artifactType}', '{collectionName,projectPath,result}',
         '{"artifactType": ["skill", "command", "agent"], "result": ["success", "conflict", "error", "cancelled"]}',
         '{artifactType,artifactName}', NULL, NULL, NULL),
        ('artifact_updated',       'artifacts',    'An artifact was updated.',
         '{artifactName,artifactType}', '{collectionName,projectPath,result}',
         '{"artifactType": ["skill", "command", "agent"], "result": ["success", "conflict", "error", "cancelled"]}',
         '{artifactType,artifactName}', NULL, NULL, NULL),
        ('artifact_synced',        'artifacts',    'An artifact was synchronised.',
         '{artifactName,artifactType}', '{collectionName,projectPath,result}',
         '{"artifactType": ["skill", "command", "agent"], "result": ["success", "conflict", "error", "cancelled"]}',
         '{artifactType,artifactName}', NULL, NULL, NULL),
        ('artifact_removed',       'artifacts',    'An artifact was removed.',
         '{artifactName,artifactType}', '{collectionName,projectPath,result}',
         '{"artifactType": ["skill", "command", "agent"], "result": ["success", "conflict", "error", "cancelled"]}',
         '{artifactType,artifactName}', NULL, NULL, NULL),
        ('artifact_searched',      'artifacts',    'An artifact was among the first five results of a search.',
         '{artifactName,artifactType}', '{collectionName,projectPath,result}',
         '{"artifactType": ["skill", "command", "agent"], "result": ["success", "conflict", "error", "cancelled"]}',
         '{artifactType,artifactName}', NULL, NULL, NULL)
      ) AS v (name, domain, description, required_keys, optional_keys, allowed_values, subject_keys,
              duration_key, success_key, error_key)
$$;

-- Loads the domains given, all of them for null; rows that are there stay as they are.
CREATE FUNCTION eventlog._load_taxonomy(taxonomies text[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    unknown text := (SELECT string_agg(format('"%s"', t), ', ')
                       FROM unnest(taxonomies) AS t
                      WHERE t IS NULL OR t NOT IN (SELECT domain FROM eventlog._starter_taxonomy()));
BEGIN
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'unknown taxonomy %', unknown
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('there are: %s', (SELECT string_agg(DISTINCT domain, ', ' ORDER BY domain)
                                                    FROM eventlog._starter_taxonomy()));
    END IF;
    INSERT INTO eventlog.event_types (name, domain, description, required_keys, optional_keys,
            allowed_values, subject_keys, duration_key, success_key, error_key, occurred_at_key, default_values,
            default_when_key, sample_key)
    SELECT name, domain, description, required_keys, optional_keys,
           allowed_values, subject_keys, duration_key, success_key, error_key, occurred_at_key, default_values,
           default_when_key, sample_key
      FROM eventlog._starter_taxonomy()
     WHERE taxonomies IS NULL OR domain = ANY (taxonomies)
    ON CONFLICT ON CONSTRAINT event_types_pkey DO NOTHING;
END
$$;
-- Partitions of events, by created_at in UTC.

CREATE VIEW eventlog._partitions AS
SELECT c.oid                                   AS partition_oid,
       c.relname                               AS partition_name,
       COALESCE((pg_catalog.regexp_match(b.bound, 'FROM \(''([^'']+)''\)'))[1], '-infinity')::timestamptz AS from_at,
       COALESCE((pg_catalog.regexp_match(b.bound, 'TO \(''([^'']+)''\)'))[1], 'infinity')::timestamptz    AS until_at
  FROM pg_catalog.pg_inherits i
  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.inhrelid
 CROSS JOIN LATERAL pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS b (bound)
 WHERE i.inhparent OPERATOR(pg_catalog.=) pg_catalog.to_regclass('eventlog.events')
   AND NOT i.inhdetachpending
   AND b.bound OPERATOR(pg_catalog.<>) 'DEFAULT';

COMMENT ON VIEW eventlog._partitions IS 'Partitions of events and the span of created_at that each holds.';
GRANT SELECT ON eventlog._partitions TO PUBLIC;

CREATE FUNCTION eventlog._covering_partition(at timestamptz)
RETURNS TABLE (from_at timestamptz, until_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.from_at, p.until_at FROM eventlog._partitions p WHERE p.from_at <= at AND at < p.until_at
$$;

-- The span of the partition that `at` belongs to: whole months since the year 0, or whole steps
-- since a Monday.
CREATE FUNCTION eventlog._partition_span(at timestamptz, step interval,
                                         OUT from_at timestamptz, OUT until_at timestamptz)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    months integer := EXTRACT(year FROM step) * 12 + EXTRACT(month FROM step);
    first  integer;
BEGIN
    IF months > 0 THEN
        first := EXTRACT(year FROM at)::integer * 12 + EXTRACT(month FROM at)::integer - 1;
        first := first - first % months;
        from_at := make_timestamptz(first / 12, first % 12 + 1, 1, 0, 0, 0, 'UTC');
    ELSE
        from_at := date_bin(step, at, '2000-01-03 00:00:00+00');
    END IF;
    until_at := from_at + step;
END
$$;

CREATE FUNCTION eventlog._check_partition_interval(step interval) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF step < '1 hour' OR step > '10 years'
       OR (date_trunc('month', step) <> '0'::interval AND date_trunc('month', step) <> step) THEN
        RAISE EXCEPTION 'partition_interval % is not whole months, nor days and hours', step
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'from 1 hour to 10 years, such as ''1 day'', ''1 week'', ''1 month''';
    END IF;
END
$$;

-- Bounds the waits that follow by eventlog.lock_timeout, unless the session's own lock_timeout is
-- shorter; returns the latter, to be set again. (After an error PostgreSQL sets it again itself.)
CREATE FUNCTION eventlog._bound_lock_timeout() RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former     text    := current_setting('lock_timeout');
    former_ms  integer := (SELECT setting FROM pg_settings WHERE name = 'lock_timeout');
    -- Not a setting yet where the library is not loaded yet.
    longest_ms integer := coalesce((SELECT setting FROM pg_settings WHERE name = 'eventlog.lock_timeout')::integer, 5000);
BEGIN
    PERFORM set_config('lock_timeout',
        (CASE WHEN former_ms BETWEEN 1 AND longest_ms THEN former_ms ELSE longest_ms END)::text, true);
    RETURN former;
END
$$;

-- One maker at a time: waits for another's transaction. A lock on a table would be waited for by
-- readers as well.
CREATE FUNCTION eventlog._lock_partitions() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former text := eventlog._bound_lock_timeout();
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('eventlog partitions', 0));
    PERFORM set_config('lock_timeout', former, true);
END
$$;

-- Makes the partition that holds `at`, as the current user, who must own events. Nothing to do
-- where there is one. The new table is filled and closed before it is attached, which locks events
-- against other DDL only, not against readers and writers.
CREATE FUNCTION eventlog._make_partition(at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former    text;
    step      interval;
    first_at  timestamptz;
    end_at    timestamptz;
    wanted    text;
    partition text;
    tries     integer := 0;
BEGIN
    PERFORM eventlog._lock_partitions();
    former := eventlog._bound_lock_timeout();

    IF NOT EXISTS (SELECT FROM eventlog._covering_partition(_make_partition.at)) THEN
        SELECT c.partition_interval INTO STRICT step FROM eventlog.log_config c;
        SELECT s.from_at, s.until_at INTO first_at, end_at
          FROM eventlog._partition_span(_make_partition.at, step) s;
        -- Neighbours of another interval are not overlapped.
        SELECT greatest(first_at, max(p.until_at)) INTO first_at
          FROM eventlog._partitions p WHERE p.until_at <= _make_partition.at;
        SELECT least(end_at, min(p.from_at)) INTO end_at
          FROM eventlog._partitions p WHERE p.from_at > _make_partition.at;

        wanted := 'events_p' || to_char(first_at AT TIME ZONE 'UTC',
            CASE WHEN date_trunc('day', first_at, 'UTC') = first_at THEN 'YYYYMMDD' ELSE 'YYYYMMDD_HH24MI' END);
        partition := wanted;
        WHILE to_regclass(format('eventlog.%I', partition)) IS NOT NULL LOOP
            -- A partition that was detached and kept has the name.
            tries := tries + 1;
            partition := wanted || '_' || tries;
        END LOOP;

        EXECUTE format('CREATE TABLE eventlog.%I (LIKE eventlog.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                       partition);
        PERFORM eventlog._close(format('eventlog.%I', partition)::regclass);
        PERFORM eventlog._ensure_append_only(format('eventlog.%I', partition)::regclass);
        EXECUTE format('COMMENT ON TABLE eventlog.%I IS %L', partition,
            format('Events created from %s until %s, UTC.', first_at AT TIME ZONE 'UTC', end_at AT TIME ZONE 'UTC'));
        EXECUTE format('ALTER TABLE eventlog.events ATTACH PARTITION eventlog.%I FOR VALUES FROM (%L) TO (%L)',
                       partition, first_at, end_at);
    END IF;

    PERFORM set_config('lock_timeout', former, true);
END
$$;

-- Makes all partitions from now until now plus the log's premake.
CREATE FUNCTION eventlog._make_partitions() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_partitions constant integer := 1200;
    config eventlog.log_config;
    at     timestamptz := now();
    until  timestamptz;
    wanted bigint;
BEGIN
    SELECT * INTO STRICT config FROM eventlog.log_config;
    until := now() + config.premake;
    wanted := EXTRACT(epoch FROM until - at) / EXTRACT(epoch FROM config.partition_interval);
    IF wanted > most_partitions THEN
        RAISE EXCEPTION 'premake % makes % partitions of %, limit %', config.premake, wanted,
                config.partition_interval, most_partitions
            USING ERRCODE = 'program_limit_exceeded',
                  HINT = 'a shorter premake, or a longer partition_interval';
    END IF;
    WHILE at <= until LOOP
        PERFORM eventlog._make_partition(at);
        at := (SELECT p.until_at FROM eventlog._covering_partition(at) p);
    END LOOP;
END
$$;
-- Who may see and write what. Every relation of the log has row-level security on; a relation
-- without a policy is its owner's alone. FORCE ROW LEVEL SECURITY is not used: the owner's own
-- pg_dump would fail.

CREATE FUNCTION eventlog.events_append_only() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'events is append-only: UPDATE is not allowed'
        USING ERRCODE = 'feature_not_supported',
              HINT = 'log another event that says what changed';
END
$$;

COMMENT ON FUNCTION eventlog.events_append_only() IS
'Trigger that refuses UPDATE of events and of its partitions for everybody, the owner included.';

-- ENABLE ALWAYS, so that session_replication_role does not switch it off.
CREATE FUNCTION eventlog._ensure_append_only(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgname = 'events_append_only') THEN
        EXECUTE format('CREATE TRIGGER events_append_only BEFORE UPDATE ON %s
                            FOR EACH STATEMENT EXECUTE FUNCTION eventlog.events_append_only()', relation);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER events_append_only', relation);
    END IF;
END
$$;

-- Tells every backend of a change of a table that the library caches.
CREATE FUNCTION eventlog._ensure_registry_trigger(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgname = 'registry_changed') THEN
        EXECUTE format('CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s
                            FOR EACH STATEMENT EXECUTE FUNCTION eventlog.registry_changed()', relation);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER registry_changed', relation);
    END IF;
END
$$;

CREATE FUNCTION eventlog._ensure_policy(relation regclass, policy name, definition text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = relation AND polname = policy) THEN
        EXECUTE format('CREATE POLICY %I ON %s %s', policy, relation, definition);
    END IF;
END
$$;

CREATE FUNCTION eventlog._apply_policies() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    partition regclass;
BEGIN
    -- A tenant's role reads and inserts its own rows; nobody has a policy to update or delete.
    PERFORM eventlog._ensure_policy('eventlog.events', 'events_tenant_select',
        'FOR SELECT USING (tenant_id = eventlog.current_tenant())');
    PERFORM eventlog._ensure_policy('eventlog.events', 'events_tenant_insert',
        'FOR INSERT WITH CHECK (tenant_id = eventlog.current_tenant())');
    PERFORM eventlog._ensure_policy('eventlog.events', 'events_guard',
        'AS RESTRICTIVE FOR INSERT WITH CHECK (eventlog.guard(id, name, data, actor, subject, weight))');
    PERFORM eventlog._ensure_policy('eventlog.rejected_events', 'rejected_events_tenant_select',
        'FOR SELECT USING (tenant_id = eventlog.current_tenant())');
    PERFORM eventlog._ensure_policy('eventlog.hygiene_counts', 'hygiene_counts_tenant_select',
        'FOR SELECT USING (tenant_id = eventlog.current_tenant())');
    -- No tenant's data: whoever was granted SELECT may read.
    PERFORM eventlog._ensure_policy('eventlog.event_types', 'event_types_select', 'FOR SELECT USING (true)');
    PERFORM eventlog._ensure_policy('eventlog.log_config', 'log_config_select', 'FOR SELECT USING (true)');

    PERFORM eventlog._ensure_registry_trigger('eventlog.event_types');
    PERFORM eventlog._ensure_registry_trigger('eventlog.tenant_roles');
    PERFORM eventlog._ensure_registry_trigger('eventlog.tenant_settings');
    PERFORM eventlog._ensure_registry_trigger('eventlog.enrichments');
    PERFORM eventlog._ensure_registry_trigger('eventlog.log_config');
    PERFORM eventlog._ensure_append_only('eventlog.events');
    FOR partition IN SELECT p.partition_oid FROM eventlog._partitions p LOOP
        PERFORM eventlog._ensure_append_only(partition);
    END LOOP;
END
$$;
CREATE FUNCTION eventlog.create_log(
    owner              regrole  DEFAULT NULL,
    partition_interval interval DEFAULT NULL,
    retention          interval DEFAULT NULL,
    premake            interval DEFAULT NULL,
    taxonomies         text[]   DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = 'warning'
AS $$
DECLARE
    is_new    boolean := eventlog._is_missing('event_types');
    new_owner oid     := coalesce(create_log.owner::oid,
                                  (SELECT relowner FROM pg_class WHERE oid = to_regclass('eventlog.events')),
                                  current_user::regrole::oid);
    relation  regclass;
BEGIN
    IF NOT is_new THEN
        PERFORM eventlog._require_owner(current_user::regrole);
    END IF;
    PERFORM eventlog._check_partition_interval(create_log.partition_interval);
    IF create_log.retention <= '0'::interval OR create_log.premake < '0'::interval THEN
        RAISE EXCEPTION 'retention is %, premake is %: the one must be positive, the other not negative',
                coalesce(create_log.retention::text, 'not given'), coalesce(create_log.premake::text, 'not given')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''90 days'' and ''1 year''';
    END IF;

    PERFORM eventlog._create_events();
    PERFORM eventlog._create_event_types();
    PERFORM eventlog._create_other_tables();
    PERFORM eventlog._create_hygiene_tables();
    UPDATE eventlog.log_config c
       SET partition_interval = coalesce(create_log.partition_interval, c.partition_interval),
           retention          = coalesce(create_log.retention, c.retention),
           premake            = coalesce(create_log.premake, c.premake)
     WHERE create_log.partition_interval IS NOT NULL OR create_log.retention IS NOT NULL
        OR create_log.premake IS NOT NULL;
    IF is_new OR create_log.taxonomies IS NOT NULL THEN
        PERFORM eventlog._load_taxonomy(create_log.taxonomies);
    END IF;
    PERFORM eventlog._make_partitions();
    PERFORM eventlog._apply_policies();
    PERFORM eventlog._ensure_services();
    PERFORM eventlog._ensure_tenants();

    IF new_owner <> current_user::regrole::oid OR create_log.owner IS NOT NULL THEN
        IF NOT has_schema_privilege(new_owner, 'eventlog', 'CREATE WITH GRANT OPTION')
           OR NOT has_schema_privilege(new_owner, 'eventlog', 'USAGE WITH GRANT OPTION') THEN
            EXECUTE format('GRANT USAGE, CREATE ON SCHEMA eventlog TO %s WITH GRANT OPTION', new_owner::regrole);
        END IF;
        FOR relation IN
            SELECT c.oid FROM pg_class c
             WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relkind IN ('r', 'p')
               AND c.relowner <> new_owner
               AND (c.relname IN (SELECT table_name FROM eventlog._tables())
                    OR c.oid IN (SELECT p.partition_oid FROM eventlog._partitions p))
        LOOP
            EXECUTE format('ALTER TABLE %s OWNER TO %s', relation, new_owner::regrole);
        END LOOP;
    END IF;

    IF (SELECT rolsuper FROM pg_roles WHERE oid = new_owner) THEN
        RAISE WARNING 'the log belongs to superuser %', new_owner::regrole
            USING HINT = 'SELECT eventlog.create_log(owner => ''<role that no application logs in as>'');';
    END IF;
END
$$;

COMMENT ON FUNCTION eventlog.create_log(regrole, interval, interval, interval, text[]) IS
'Makes the log in this database, or whatever of it is missing: tables, indexes, policies, partitions for premake (default a year) ahead, and the starter taxonomy (all domains, or those given). partition_interval defaults to 1 month, retention to 90 days; null keeps what the log has. The owner (default: the caller) bypasses the policies, so must not be a role that an application logs in as.';

-- The tables of the log, partitions left out.
CREATE FUNCTION eventlog._tables() RETURNS TABLE (table_name name)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT unnest(ARRAY['events', 'event_types', 'rejected_events', 'idempotency_keys', 'producers', 'tenant_roles',
                        'enrichments', 'tenant_settings', 'hygiene_counts', 'log_config']::name[])
$$;

-- 55000 where create_log() was not called.
CREATE FUNCTION eventlog._require_log() RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('eventlog.event_types') IS NULL THEN
        RAISE EXCEPTION 'there is no log in this database yet'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT eventlog.create_log();';
    END IF;
END
$$;
-- Upkeep of the enum, under the caller's own rights: event_types is the log owner's to change.

-- Says in words what the CHECKs of event_types would say in a row of values.
CREATE FUNCTION eventlog._check_definition(
    name text, status text, max_bytes integer, allowed_values jsonb, default_values jsonb,
    sample_rate double precision, subject_keys text[], keys text[]
) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF name IS NULL THEN
        RAISE EXCEPTION 'name must not be null' USING ERRCODE = 'null_value_not_allowed';
    ELSIF name !~ '^[a-z][a-z0-9_.]*(\.\*)?$' OR octet_length(name) > 128 THEN
        RAISE EXCEPTION '"%" cannot be a name of an event', left(name, 80)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'a name is of a-z, 0-9, _ and ., begins with a letter, has at most 128 bytes, and may end in .*';
    ELSIF status NOT IN ('active', 'deprecated', 'retired') THEN
        RAISE EXCEPTION 'unknown status "%"', left(status, 80)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'active, deprecated or retired';
    ELSIF max_bytes NOT BETWEEN 8 AND 16777216 THEN
        RAISE EXCEPTION 'max_bytes is %, it must be from 8 to 16777216', max_bytes
            USING ERRCODE = 'invalid_parameter_value', HINT = '8 bytes is an empty object; the default is 2048';
    ELSIF NOT (sample_rate > 0 AND sample_rate <= 1) THEN
        RAISE EXCEPTION 'sample_rate is %, it must be above 0 and at most 1', sample_rate
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = '0.1 keeps a tenth; for none at all: SELECT eventlog.retire_event(''<name>'');';
    ELSIF array_position(keys, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a key must not be null' USING ERRCODE = 'null_value_not_allowed';
    ELSIF cardinality(subject_keys) > 8 THEN
        RAISE EXCEPTION 'subject_keys has % keys, limit 8', cardinality(subject_keys)
            USING ERRCODE = 'program_limit_exceeded';
    ELSIF jsonb_typeof(default_values) <> 'object' THEN
        RAISE EXCEPTION 'default_values must be a JSON object'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as {"source": "hook"}';
    ELSIF allowed_values IS NOT NULL AND (
            jsonb_typeof(allowed_values) <> 'object'
            OR jsonb_path_exists(allowed_values, 'strict $.* ? (@.type() != "array")')
            OR jsonb_path_exists(allowed_values,
                'strict $.*[*] ? (@.type() == "object" || @.type() == "array" || @.type() == "null")')) THEN
        RAISE EXCEPTION 'allowed_values must give an array of strings, numbers or booleans for each key'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as {"role": ["user", "assistant"]}';
    END IF;
END
$$;

-- Refuses rules that no payload could keep: a value is compared as it is stored.
CREATE FUNCTION eventlog._check_rules(name text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    key  text;
    rule text;
BEGIN
    SELECT r.key, r.rule INTO key, rule
      FROM eventlog.event_types t,
           LATERAL (
             SELECT k, 'required and redacted' FROM unnest(t.required_keys) k WHERE k = ANY (t.redact_keys)
             UNION ALL
             SELECT k, 'redacted, and has allowed values' FROM jsonb_object_keys(t.allowed_values) k
              WHERE k = ANY (t.redact_keys)
             UNION ALL
             SELECT k, 'hashed, and has allowed values' FROM jsonb_object_keys(t.allowed_values) k
              WHERE k = ANY (t.hash_keys) OR t.hash_actor AND k = t.actor_key) AS r (key, rule)
     WHERE t.name = name
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'key "%" of event "%" would be %', key, name, rule
            USING ERRCODE = 'invalid_parameter_value', HINT = 'rules apply to what is stored: leave one of the two out';
    END IF;
END
$$;

CREATE FUNCTION eventlog.define_event(
    name             text,
    domain           text    DEFAULT NULL,
    description      text    DEFAULT NULL,
    required_keys    text[]  DEFAULT NULL,
    optional_keys    text[]  DEFAULT NULL,
    allow_other_keys boolean DEFAULT NULL,
    allowed_values   jsonb   DEFAULT NULL,
    max_bytes        integer DEFAULT NULL,
    actor_key        text    DEFAULT NULL,
    subject_keys     text[]  DEFAULT NULL,
    duration_key     text    DEFAULT NULL,
    success_key      text    DEFAULT NULL,
    error_key        text    DEFAULT NULL,
    occurred_at_key  text    DEFAULT NULL,
    default_values   jsonb   DEFAULT NULL,
    default_when_key text    DEFAULT NULL,
    sample_rate      double precision DEFAULT NULL,
    sample_key       text    DEFAULT NULL,
    redact_keys      text[]  DEFAULT NULL,
    hash_keys        text[]  DEFAULT NULL,
    hash_actor       boolean DEFAULT NULL,
    path_keys        text[]  DEFAULT NULL,
    status           text    DEFAULT NULL,
    successor        text    DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog._require_log();
    PERFORM eventlog._check_definition(define_event.name, define_event.status, define_event.max_bytes,
        define_event.allowed_values, define_event.default_values, define_event.sample_rate,
        define_event.subject_keys,
        coalesce(define_event.required_keys, '{}') || coalesce(define_event.optional_keys, '{}')
            || coalesce(define_event.subject_keys, '{}') || coalesce(define_event.redact_keys, '{}')
            || coalesce(define_event.hash_keys, '{}') || coalesce(define_event.path_keys, '{}'));
    INSERT INTO eventlog.event_types AS t (name, domain, description, required_keys, optional_keys,
            allow_other_keys, allowed_values, max_bytes, actor_key, subject_keys, duration_key,
            success_key, error_key, occurred_at_key, default_values, default_when_key, sample_rate, sample_key,
            redact_keys, hash_keys, hash_actor, path_keys, status, successor)
    VALUES (
        define_event.name,
        coalesce(define_event.domain, 'application'),
        coalesce(define_event.description, ''),
        coalesce(define_event.required_keys, '{}'),
        coalesce(define_event.optional_keys, '{}'),
        coalesce(define_event.allow_other_keys, true),
        coalesce(define_event.allowed_values, '{}'),
        coalesce(define_event.max_bytes, 2048),
        define_event.actor_key,
        coalesce(define_event.subject_keys, '{}'),
        define_event.duration_key,
        define_event.success_key,
        define_event.error_key,
        define_event.occurred_at_key,
        coalesce(define_event.default_values, '{}'),
        define_event.default_when_key,
        coalesce(define_event.sample_rate, 1),
        define_event.sample_key,
        coalesce(define_event.redact_keys, '{}'),
        coalesce(define_event.hash_keys, '{}'),
        coalesce(define_event.hash_actor, false),
        coalesce(define_event.path_keys, '{}'),
        coalesce(define_event.status, 'active'),
        define_event.successor)
    ON CONFLICT ON CONSTRAINT event_types_pkey DO UPDATE SET
        domain           = coalesce(define_event.domain, t.domain),
        description      = coalesce(define_event.description, t.description),
        required_keys    = coalesce(define_event.required_keys, t.required_keys),
        optional_keys    = coalesce(define_event.optional_keys, t.optional_keys),
        allow_other_keys = coalesce(define_event.allow_other_keys, t.allow_other_keys),
        allowed_values   = coalesce(define_event.allowed_values, t.allowed_values),
        max_bytes        = coalesce(define_event.max_bytes, t.max_bytes),
        actor_key        = coalesce(define_event.actor_key, t.actor_key),
        subject_keys     = coalesce(define_event.subject_keys, t.subject_keys),
        duration_key     = coalesce(define_event.duration_key, t.duration_key),
        success_key      = coalesce(define_event.success_key, t.success_key),
        error_key        = coalesce(define_event.error_key, t.error_key),
        occurred_at_key  = coalesce(define_event.occurred_at_key, t.occurred_at_key),
        default_values   = coalesce(define_event.default_values, t.default_values),
        default_when_key = coalesce(define_event.default_when_key, t.default_when_key),
        sample_rate      = coalesce(define_event.sample_rate, t.sample_rate),
        sample_key       = coalesce(define_event.sample_key, t.sample_key),
        redact_keys      = coalesce(define_event.redact_keys, t.redact_keys),
        hash_keys        = coalesce(define_event.hash_keys, t.hash_keys),
        hash_actor       = coalesce(define_event.hash_actor, t.hash_actor),
        path_keys        = coalesce(define_event.path_keys, t.path_keys),
        status           = coalesce(define_event.status, t.status),
        successor        = coalesce(define_event.successor, t.successor);
    PERFORM eventlog._check_rules(define_event.name);
    IF cardinality(define_event.hash_keys) > 0 OR define_event.hash_actor THEN
        PERFORM eventlog._accept_first_hash_key();
    END IF;
END
$$;

COMMENT ON FUNCTION eventlog.define_event(text, text, text, text[], text[], boolean, jsonb, integer, text, text[], text, text, text, text, jsonb, text, double precision, text, text[], text[], boolean, text[], text, text) IS
'Adds a name to the enum, or changes what is given of one that is there; null keeps what it has. Counts for every connection from the commit on.';

CREATE FUNCTION eventlog.retire_event(name text, successor text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog._require_log();
    IF retire_event.name IS NULL THEN
        RAISE EXCEPTION 'name must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    UPDATE eventlog.event_types t
       SET status = 'retired', successor = coalesce(retire_event.successor, t.successor)
     WHERE t.name = retire_event.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown event name "%"', retire_event.name
            USING ERRCODE = 'undefined_object', HINT = 'SELECT name FROM eventlog.event_types;';
    END IF;
END
$$;

COMMENT ON FUNCTION eventlog.retire_event(text, text) IS
'Retires a name: new events of it are refused, with its successor as the hint; those that are logged stay.';
-- What a role may do with the log. Roles are the DBA's own; sql/roles.sql offers three.

-- 55000 without a log, 22004 without a role, 42501 for a caller without the rights of the log's
-- owner: PostgreSQL itself would only warn that nothing was granted.
CREATE FUNCTION eventlog._require_owner(role regrole) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owner regrole;
BEGIN
    PERFORM eventlog._require_log();
    IF role IS NULL THEN
        RAISE EXCEPTION 'role must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    owner := (SELECT relowner FROM pg_class WHERE oid = 'eventlog.events'::regclass);
    IF NOT pg_has_role(current_user, owner, 'USAGE') THEN
        RAISE EXCEPTION 'permission denied: the log belongs to %', owner
            USING ERRCODE = 'insufficient_privilege', HINT = format('SET ROLE %s;', owner);
    END IF;
END
$$;

-- True, said by the extension: a service's policies go with it, and leave the log closed.
CREATE FUNCTION eventlog.any_tenant() RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'SELECT true';

COMMENT ON FUNCTION eventlog.any_tenant() IS
'The condition of the policies of service roles: true for every row.';

CREATE FUNCTION eventlog.grant_writer(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_owner(role);
    EXECUTE format('GRANT USAGE ON SCHEMA eventlog TO %s', role);
    -- id and created_at are left out: they are the server's.
    EXECUTE format('GRANT INSERT (tenant_id, name, data, occurred_at, actor, subject, weight)
                        ON TABLE eventlog.events TO %s', role);
    EXECUTE format('GRANT SELECT ON TABLE eventlog.event_types TO %s', role);
END
$$;

COMMENT ON FUNCTION eventlog.grant_writer(regrole) IS
'Lets a role log events of its own tenant, and read none.';

CREATE FUNCTION eventlog.grant_reader(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_owner(role);
    EXECUTE format('GRANT USAGE ON SCHEMA eventlog TO %s', role);
    EXECUTE format('GRANT SELECT ON TABLE eventlog.events, eventlog.rejected_events, eventlog.hygiene_counts,
                        eventlog.event_types, eventlog.log_config TO %s', role);
END
$$;

COMMENT ON FUNCTION eventlog.grant_reader(regrole) IS
'Lets a role read the events and the quarantine of its own tenant.';

CREATE FUNCTION eventlog.grant_service(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog.grant_writer(role);
    PERFORM eventlog.grant_reader(role);
    UPDATE eventlog.log_config SET service_roles = service_roles || role::text
     WHERE role::text <> ALL (service_roles);
    PERFORM eventlog._ensure_services();
END
$$;

COMMENT ON FUNCTION eventlog.grant_service(regrole) IS
'Lets a role log and read the events of every tenant.';

-- Makes the policies of service roles as log_config lists the roles; create_log() calls it too,
-- since DROP EXTENSION … CASCADE takes them. A role that was dropped is left out.
CREATE FUNCTION eventlog._ensure_services() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted oid[] := (SELECT array_agg(to_regrole(s.r)::oid ORDER BY s.n) FROM eventlog.log_config c,
                            unnest(c.service_roles) WITH ORDINALITY AS s (r, n) WHERE to_regrole(s.r) IS NOT NULL);
    roles  text  := (SELECT string_agg(w.r::regrole::text, ', ' ORDER BY w.n)
                       FROM unnest(wanted) WITH ORDINALITY AS w (r, n));
    policy record;
BEGIN
    FOR policy IN
        SELECT p.*, (SELECT polroles FROM pg_policy WHERE polrelid = p.relation AND polname = p.name) AS has
          FROM (VALUES
            ('eventlog.events'::regclass,          'events_service_select',          'FOR SELECT', 'USING (eventlog.any_tenant())'),
            ('eventlog.events'::regclass,          'events_service_insert',          'FOR INSERT', 'WITH CHECK (eventlog.any_tenant())'),
            ('eventlog.rejected_events'::regclass, 'rejected_events_service_select', 'FOR SELECT', 'USING (eventlog.any_tenant())'),
            ('eventlog.hygiene_counts'::regclass,  'hygiene_counts_service_select',  'FOR SELECT', 'USING (eventlog.any_tenant())')
        ) AS p (relation, name, command, condition)
    LOOP
        IF policy.has IS NOT NULL AND wanted IS NULL THEN
            EXECUTE format('DROP POLICY %I ON %s', policy.name, policy.relation);
        ELSIF policy.has IS NOT NULL AND NOT (policy.has @> wanted AND wanted @> policy.has) THEN
            EXECUTE format('ALTER POLICY %I ON %s TO %s', policy.name, policy.relation, roles);
        ELSIF policy.has IS NULL AND wanted IS NOT NULL THEN
            EXECUTE format('CREATE POLICY %I ON %s %s TO %s %s', policy.name, policy.relation, policy.command,
                           roles, policy.condition);
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION eventlog.revoke_role(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    table_name name;
    grantor    regrole;
    caller     text := current_setting('role');
BEGIN
    PERFORM eventlog._require_owner(role);
    UPDATE eventlog.log_config SET service_roles = array_remove(service_roles, role::text)
     WHERE role::text = ANY (service_roles);
    PERFORM eventlog._ensure_services();
    FOR table_name IN SELECT t.table_name FROM eventlog._tables() t LOOP
        EXECUTE format('REVOKE ALL ON TABLE eventlog.%I FROM %s', table_name, role);
    END LOOP;
    -- USAGE of the schema may have been granted by its owner and by the log's: a REVOKE takes back
    -- only what its own role granted.
    FOR grantor IN
        SELECT DISTINCT acl.grantor FROM pg_namespace n, aclexplode(n.nspacl) acl
         WHERE n.nspname = 'eventlog' AND acl.grantee = role::oid AND pg_has_role(acl.grantor, 'MEMBER')
    LOOP
        EXECUTE format('SET LOCAL ROLE %s', grantor);
        EXECUTE format('REVOKE ALL ON SCHEMA eventlog FROM %s', role);
        EXECUTE format('SET LOCAL ROLE %s', CASE caller WHEN 'none' THEN 'none' ELSE quote_ident(caller) END);
    END LOOP;
END
$$;

COMMENT ON FUNCTION eventlog.revoke_role(regrole) IS
'Takes back what grant_writer, grant_reader and grant_service gave a role.';
-- The tie between the log and the application's own table of tenants, where one is wanted.

CREATE FUNCTION eventlog.erase_tenant() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'erase_tenant_wrapper';

COMMENT ON FUNCTION eventlog.erase_tenant() IS
'Trigger on a table of tenants: erases the events and the quarantine of a tenant that is deleted, as the log''s owner. Its argument is the tenant''s key column.';

CREATE FUNCTION eventlog.reference_tenants(
    tenants    regclass,
    method     text DEFAULT 'trigger',
    tenant_key name DEFAULT 'id'
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former regclass;
BEGIN
    PERFORM eventlog._require_owner(current_user::regrole);
    IF tenants IS NULL THEN
        RAISE EXCEPTION 'tenants must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF method IS NULL OR method NOT IN ('foreign_key', 'trigger', 'none') THEN
        RAISE EXCEPTION 'unknown method "%"', method
            USING ERRCODE = 'invalid_parameter_value', HINT = 'foreign_key, trigger or none';
    END IF;
    IF method <> 'none' AND NOT EXISTS (
        SELECT FROM pg_attribute a
         WHERE a.attrelid = tenants AND a.attname = tenant_key AND a.atttypid = 'uuid'::regtype
           AND a.attnum > 0 AND NOT a.attisdropped)
    THEN
        RAISE EXCEPTION 'table % has no column "%" of type uuid', tenants, tenant_key
            USING ERRCODE = 'undefined_column',
                  HINT = format('SELECT eventlog.reference_tenants(%L, tenant_key => ''<column>'');', tenants);
    END IF;

    -- One tie at a time: the former one goes, of whatever table it was.
    IF EXISTS (SELECT FROM pg_constraint
                WHERE conrelid = 'eventlog.events'::regclass AND conname = 'events_tenant_id_fkey') THEN
        ALTER TABLE eventlog.events DROP CONSTRAINT events_tenant_id_fkey;
    END IF;
    FOR former IN
        SELECT t.tgrelid FROM pg_trigger t
         WHERE t.tgname = 'eventlog_erase_tenant' AND t.tgfoid = 'eventlog.erase_tenant()'::regprocedure
    LOOP
        EXECUTE format('DROP TRIGGER eventlog_erase_tenant ON %s', former);
    END LOOP;

    IF method = 'foreign_key' THEN
        -- Checks the rows that are there, under a lock that lets readers through.
        EXECUTE format('ALTER TABLE eventlog.events ADD CONSTRAINT events_tenant_id_fkey
                            FOREIGN KEY (tenant_id) REFERENCES %s (%I) ON DELETE CASCADE', tenants, tenant_key);
    ELSIF method = 'trigger' THEN
        EXECUTE format('CREATE TRIGGER eventlog_erase_tenant AFTER DELETE ON %s
                            FOR EACH ROW EXECUTE FUNCTION eventlog.erase_tenant(%L)', tenants, tenant_key);
    END IF;
    UPDATE eventlog.log_config c SET
        tenants_table  = CASE WHEN method <> 'none' THEN (
            SELECT format('%I.%I', n.nspname, t.relname)
              FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace WHERE t.oid = tenants) END,
        tenants_method = nullif(method, 'none'),
        tenants_key    = CASE WHEN method <> 'none' THEN tenant_key END;
END
$$;

COMMENT ON FUNCTION eventlog.reference_tenants(regclass, text, name) IS
'Ties the log to a table of tenants: foreign_key (a tenant must exist; deleting it erases its events; each insert pays for the check), trigger (deleting a tenant erases its events and quarantine; inserts pay nothing), or none (unties).';

-- After DROP EXTENSION … CASCADE the trigger is gone, and create_log() puts it back.
CREATE FUNCTION eventlog._ensure_tenants() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    config  eventlog.log_config;
    tenants regclass;
BEGIN
    SELECT * INTO STRICT config FROM eventlog.log_config;
    tenants := to_regclass(config.tenants_table);
    IF config.tenants_method = 'trigger' AND tenants IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = tenants AND tgname = 'eventlog_erase_tenant')
    THEN
        PERFORM eventlog.reference_tenants(tenants, 'trigger', config.tenants_key);
    END IF;
END
$$;
-- Taking over a table of events that the application has already.

-- An expression for a column of the source, or a null of the type where it has none.
CREATE FUNCTION eventlog._source_column(source regclass, column_name name, wanted text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = source
                                AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped)
                THEN format('s.%I::%s', column_name, wanted)
                ELSE format('NULL::%s', wanted) END
$$;

CREATE FUNCTION eventlog.import_events(source regclass)
RETURNS TABLE (imported bigint, rejected bigint, already_there bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    most_partitions constant integer := 1200;
    missing    text;
    source_rows text;
    step       interval;
    at         timestamptz;
    partitions bigint;
    valid      bigint;
    key_prefix text := format('import of %s: ', source);
BEGIN
    PERFORM eventlog._require_owner(current_user::regrole);
    IF source IS NULL THEN
        RAISE EXCEPTION 'source must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT string_agg(format('"%s"', wanted), ', ' ORDER BY place) INTO missing
      FROM unnest(ARRAY['id', 'tenant_id', 'name', 'data', 'created_at']) WITH ORDINALITY AS w (wanted, place)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = source AND a.attname = wanted
                          AND a.attnum > 0 AND NOT a.attisdropped);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'table % has no column %', source, missing
            USING ERRCODE = 'undefined_column',
                  HINT = 'import a view that gives them: id, tenant_id, name, data, created_at';
    END IF;
    IF source = 'eventlog.events'::regclass THEN
        RAISE EXCEPTION 'the log cannot be imported into itself' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    source_rows := format(
        'SELECT %s AS id, %s AS tenant_id, %s AS name, %s AS data, %s AS created_at,
                %s AS occurred_at, %s AS actor, %s AS subject FROM %s s',
        eventlog._source_column(source, 'id', 'bigint'),
        eventlog._source_column(source, 'tenant_id', 'uuid'),
        eventlog._source_column(source, 'name', 'text'),
        eventlog._source_column(source, 'data', 'jsonb'),
        eventlog._source_column(source, 'created_at', 'timestamptz'),
        eventlog._source_column(source, 'occurred_at', 'timestamptz'),
        eventlog._source_column(source, 'actor', 'text'),
        eventlog._source_column(source, 'subject', 'text'),
        source);

    -- What the rules say of each row, once; of one that is refused, what the quarantine may keep.
    EXECUTE format($sql$
        CREATE TEMPORARY TABLE pg_temp._eventlog_import ON COMMIT DROP AS
        SELECT r.id, r.tenant_id, r.name, v.data, r.created_at,
               r.occurred_at, v.actor, coalesce(v.subject, r.subject) AS subject,
               v.sqlstate, concat_ws(': ', v.message, v.detail) AS reason,
               CASE WHEN v.sqlstate IS NOT NULL THEN
                   %L || coalesce(r.id::text, 'row ' || md5(r::text)) END AS key
          FROM (%s) r
         CROSS JOIN LATERAL eventlog._check_import(
                    r.id, r.tenant_id, r.name, r.data, r.created_at, r.occurred_at, r.actor, r.subject) v
    $sql$, key_prefix, source_rows);

    SELECT c.partition_interval INTO STRICT step FROM eventlog.log_config c;
    SELECT count(DISTINCT s.from_at) INTO partitions
      FROM (SELECT DISTINCT date_trunc('hour', i.created_at) AS hour
              FROM pg_temp._eventlog_import i WHERE i.sqlstate IS NULL) h,
           eventlog._partition_span(h.hour, step) s;
    IF partitions > most_partitions THEN
        RAISE EXCEPTION 'the rows of % span % partitions, limit %', source, partitions, most_partitions
            USING ERRCODE = 'program_limit_exceeded',
                  HINT = 'import a view of the rows that matter, or make the log with a longer partition_interval';
    END IF;
    FOR at IN
        SELECT DISTINCT s.from_at
          FROM (SELECT DISTINCT date_trunc('hour', i.created_at) AS hour
                  FROM pg_temp._eventlog_import i WHERE i.sqlstate IS NULL) h,
               eventlog._partition_span(h.hour, step) s
         ORDER BY 1
    LOOP
        PERFORM eventlog._make_partition(at);
    END LOOP;

    INSERT INTO eventlog.events (id, tenant_id, name, data, actor, subject, occurred_at, created_at)
    OVERRIDING SYSTEM VALUE
    SELECT i.id, i.tenant_id, i.name, i.data, i.actor, i.subject, i.occurred_at, i.created_at
      FROM pg_temp._eventlog_import i WHERE i.sqlstate IS NULL
    ON CONFLICT ON CONSTRAINT events_pkey DO NOTHING;
    GET DIAGNOSTICS imported = ROW_COUNT;

    INSERT INTO eventlog.rejected_events (claimed_tenant_id, name, data, occurred_at, actor, subject,
            idempotency_key, sqlstate, reason, role_name)
    SELECT i.tenant_id, left(i.name, 200),
           CASE WHEN octet_length(i.data::text) <= 65536 THEN i.data::text END,
           coalesce(i.occurred_at, i.created_at), left(i.actor, 200), left(i.subject, 200),
           i.key, i.sqlstate, i.reason, current_user
      FROM pg_temp._eventlog_import i
     WHERE i.sqlstate IS NOT NULL
       AND NOT EXISTS (SELECT FROM eventlog.rejected_events r WHERE r.idempotency_key = i.key);
    GET DIAGNOSTICS rejected = ROW_COUNT;

    SELECT count(*) - imported - rejected INTO already_there FROM pg_temp._eventlog_import;

    -- New events go on behind the imported ones.
    PERFORM setval('eventlog.events_id_seq', i.id)
       FROM (SELECT max(m.id) AS id FROM pg_temp._eventlog_import m WHERE m.sqlstate IS NULL) i
      WHERE i.id >= nextval('eventlog.events_id_seq');
    DROP TABLE pg_temp._eventlog_import;
    RETURN NEXT;
END
$$;

COMMENT ON FUNCTION eventlog.import_events(regclass) IS
'Takes over a table with the columns id, tenant_id, name, data, created_at (and actor, subject, occurred_at where it has them) as the log''s owner: keeps id and created_at, makes old partitions, applies the rules of event_types, and puts rows that break one into rejected_events. Can be run again: rows that are there stay as they are.';
-- The quarantine: what was refused, and putting it in after the rule was mended.

CREATE FUNCTION eventlog._stat_rejected()
RETURNS TABLE (tenant_id uuid, name text, sqlstate text, reason text, events bigint,
               first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog._require_log();
    RETURN QUERY
    SELECT r.tenant_id, r.name, r.sqlstate, r.reason, count(*), min(r.created_at), max(r.created_at)
      FROM eventlog.rejected_events r
     GROUP BY r.tenant_id, r.name, r.sqlstate, r.reason;
END
$$;

CREATE VIEW eventlog.stat_rejected AS SELECT * FROM eventlog._stat_rejected();

COMMENT ON VIEW eventlog.stat_rejected IS
'Counts of rejected_events by tenant, name and reason, as far as the caller may read them.';
GRANT SELECT ON eventlog.stat_rejected TO PUBLIC;

-- As log_event, but what was hashed on its way into the quarantine is not hashed again, and neither
-- sampling nor a quota leaves it out. The log owner's.
CREATE FUNCTION eventlog._replay_event(
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

-- Rows that cannot be replayed say so in can_replay: what was another tenant's (the owner, who
-- replays, could write what the caller could not), what could not be read or kept whole, and what
-- import_events() refused, which takes it when it is called again.
CREATE FUNCTION eventlog.replay_rejected(
    name      text        DEFAULT NULL,
    since     timestamptz DEFAULT NULL,
    row_limit integer     DEFAULT 10000,
    OUT replayed       bigint,
    OUT still_rejected bigint
)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    row     eventlog.rejected_events;
    verdict record;
    state   text;
    fault   text;
BEGIN
    PERFORM eventlog._require_owner(current_user::regrole);
    -- Not a setting yet where the library is not loaded yet.
    IF NOT coalesce(current_setting('eventlog.enabled', true)::boolean, true) THEN
        RAISE EXCEPTION 'the log is disabled' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'SET eventlog.enabled = on;';
    END IF;
    replayed := 0;
    still_rejected := 0;
    FOR row IN
        SELECT * FROM eventlog.rejected_events r
         WHERE r.can_replay
           AND (replay_rejected.name IS NULL OR r.name = replay_rejected.name)
           AND (replay_rejected.since IS NULL OR r.created_at >= replay_rejected.since)
         ORDER BY r.id
         LIMIT replay_rejected.row_limit
           FOR UPDATE SKIP LOCKED
    LOOP
        SELECT v.is_valid, v.sqlstate, concat_ws(': ', v.message, v.detail) AS reason INTO verdict
          FROM eventlog.validate_event(row.name, row.data::jsonb) v;
        state := verdict.sqlstate;
        fault := verdict.reason;
        IF verdict.is_valid THEN
            BEGIN
                IF eventlog._replay_event(coalesce(row.claimed_tenant_id, row.tenant_id), row.name, row.data::jsonb,
                        coalesce(row.occurred_at, row.created_at), row.actor, row.subject, row.idempotency_key,
                        row.weight)
                   IS NULL
                THEN
                    state := row.sqlstate;
                    fault := 'its tenant opted out, or a trigger left it out';
                END IF;
            EXCEPTION
                WHEN data_exception OR integrity_constraint_violation OR undefined_object
                     OR program_limit_exceeded OR insufficient_privilege THEN
                    state := SQLSTATE;
                    fault := SQLERRM;
            END;
        END IF;
        IF state IS NULL THEN
            DELETE FROM eventlog.rejected_events r WHERE r.id = row.id;
            replayed := replayed + 1;
        ELSE
            UPDATE eventlog.rejected_events r SET sqlstate = state, reason = fault WHERE r.id = row.id;
            still_rejected := still_rejected + 1;
        END IF;
    END LOOP;
END
$$;

COMMENT ON FUNCTION eventlog.replay_rejected(text, timestamptz, integer) IS
'Logs quarantined events again after a rule was mended, as the log''s owner, each once: of a name, or all; refused since a time, or ever; at most row_limit, oldest first. occurred_at is when they were first logged, unless the client said. What is still refused stays, with the reason of now; rows without can_replay stay as they are.';
-- Lookups that explain an event as it is stored: an id gets its name.

CREATE FUNCTION eventlog.add_enrichment(
    name         text,
    target_key   text,
    source_key   text,
    lookup       regclass,
    match_column name,
    value_column name
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    missing   text;
    qualified text;
    -- With typmod -1: varchar(5) would cut the value, and char(5) as "character" even to one.
    matched   text := (SELECT format_type(a.atttypid, -1) FROM pg_attribute a
                        WHERE a.attrelid = add_enrichment.lookup AND a.attname = add_enrichment.match_column
                          AND a.attnum > 0 AND NOT a.attisdropped);
BEGIN
    PERFORM eventlog._require_owner(current_user::regrole);
    IF add_enrichment.name IS NULL OR target_key IS NULL OR source_key IS NULL OR lookup IS NULL
       OR match_column IS NULL OR value_column IS NULL THEN
        RAISE EXCEPTION 'no argument of add_enrichment() may be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF NOT EXISTS (SELECT FROM eventlog.event_types t WHERE t.name = add_enrichment.name) THEN
        RAISE EXCEPTION 'unknown event name "%"', add_enrichment.name
            USING ERRCODE = 'undefined_object', HINT = 'SELECT name FROM eventlog.event_types;';
    END IF;
    SELECT string_agg(format('"%s"', w.wanted), ', ' ORDER BY w.place) INTO missing
      FROM unnest(ARRAY[match_column, value_column]) WITH ORDINALITY AS w (wanted, place)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = lookup AND a.attname = w.wanted
                          AND a.attnum > 0 AND NOT a.attisdropped);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'table % has no column %', lookup, missing USING ERRCODE = 'undefined_column';
    END IF;
    SELECT format('%I.%I', n.nspname, c.relname) INTO qualified
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = lookup;
    INSERT INTO eventlog.enrichments AS e (name, target_key, source_key, lookup, match_column, match_type, value_column)
    VALUES (add_enrichment.name, add_enrichment.target_key, add_enrichment.source_key, qualified,
            add_enrichment.match_column, matched, add_enrichment.value_column)
    ON CONFLICT ON CONSTRAINT enrichments_pkey DO UPDATE SET
        source_key = excluded.source_key, lookup = excluded.lookup, match_column = excluded.match_column,
        match_type = excluded.match_type, value_column = excluded.value_column, created_at = excluded.created_at;
    IF NOT EXISTS (
        SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
         WHERE i.indrelid = add_enrichment.lookup AND a.attname = add_enrichment.match_column AND i.indisvalid)
       AND (SELECT relkind FROM pg_class WHERE oid = add_enrichment.lookup) IN ('r', 'p')
    THEN
        RAISE WARNING 'column "%" of % has no index: each event "%" would read the whole table',
                match_column, lookup, add_enrichment.name
            USING HINT = format('CREATE INDEX ON %s (%I);', qualified, match_column);
    END IF;
END
$$;

COMMENT ON FUNCTION eventlog.add_enrichment(text, text, text, regclass, name, name) IS
'Sets target_key of an event to value_column of the row of lookup whose match_column equals source_key, with the caller''s rights. A caller''s own value of target_key is replaced; where the lookup fails the event goes in without the key, and stat_hygiene counts it.';

CREATE FUNCTION eventlog.drop_enrichment(name text, target_key text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog._require_owner(current_user::regrole);
    DELETE FROM eventlog.enrichments e
     WHERE e.name = drop_enrichment.name AND e.target_key = drop_enrichment.target_key;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'event "%" has no enrichment of key "%"', drop_enrichment.name, drop_enrichment.target_key
            USING ERRCODE = 'undefined_object', HINT = 'SELECT name, target_key FROM eventlog.enrichments;';
    END IF;
END
$$;

COMMENT ON FUNCTION eventlog.drop_enrichment(text, text) IS
'Ends the enrichment of a key; what was logged keeps its value.';
-- Limits of single tenants, and what the rules of hygiene did.

CREATE FUNCTION eventlog.set_tenant(
    tenant_id         uuid,
    is_opted_out      boolean DEFAULT NULL,
    max_bytes         integer DEFAULT NULL,
    events_per_minute integer DEFAULT NULL,
    over_quota        text    DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog._require_owner(current_user::regrole);
    IF set_tenant.tenant_id IS NULL THEN
        RAISE EXCEPTION 'tenant_id must not be null' USING ERRCODE = 'null_value_not_allowed';
    ELSIF set_tenant.max_bytes NOT BETWEEN 8 AND 16777216 THEN
        RAISE EXCEPTION 'max_bytes is %, it must be from 8 to 16777216', set_tenant.max_bytes
            USING ERRCODE = 'invalid_parameter_value', HINT = '8 bytes is an empty object';
    ELSIF set_tenant.events_per_minute < 0 THEN
        RAISE EXCEPTION 'events_per_minute is %, it must not be negative', set_tenant.events_per_minute
            USING ERRCODE = 'invalid_parameter_value', HINT = 'for any number: SELECT eventlog.reset_tenant(''<tenant>'');';
    ELSIF set_tenant.over_quota NOT IN ('reject', 'sample', 'quarantine') THEN
        RAISE EXCEPTION 'unknown over_quota "%"', left(set_tenant.over_quota, 80)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'reject, sample or quarantine';
    END IF;
    INSERT INTO eventlog.tenant_settings AS t (tenant_id, is_opted_out, max_bytes, events_per_minute, over_quota)
    VALUES (set_tenant.tenant_id, coalesce(set_tenant.is_opted_out, false), set_tenant.max_bytes,
            set_tenant.events_per_minute, coalesce(set_tenant.over_quota, 'reject'))
    ON CONFLICT ON CONSTRAINT tenant_settings_pkey DO UPDATE SET
        is_opted_out      = coalesce(set_tenant.is_opted_out, t.is_opted_out),
        max_bytes         = coalesce(set_tenant.max_bytes, t.max_bytes),
        events_per_minute = coalesce(set_tenant.events_per_minute, t.events_per_minute),
        over_quota        = coalesce(set_tenant.over_quota, t.over_quota),
        updated_at        = now();
END
$$;

COMMENT ON FUNCTION eventlog.set_tenant(uuid, boolean, integer, integer, text) IS
'Gives a tenant limits of its own: opted out, a stricter max_bytes, events_per_minute, and what happens over_quota: reject (default), sample or quarantine. Null keeps what it has.';

CREATE FUNCTION eventlog.reset_tenant(tenant_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog._require_owner(current_user::regrole);
    DELETE FROM eventlog.tenant_settings t WHERE t.tenant_id = reset_tenant.tenant_id;
END
$$;

COMMENT ON FUNCTION eventlog.reset_tenant(uuid) IS
'Takes back what set_tenant() gave a tenant.';

CREATE FUNCTION eventlog._stat_hygiene()
RETURNS TABLE (tenant_id uuid, kind text, name text, key text, events bigint,
               first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog._require_log();
    RETURN QUERY
    SELECT c.tenant_id, c.kind, c.name, c.key, sum(c.events)::bigint, min(c.created_at), max(c.created_at)
      FROM eventlog.hygiene_counts c
     GROUP BY c.tenant_id, c.kind, c.name, c.key;
END
$$;

CREATE VIEW eventlog.stat_hygiene AS SELECT * FROM eventlog._stat_hygiene();

COMMENT ON VIEW eventlog.stat_hygiene IS
'Lookups that gave nothing, clocks that were ahead, and events over quota, by tenant and name, as far as the caller may read them.';
GRANT SELECT ON eventlog.stat_hygiene TO PUBLIC;
-- The key of keyed hashes. The file is the server's; the log keeps only what tells keys apart, so
-- that another file (a restore, a standby, a hand that slipped) is an error and not other hashes.

CREATE FUNCTION eventlog._hash_key_id() RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hash_key_id_wrapper';

CREATE FUNCTION eventlog.accept_hash_key() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_owner(current_user::regrole);
    UPDATE eventlog.log_config SET hash_key_id = eventlog._hash_key_id();
END
$$;

COMMENT ON FUNCTION eventlog.accept_hash_key() IS
'Makes the key in the file of eventlog.hash_key_file the one that the log hashes with. Hashes under another key differ from then on: what was logged stays as it is.';

-- The first key needs no ceremony.
CREATE FUNCTION eventlog._accept_first_hash_key() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    problem text;
BEGIN
    IF (SELECT hash_key_id FROM eventlog.log_config) IS NOT NULL THEN
        RETURN;
    END IF;
    BEGIN
        PERFORM eventlog.accept_hash_key();
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT;
        RAISE WARNING 'no event with a hashed key can be logged yet: %', problem
            USING HINT = 'write a random key into a file that only the server may read, set eventlog.hash_key_file to it, and: SELECT eventlog.accept_hash_key();';
    END;
END
$$;
-- The event plan: the enum and its rules as one JSON document, for a team to keep in git, to review,
-- and to put into its databases.

-- What a row of event_types says, so far as it differs from the defaults of its columns.
CREATE FUNCTION eventlog._rules_of(event_type jsonb) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(jsonb_object_agg(r.key, r.value), '{}')
      FROM jsonb_each(event_type - '{name,created_at}'::text[]) r
     WHERE r.value <> coalesce(eventlog._default_rules() -> r.key, 'null')
$$;

-- The columns of event_types that rules are in, each with its default.
CREATE FUNCTION eventlog._default_rules() RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb '{
        "domain": "application", "description": "", "required_keys": [], "optional_keys": [],
        "allow_other_keys": true, "allowed_values": {}, "max_bytes": 2048, "actor_key": null,
        "subject_keys": [], "duration_key": null, "success_key": null, "error_key": null,
        "occurred_at_key": null, "default_values": {}, "default_when_key": null, "sample_rate": 1, "sample_key": null,
        "redact_keys": [], "hash_keys": [], "hash_actor": false, "path_keys": [],
        "status": "active", "successor": null}'
$$;

CREATE FUNCTION eventlog.taxonomy_export() RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_log();
    RETURN jsonb_build_object('eventlog_plan', 1, 'events',
        (SELECT coalesce(jsonb_object_agg(t.name, eventlog._rules_of(to_jsonb(t))), '{}')
           FROM eventlog.event_types t));
END
$$;

COMMENT ON FUNCTION eventlog.taxonomy_export() IS
'The event plan as JSON: {"eventlog_plan": 1, "events": {name: {rules that are not the default}}}. For a file in git: psql -Atc "SELECT jsonb_pretty(eventlog.taxonomy_export())" > events.json';

-- Every fault of a plan, in words.
CREATE FUNCTION eventlog._plan_faults(plan jsonb) RETURNS SETOF text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    event record;
    rule  record;
BEGIN
    IF jsonb_typeof(plan) IS DISTINCT FROM 'object' OR jsonb_typeof(plan -> 'events') IS DISTINCT FROM 'object' THEN
        RETURN NEXT 'it must be an object with the key "events", itself an object';
        RETURN;
    END IF;
    IF plan -> 'eventlog_plan' IS DISTINCT FROM jsonb '1' THEN
        RETURN NEXT '"eventlog_plan" must be 1';
    END IF;
    RETURN QUERY SELECT format('unknown key "%s"', left(k, 80))
                   FROM jsonb_object_keys(plan) k WHERE k NOT IN ('eventlog_plan', 'events');
    FOR event IN SELECT e.key AS name, e.value AS rules FROM jsonb_each(plan -> 'events') e LOOP
        IF jsonb_typeof(event.rules) <> 'object' THEN
            RETURN NEXT format('"%s" must be an object of rules', left(event.name, 80));
            CONTINUE;
        END IF;
        FOR rule IN SELECT r.key, r.value, eventlog._default_rules() -> r.key AS standard
                      FROM jsonb_each(event.rules) r LOOP
            IF rule.standard IS NULL THEN
                RETURN NEXT format('"%s" has an unknown rule "%s"', left(event.name, 80), left(rule.key, 80));
            ELSIF jsonb_typeof(rule.value) <> jsonb_typeof(rule.standard)
                  AND NOT (rule.standard = 'null' AND jsonb_typeof(rule.value) = 'string') THEN
                RETURN NEXT format('"%s": %s must be %s', left(event.name, 80), rule.key,
                    CASE jsonb_typeof(rule.standard)
                        WHEN 'null' THEN 'a string or null' WHEN 'array' THEN 'an array'
                        WHEN 'object' THEN 'an object' ELSE 'a ' || jsonb_typeof(rule.standard) END);
            ELSIF jsonb_typeof(rule.value) = 'array'
                  AND jsonb_path_exists(rule.value, 'strict $[*] ? (@.type() != "string")') THEN
                RETURN NEXT format('"%s": %s must be an array of strings', left(event.name, 80), rule.key);
            ELSIF rule.key = 'max_bytes' AND rule.value::text !~ '^[0-9]{1,9}$' THEN
                RETURN NEXT format('"%s": max_bytes must be a whole number', left(event.name, 80));
            END IF;
        END LOOP;
    END LOOP;
END
$$;

CREATE FUNCTION eventlog.taxonomy_import(plan jsonb, apply boolean DEFAULT false)
RETURNS TABLE (action text, name text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    faults text;
    step   record;
    wanted eventlog.event_types;
    -- Every column of rules, so that what a plan leaves out goes back to its default.
    write_rules text := (
        SELECT format('INSERT INTO eventlog.event_types (name, %1$s)
                       SELECT $1, %1$s FROM jsonb_populate_record(NULL::eventlog.event_types, $2)
                       ON CONFLICT ON CONSTRAINT event_types_pkey DO UPDATE SET %2$s',
                      string_agg(k, ', '), string_agg(format('%1$s = excluded.%1$s', k), ', '))
          FROM jsonb_object_keys(eventlog._default_rules()) k);
BEGIN
    PERFORM eventlog._require_owner(current_user::regrole);
    SELECT string_agg(f, '; ') INTO faults FROM (
        SELECT f FROM eventlog._plan_faults(taxonomy_import.plan) f LIMIT 20) AS first;
    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'this is not an event plan'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = faults,
                  HINT = 'such as: SELECT eventlog.taxonomy_export();';
    END IF;
    IF taxonomy_import.apply THEN
        -- What is compared below stays so until the commit.
        LOCK TABLE eventlog.event_types IN SHARE ROW EXCLUSIVE MODE;
    END IF;
    FOR step IN
        WITH wanted AS (
            SELECT e.key AS name, eventlog._default_rules() || e.value AS rules
              FROM jsonb_each(taxonomy_import.plan -> 'events') e
        ), present AS (
            SELECT t.name, to_jsonb(t) - '{name,created_at}'::text[] AS rules FROM eventlog.event_types t
        )
        SELECT CASE WHEN p.name IS NULL THEN 'add'
                    WHEN w.name IS NULL OR w.rules ->> 'status' = 'retired' AND p.rules ->> 'status' <> 'retired'
                        THEN 'retire'
                    ELSE 'change' END AS action,
               coalesce(w.name, p.name) AS name,
               w.rules,
               CASE WHEN w.name IS NULL THEN 'not in the plan'
                    ELSE (SELECT string_agg(CASE WHEN p.name IS NULL THEN format('%s: %s', r.key, r.value)
                                                 ELSE format('%s: %s → %s', r.key, p.rules -> r.key, r.value) END,
                                            '; ' ORDER BY r.key)
                            FROM jsonb_each(w.rules) r
                           WHERE r.value <> coalesce(p.rules, eventlog._default_rules()) -> r.key) END AS detail
          FROM wanted w FULL JOIN present p ON p.name = w.name
         WHERE CASE WHEN w.name IS NULL THEN p.rules ->> 'status' <> 'retired'
                    ELSE p.name IS NULL OR w.rules <> p.rules END
         ORDER BY 1, 2
    LOOP
        IF taxonomy_import.apply AND step.rules IS NULL THEN
            UPDATE eventlog.event_types t SET status = 'retired' WHERE t.name = step.name;
        ELSIF taxonomy_import.apply THEN
            wanted := jsonb_populate_record(NULL::eventlog.event_types, step.rules);
            PERFORM eventlog._check_definition(step.name, wanted.status, wanted.max_bytes, wanted.allowed_values,
                wanted.default_values, wanted.sample_rate, wanted.subject_keys, '{}');
            EXECUTE write_rules USING step.name, step.rules;
            PERFORM eventlog._check_rules(step.name);
            IF cardinality(wanted.hash_keys) > 0 OR wanted.hash_actor THEN
                PERFORM eventlog._accept_first_hash_key();
            END IF;
        END IF;
        action := step.action;
        name := step.name;
        detail := step.detail;
        RETURN NEXT;
    END LOOP;
END
$$;

COMMENT ON FUNCTION eventlog.taxonomy_import(jsonb, boolean) IS
'Compares an event plan with the enum: what it would add, change and retire (names that it leaves out), a row each; with apply => true it does so, all of it or nothing.';
