-- Upkeep of the enum, under the caller's own rights: event_types is the log owner's to change.

-- Says in words what the CHECKs of event_types would say in a row of values.
CREATE FUNCTION eventlog_private.check_definition(
    name text, status text, max_bytes integer, allowed_values jsonb, default_values jsonb,
    sample_rate double precision, retention interval, subject_keys text[], keys text[]
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
    ELSIF retention <= '0'::interval THEN
        RAISE EXCEPTION 'retention is %, it must be positive', retention
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''30 days''';
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
CREATE FUNCTION eventlog_private.check_rules(name text) RETURNS void
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

CREATE FUNCTION eventlog_private.define_event(
    name             text,
    domain           text,
    description      text,
    required_keys    text[],
    optional_keys    text[],
    allow_other_keys boolean,
    allowed_values   jsonb,
    max_bytes        integer,
    actor_key        text,
    subject_keys     text[],
    duration_key     text,
    success_key      text,
    error_key        text,
    occurred_at_key  text,
    default_values   jsonb,
    default_when_key text,
    sample_rate      double precision,
    sample_key       text,
    redact_keys      text[],
    hash_keys        text[],
    hash_actor       boolean,
    path_keys        text[],
    status           text,
    successor        text,
    retention        interval,
    count_subjects   boolean,
    success_values   text[]
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF define_event.retention IS NOT NULL OR define_event.count_subjects IS NOT NULL
       OR define_event.success_values IS NOT NULL THEN
        PERFORM eventlog._require_layout(2);
    END IF;
    IF array_position(define_event.success_values, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a value of success_values must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    PERFORM eventlog_private.check_definition(define_event.name, define_event.status, define_event.max_bytes,
        define_event.allowed_values, define_event.default_values, define_event.sample_rate,
        define_event.retention, define_event.subject_keys,
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
    -- By itself, because a log of layout 1 does not have these columns.
    IF define_event.retention IS NOT NULL OR define_event.count_subjects IS NOT NULL
       OR define_event.success_values IS NOT NULL THEN
        UPDATE eventlog.event_types t
           SET retention      = coalesce(define_event.retention, t.retention),
               count_subjects = coalesce(define_event.count_subjects, t.count_subjects),
               success_values = coalesce(define_event.success_values, t.success_values)
         WHERE t.name = define_event.name;
    END IF;
    PERFORM eventlog_private.check_rules(define_event.name);
    IF cardinality(define_event.hash_keys) > 0 OR define_event.hash_actor THEN
        PERFORM eventlog_private.accept_first_hash_key();
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
    successor        text    DEFAULT NULL,
    retention        interval DEFAULT NULL,
    count_subjects   boolean DEFAULT NULL,
    success_values   text[]  DEFAULT NULL
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.define_event(text, text, text, text[], text[], boolean, jsonb, integer, text, text[], text, text, text, text, jsonb, text, double precision, text, text[], text[], boolean, text[], text, text, interval, boolean, text[]) IS
'Adds a name to the enum, or changes what is given of one that is there; null keeps what it has. Counts for every connection from the commit on.';

CREATE FUNCTION eventlog_private.retire_event(name text, successor text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
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

CREATE FUNCTION eventlog.retire_event(name text, successor text DEFAULT NULL) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.retire_event(text, text) IS
'Retires a name: new events of it are refused, with its successor as the hint; those that are logged stay.';
