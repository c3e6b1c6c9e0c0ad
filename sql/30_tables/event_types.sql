-- The event types: names of events, and the rules of their payloads.

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
