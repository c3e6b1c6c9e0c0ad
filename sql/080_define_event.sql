-- Upkeep of the enum, under the caller's own rights: event_types is the log owner's to change.

-- Says in words what the CHECKs of event_types would say in a row of values.
CREATE FUNCTION eventlog._check_definition(name text, status text, max_bytes integer, allowed_values jsonb,
                                           keys text[]) RETURNS void
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
    ELSIF array_position(keys, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a key must not be null' USING ERRCODE = 'null_value_not_allowed';
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
        define_event.allowed_values,
        coalesce(define_event.required_keys, '{}') || coalesce(define_event.optional_keys, '{}')
            || coalesce(define_event.subject_keys, '{}'));
    IF cardinality(define_event.subject_keys) > 8 THEN
        RAISE EXCEPTION 'subject_keys has % keys, limit 8', cardinality(define_event.subject_keys)
            USING ERRCODE = 'program_limit_exceeded';
    END IF;
    INSERT INTO eventlog.event_types AS t (name, domain, description, required_keys, optional_keys,
            allow_other_keys, allowed_values, max_bytes, actor_key, subject_keys, duration_key,
            success_key, error_key, status, successor)
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
        status           = coalesce(define_event.status, t.status),
        successor        = coalesce(define_event.successor, t.successor);
END
$$;

COMMENT ON FUNCTION eventlog.define_event(text, text, text, text[], text[], boolean, jsonb, integer, text, text[], text, text, text, text, text) IS
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
