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
        PERFORM eventlog_private.secure('eventlog.event_types');
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
    IF eventlog_private.lacks_column('event_types', 'count_keys', 'text[]') THEN
        ALTER TABLE eventlog.event_types
            ADD COLUMN count_keys text[] NOT NULL DEFAULT '{}'
                CONSTRAINT event_types_count_keys_check CHECK (
                    array_position(count_keys, NULL) IS NULL AND array_position(count_keys, '') IS NULL
                    AND cardinality(count_keys) <= 10 AND octet_length(array_to_string(count_keys, '')) <= 1000);
    END IF;
    IF eventlog_private.lacks_column('event_types', 'value_types', 'jsonb') THEN
        ALTER TABLE eventlog.event_types
            ADD COLUMN value_types jsonb NOT NULL DEFAULT '{}'
                CONSTRAINT event_types_value_types_check CHECK (
                    jsonb_typeof(value_types) = 'object'
                    AND NOT jsonb_path_exists(value_types,
                        'strict $.* ? (@.type() != "string" || !(@ like_regex "^(string|number|boolean|array|object)$"))')),
            ADD COLUMN aliases text[] NOT NULL DEFAULT '{}'
                CONSTRAINT event_types_aliases_check CHECK (
                    array_position(aliases, NULL) IS NULL AND array_position(aliases, '') IS NULL
                    AND cardinality(aliases) <= 20),
            ADD COLUMN context_keys text[] NOT NULL DEFAULT '{}'
                CONSTRAINT event_types_context_keys_check CHECK (
                    array_position(context_keys, NULL) IS NULL AND array_position(context_keys, '') IS NULL
                    AND cardinality(context_keys) <= 50);
    END IF;

    COMMENT ON TABLE eventlog.event_types IS
        'Event types: the names that may be logged, and the rules of their payloads. Change them with eventlog.define_event().';
    COMMENT ON COLUMN eventlog.event_types.name IS 'Name of the event; one that ends in .* is a wildcard, which works while eventlog.allow_wildcards is on.';
    COMMENT ON COLUMN eventlog.event_types.domain IS 'The part of the product that it belongs to.';
    COMMENT ON COLUMN eventlog.event_types.description IS 'When it is logged, in one sentence.';
    COMMENT ON COLUMN eventlog.event_types.required_keys IS 'Keys that a payload must have, with a value other than null.';
    COMMENT ON COLUMN eventlog.event_types.optional_keys IS 'Keys that a payload may have.';
    COMMENT ON COLUMN eventlog.event_types.allow_other_keys IS 'True if a payload may have undeclared keys.';
    COMMENT ON COLUMN eventlog.event_types.allowed_values IS 'Allowed values of keys, such as {"role": ["user", "assistant"]}.';
    COMMENT ON COLUMN eventlog.event_types.max_bytes IS 'Maximum size of a payload in bytes, as pg_column_size() reports it before compression.';
    COMMENT ON COLUMN eventlog.event_types.actor_key IS 'Key that provides the actor if the caller gives none.';
    COMMENT ON COLUMN eventlog.event_types.subject_keys IS 'Keys that provide the subject, joined by /, if the caller gives none and all keys are present.';
    COMMENT ON COLUMN eventlog.event_types.duration_key IS 'Key that reports use as the duration in milliseconds.';
    COMMENT ON COLUMN eventlog.event_types.success_key IS 'Key that reports use as the outcome: a boolean, or a value compared with success_values.';
    COMMENT ON COLUMN eventlog.event_types.error_key IS 'Key that reports use as the type of the error.';
    COMMENT ON COLUMN eventlog.event_types.occurred_at_key IS 'Key whose value (an ISO 8601 time, or milliseconds since 1970) becomes occurred_at if the caller gives none; a value that is no time stays in the payload.';
    COMMENT ON COLUMN eventlog.event_types.default_values IS 'Values of keys that a payload lacks.';
    COMMENT ON COLUMN eventlog.event_types.default_when_key IS 'Only payloads with this key get default_values; null for every payload.';
    COMMENT ON COLUMN eventlog.event_types.sample_rate IS 'Share of events to keep, above 0 and at most 1; each kept event weighs 1/rate.';
    COMMENT ON COLUMN eventlog.event_types.sample_key IS 'Key whose value decides about sampling: all events of one value are kept or left out. Null: the actor decides.';
    COMMENT ON COLUMN eventlog.event_types.redact_keys IS 'Keys that are removed at any depth, in addition to eventlog.redact_keys.';
    COMMENT ON COLUMN eventlog.event_types.hash_keys IS 'Keys whose values, at any depth, are replaced by their HMAC-SHA-256 under the key in eventlog.hash_key_file.';
    COMMENT ON COLUMN eventlog.event_types.hash_actor IS 'True if the actor and the value of actor_key are replaced by their HMAC-SHA-256 too.';
    COMMENT ON COLUMN eventlog.event_types.path_keys IS 'Keys whose values, at any depth, are paths to shorten: to ~/ and the rest below a home folder, elsewhere to the last component. {*} means every string that is an absolute path.';
    COMMENT ON COLUMN eventlog.event_types.status IS 'active, deprecated (logged with a warning), or retired (refused).';
    COMMENT ON COLUMN eventlog.event_types.successor IS 'Name to use instead of a deprecated or retired one.';
    COMMENT ON COLUMN eventlog.event_types.created_at IS 'When it was defined.';
    COMMENT ON COLUMN eventlog.event_types.retention IS 'How long to keep its events, if shorter than the retention of the log and the tenant; null for those.';
    COMMENT ON COLUMN eventlog.event_types.count_subjects IS 'True if reports count its events by subject too; false if almost every event has a subject of its own.';
    COMMENT ON COLUMN eventlog.event_types.success_values IS 'Values of success_key, as text, that mean success; every other value means failure. If the key is missing, a boolean "success" counts. Empty if success_key is a boolean.';
    COMMENT ON COLUMN eventlog.event_types.count_keys IS 'Keys of the payload by whose values the rollups count too, at most 10, so that reports by these keys are quick. For keys with few values, such as a plan or a country, not for ids.';
    COMMENT ON COLUMN eventlog.event_types.value_types IS 'JSON types of keys, such as {"total": "number"}: string, number, boolean, array or object.';
    COMMENT ON COLUMN eventlog.event_types.aliases IS 'Other names under which its events arrive, such as "Order Completed". They are stored under its name.';
    COMMENT ON COLUMN eventlog.event_types.context_keys IS 'Keys of the context that a client of another protocol sends, such as locale or page.url. The gateway keeps them in the key "context" of the payload.';
