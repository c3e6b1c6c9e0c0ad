-- The tables of the log, made by create_log().

-- Closes a new relation: row-level security on, nothing granted to anybody. ALTER DEFAULT
-- PRIVILEGES may have granted, and TRUNCATE is beyond what policies refuse.
CREATE FUNCTION eventlog_private.close(relation regclass) RETURNS void
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
CREATE FUNCTION eventlog_private.is_missing(table_name text) RETURNS boolean
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

-- Whether a table is there, and is of an older layout than this column. New columns are added at the
-- end of the tables, in fresh logs as in old ones, so that both are alike.
CREATE FUNCTION eventlog_private.lacks_column(table_name text, column_name name, wanted regtype) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation regclass := to_regclass(format('eventlog.%I', table_name));
    has      regtype  := (SELECT a.atttypid FROM pg_attribute a
                           WHERE a.attrelid = relation AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped);
BEGIN
    IF has <> wanted THEN
        RAISE EXCEPTION 'column % of eventlog.% is %, the log needs %', column_name, table_name, has, wanted
            USING ERRCODE = 'datatype_mismatch',
                  DETAIL = 'It is not the log''s own, which has this name in the layout of this version.',
                  HINT = format('ALTER TABLE eventlog.%I RENAME COLUMN %I TO %I;', table_name, column_name, column_name || '_former');
    END IF;
    RETURN relation IS NOT NULL AND has IS NULL;
END
$$;

CREATE FUNCTION eventlog_private.create_events() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('events') THEN
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
        PERFORM eventlog_private.close('eventlog.events');
        PERFORM eventlog_private.close('eventlog.events_id_seq');
    END IF;

    -- CREATE INDEX IF NOT EXISTS would keep writers out even where there is nothing to do.
    IF to_regclass('eventlog.events_tenant_id_name_created_at_idx') IS NULL THEN
        CREATE INDEX events_tenant_id_name_created_at_idx
            ON eventlog.events (tenant_id, name, created_at DESC);
    END IF;
    IF to_regclass('eventlog.events_tenant_id_created_at_idx') IS NULL THEN
        CREATE INDEX events_tenant_id_created_at_idx ON eventlog.events (tenant_id, created_at DESC);
    END IF;

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

CREATE FUNCTION eventlog_private.create_event_types() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('event_types') THEN
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
        PERFORM eventlog_private.close('eventlog.event_types');
    END IF;
    -- Since layout 2.
    IF eventlog_private.lacks_column('event_types', 'retention', 'interval') THEN
        ALTER TABLE eventlog.event_types
            ADD COLUMN retention interval
                CONSTRAINT event_types_retention_check CHECK (retention > '0'::interval),
            ADD COLUMN count_subjects boolean NOT NULL DEFAULT true;
    END IF;
    IF eventlog_private.lacks_column('event_types', 'success_values', 'text[]') THEN
        ALTER TABLE eventlog.event_types
            ADD COLUMN success_values text[] NOT NULL DEFAULT '{}'
                CONSTRAINT event_types_success_values_check CHECK (array_position(success_values, NULL) IS NULL);
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
    COMMENT ON COLUMN eventlog.event_types.success_key IS 'Key that reports read as success: a boolean, or whatever success_values are given for.';
    COMMENT ON COLUMN eventlog.event_types.error_key IS 'Key that reports read as the type of the error.';
    COMMENT ON COLUMN eventlog.event_types.occurred_at_key IS 'Key whose value, an ISO 8601 time or milliseconds since 1970, becomes occurred_at where the caller gave none; what does not parse stays in the payload.';
    COMMENT ON COLUMN eventlog.event_types.default_values IS 'Key to the value it gets where the payload has none.';
    COMMENT ON COLUMN eventlog.event_types.default_when_key IS 'Key that a payload must have to get default_values; null for every payload.';
    COMMENT ON COLUMN eventlog.event_types.sample_rate IS 'Share of the events that is kept, above 0 and at most 1; those kept weigh 1/rate.';
    COMMENT ON COLUMN eventlog.event_types.sample_key IS 'Key whose value decides: all events of one value are in or out. Null: the actor decides.';
    COMMENT ON COLUMN eventlog.event_types.redact_keys IS 'Keys that are removed at any depth, as those of eventlog.redact_keys are from every event.';
    COMMENT ON COLUMN eventlog.event_types.hash_keys IS 'Keys whose values, at any depth, become HMAC-SHA-256 under the key in eventlog.hash_key_file.';
    COMMENT ON COLUMN eventlog.event_types.hash_actor IS 'Whether the actor, and the value of actor_key, become HMAC-SHA-256 too.';
    COMMENT ON COLUMN eventlog.event_types.path_keys IS 'Keys whose values, at any depth, are paths: ~/ and the rest below a home folder, elsewhere the last component. {*} stands for every string that is an absolute path.';
    COMMENT ON COLUMN eventlog.event_types.status IS 'active, deprecated, or retired (refused).';
    COMMENT ON COLUMN eventlog.event_types.successor IS 'Name to use instead of a deprecated or retired one.';
    COMMENT ON COLUMN eventlog.event_types.created_at IS 'When it was defined.';
    COMMENT ON COLUMN eventlog.event_types.retention IS 'How long its events are kept, where that is shorter than the log''s and the tenant''s; null for as long as those.';
    COMMENT ON COLUMN eventlog.event_types.count_subjects IS 'Whether its events are counted by subject too; false where almost every event has a subject of its own.';
    COMMENT ON COLUMN eventlog.event_types.success_values IS 'Values of success_key, as text, that mean success: every other one means failure, and where the key is missing a boolean "success" is read. Empty where success_key is a boolean.';