END
$$;

-- The columns of event_types that hold rules, each with its default. Whatever reads or writes rules asks
-- this list.
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
        "status": "active", "successor": null, "retention": null, "count_subjects": true,
        "success_values": [], "count_keys": [], "value_types": {}, "aliases": [], "context_keys": []}'
$$;

-- Returns the rules of a row of event_types that differ from the defaults.
CREATE FUNCTION eventlog._rules_of(event_type jsonb) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(jsonb_object_agg(r.key, r.value), '{}')
      FROM jsonb_each(event_type - '{name,created_at}'::text[]) r
     WHERE r.value <> coalesce(eventlog._default_rules() -> r.key, 'null')
$$;

-- Inserts an event type with these rules and defaults for the others; of one that exists, replaces the
-- rules named in `replaced`. Intervals and numbers must be written as the settings here read them.
CREATE FUNCTION eventlog_private.write_event_type(name text, rules jsonb, replaced text[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
SET extra_float_digits = 1
AS $$
DECLARE
    -- A log of layout 1 lacks some of the columns.
    columns text[] := ARRAY(SELECT a.attname FROM pg_attribute a
                             WHERE a.attrelid = 'eventlog.event_types'::regclass AND a.attnum > 0 AND NOT a.attisdropped
                               AND eventlog._default_rules() ? a.attname);
BEGIN
    EXECUTE (
        SELECT format('INSERT INTO eventlog.event_types (name, %1$s)
                       SELECT $1, %1$s FROM jsonb_populate_record(NULL::eventlog.event_types, $2)
                       ON CONFLICT ON CONSTRAINT event_types_pkey DO %2$s',
                      string_agg(quote_ident(c), ', '),
                      coalesce('UPDATE SET ' || string_agg(format('%1$I = excluded.%1$I', c), ', ') FILTER (WHERE c = ANY (replaced)),
                               'NOTHING'))
          FROM unnest(columns) AS c)
      USING name, eventlog._default_rules() || rules;
END
$$;