END
$$;

CREATE FUNCTION eventlog_private.create_other_tables() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('rejected_events') THEN
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
        PERFORM eventlog_private.close('eventlog.rejected_events');
        PERFORM eventlog_private.close('eventlog.rejected_events_id_seq');
    END IF;
    IF to_regclass('eventlog.rejected_events_tenant_id_created_at_idx') IS NULL THEN
        CREATE INDEX rejected_events_tenant_id_created_at_idx
            ON eventlog.rejected_events (tenant_id, created_at DESC);
    END IF;

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

    IF eventlog_private.is_missing('idempotency_keys') THEN
        CREATE TABLE eventlog.idempotency_keys (
            tenant_id  uuid        NOT NULL,
            key        text        NOT NULL COLLATE "C",
            event_id   bigint,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant_id, key)
        );
        PERFORM eventlog_private.close('eventlog.idempotency_keys');
    END IF;
    COMMENT ON TABLE eventlog.idempotency_keys IS
        'Idempotency keys that were seen, and the event of each. A key older than eventlog.idempotency_window counts as new.';
    COMMENT ON COLUMN eventlog.idempotency_keys.tenant_id IS 'The tenant; keys of tenants are apart.';
    COMMENT ON COLUMN eventlog.idempotency_keys.key IS 'The key, at most 255 bytes.';
    COMMENT ON COLUMN eventlog.idempotency_keys.event_id IS 'The id of the first event of the key.';
    COMMENT ON COLUMN eventlog.idempotency_keys.created_at IS 'When it was seen.';

    IF eventlog_private.is_missing('producers') THEN
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
        PERFORM eventlog_private.close('eventlog.producers');
    END IF;
    -- Since layout 2. Sessions that still have the library of 0.1.0 write rows without the two.
    IF eventlog_private.lacks_column('producers', 'role_oid', 'oid') THEN
        ALTER TABLE eventlog.producers
            ADD COLUMN role_oid oid NOT NULL DEFAULT 0,
            ADD COLUMN cluster bigint NOT NULL DEFAULT 0;
        PERFORM eventlog_private.note_producers_roles();
        ALTER TABLE eventlog.producers
            DROP CONSTRAINT IF EXISTS producers_pkey,
            ADD CONSTRAINT producers_pkey PRIMARY KEY (producer, role_oid, cluster);
    END IF;
    COMMENT ON TABLE eventlog.producers IS
        'Writers that number their batches, so that one that is sent again is written once.';
    COMMENT ON COLUMN eventlog.producers.role_name IS 'The role that the writer connects as, by its name when its last batch came.';
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
    COMMENT ON COLUMN eventlog.producers.role_oid IS 'The role itself: one that is made later under the same name is another, whose producers are others.';
    COMMENT ON COLUMN eventlog.producers.cluster IS 'System identifier of the server that role_oid is of; on another one the row goes to the role of that name which was granted its right before the dump was made.';

    IF eventlog_private.is_missing('tenant_roles') THEN
        CREATE TABLE eventlog.tenant_roles (
            role_name name CONSTRAINT tenant_roles_pkey PRIMARY KEY,
            tenant_id uuid NOT NULL
        );
        PERFORM eventlog_private.close('eventlog.tenant_roles');
    END IF;
    -- Since layout 2.
    IF eventlog_private.lacks_column('tenant_roles', 'role_oid', 'oid') THEN
        ALTER TABLE eventlog.tenant_roles ADD COLUMN role_oid oid, ADD COLUMN cluster bigint;
    END IF;
    COMMENT ON TABLE eventlog.tenant_roles IS
        'The tenant of each database role, where eventlog.tenant_source is role. The owner''s to change.';
    COMMENT ON COLUMN eventlog.tenant_roles.role_name IS 'The role that is current when the log is used, by its name when the row was made.';
    COMMENT ON COLUMN eventlog.tenant_roles.tenant_id IS 'Its tenant.';
    COMMENT ON COLUMN eventlog.tenant_roles.role_oid IS 'The role itself, which a trigger sets: a role that is made later under the same name is another.';
    COMMENT ON COLUMN eventlog.tenant_roles.cluster IS 'System identifier of the server that role_oid is of; on another one the name counts, of a role that was there when the dump was made.';

    IF eventlog_private.is_missing('log_config') THEN
        CREATE TABLE eventlog.log_config (
            only_row           boolean     CONSTRAINT log_config_pkey PRIMARY KEY DEFAULT true,
            -- A row that does not say counts as the oldest, which migrate_log() makes good.
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
        PERFORM eventlog_private.close('eventlog.log_config');
    END IF;
    IF NOT EXISTS (SELECT FROM eventlog.log_config) THEN
        INSERT INTO eventlog.log_config (layout_version) VALUES (eventlog._layout_version());
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
    COMMENT ON COLUMN eventlog.log_config.service_roles IS 'Empty since layout 2: a grant of REFERENCES on this column marks a service.';
    COMMENT ON COLUMN eventlog.log_config.hash_key_id IS 'What tells the key that the log hashes with from others; accept_hash_key() sets it.';
    COMMENT ON COLUMN eventlog.log_config.created_at IS 'When the log was made.';
END
$$;
