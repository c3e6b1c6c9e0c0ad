-- Defining event types. The table event_types, the list of its rules and the statement that writes them
-- stand in 30_tables/event_types.sql.

-- Checks a name and the given rules, with messages that are clearer than those of the table's CHECKs.
CREATE FUNCTION eventlog_private.check_definition(name text, rules jsonb) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $$
DECLARE
    max_bytes      integer          := rules ->> 'max_bytes';
    sample_rate    double precision := rules ->> 'sample_rate';
    retention      interval         := rules ->> 'retention';
    allowed_values jsonb            := rules -> 'allowed_values';
    with_null      text             := (SELECT r.key FROM jsonb_each(rules) r
                                         WHERE jsonb_typeof(r.value) = 'array' AND r.value @> '[null]' LIMIT 1);
    value_types    jsonb            := rules -> 'value_types';
    wrong_alias    text             := (SELECT a FROM jsonb_array_elements_text(rules -> 'aliases') a
                                         WHERE octet_length(a) NOT BETWEEN 1 AND 128 OR a ~ '[[:cntrl:]]' OR a = check_definition.name LIMIT 1);
    wrong_context  text             := (SELECT k FROM jsonb_array_elements_text(rules -> 'context_keys') k
                                         WHERE octet_length(k) > 128 OR k !~ '^[^.[:cntrl:]]+(\.[^.[:cntrl:]]+)*$' LIMIT 1);
    most_aliases      constant integer := 20;
    most_context_keys constant integer := 50;
    most_subject_keys constant integer := 8;
    most_count_keys   constant integer := 10;
    count_keys_bytes  constant integer := 1000;
BEGIN
    IF name IS NULL THEN
        RAISE EXCEPTION 'name must not be null' USING ERRCODE = 'null_value_not_allowed';
    ELSIF name !~ '^[a-z][a-z0-9_.]*(\.\*)?$' OR octet_length(name) > 128 THEN
        RAISE EXCEPTION '"%" cannot be the name of an event', left(name, 80)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'use a-z, 0-9, _ and ., begin with a letter, at most 128 bytes; a wildcard ends in .*';
    ELSIF rules ->> 'status' NOT IN ('active', 'deprecated', 'retired') THEN
        RAISE EXCEPTION 'unknown status "%"', left(rules ->> 'status', 80)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'active, deprecated or retired';
    ELSIF max_bytes NOT BETWEEN 8 AND 16777216 THEN
        RAISE EXCEPTION 'max_bytes must be from 8 to 16777216, got %', max_bytes
            USING ERRCODE = 'invalid_parameter_value', HINT = '8 bytes is an empty object; the default is 2048';
    ELSIF NOT (sample_rate > 0 AND sample_rate <= 1) THEN
        RAISE EXCEPTION 'sample_rate must be above 0 and at most 1, got %', sample_rate
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = '0.1 keeps a tenth; to keep none: SELECT eventlog.retire_event(''<name>'');';
    ELSIF retention <= '0'::interval THEN
        RAISE EXCEPTION 'retention must be positive, got %', retention
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''30 days''';
    ELSIF with_null IS NOT NULL THEN
        RAISE EXCEPTION '% must not contain null', with_null USING ERRCODE = 'null_value_not_allowed';
    ELSIF jsonb_array_length(rules -> 'subject_keys') > most_subject_keys THEN
        RAISE EXCEPTION 'subject_keys has % keys, limit %', jsonb_array_length(rules -> 'subject_keys'), most_subject_keys
            USING ERRCODE = 'program_limit_exceeded';
    ELSIF jsonb_array_length(rules -> 'count_keys') > most_count_keys THEN
        RAISE EXCEPTION 'count_keys has % keys, limit %', jsonb_array_length(rules -> 'count_keys'), most_count_keys
            USING ERRCODE = 'program_limit_exceeded',
                  HINT = 'reports can filter by every key; count those that are asked for often';
    ELSIF rules -> 'count_keys' @> '[""]' THEN
        RAISE EXCEPTION 'count_keys must not contain an empty key' USING ERRCODE = 'invalid_parameter_value';
    ELSIF (SELECT sum(octet_length(k)) FROM jsonb_array_elements_text(rules -> 'count_keys') AS k) > count_keys_bytes THEN
        RAISE EXCEPTION 'count_keys has % bytes, limit %',
                (SELECT sum(octet_length(k)) FROM jsonb_array_elements_text(rules -> 'count_keys') AS k), count_keys_bytes
            USING ERRCODE = 'program_limit_exceeded';
    ELSIF jsonb_typeof(rules -> 'default_values') <> 'object' THEN
        RAISE EXCEPTION 'default_values must be a JSON object'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as {"source": "hook"}';
    ELSIF allowed_values IS NOT NULL AND (
            jsonb_typeof(allowed_values) <> 'object'
            OR jsonb_path_exists(allowed_values, 'strict $.* ? (@.type() != "array")')
            OR jsonb_path_exists(allowed_values,
                'strict $.*[*] ? (@.type() == "object" || @.type() == "array" || @.type() == "null")')) THEN
        RAISE EXCEPTION 'allowed_values must give each key an array of strings, numbers or booleans'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as {"role": ["user", "assistant"]}';
    ELSIF value_types IS NOT NULL AND (
            jsonb_typeof(value_types) <> 'object'
            OR EXISTS (SELECT FROM jsonb_each(CASE jsonb_typeof(value_types) WHEN 'object' THEN value_types ELSE '{}' END) v
                        WHERE v.value NOT IN ('"string"', '"number"', '"boolean"', '"array"', '"object"'))) THEN
        RAISE EXCEPTION 'value_types must give each key one of string, number, boolean, array and object'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as {"total": "number", "items": "array"}';
    ELSIF jsonb_array_length(rules -> 'aliases') > most_aliases THEN
        RAISE EXCEPTION 'aliases has % names, limit %', jsonb_array_length(rules -> 'aliases'), most_aliases
            USING ERRCODE = 'program_limit_exceeded';
    ELSIF right(name, 2) = '.*' AND jsonb_array_length(rules -> 'aliases') > 0 THEN
        RAISE EXCEPTION 'wildcard "%" cannot have aliases', name
            USING ERRCODE = 'invalid_parameter_value', HINT = 'an event of an alias is stored under the name of its event type';
    ELSIF wrong_alias IS NOT NULL THEN
        RAISE EXCEPTION '"%" cannot be an alias', left(wrong_alias, 80)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'use another text than the name itself, of 1 to 128 bytes, without control characters';
    ELSIF jsonb_array_length(rules -> 'context_keys') > most_context_keys THEN
        RAISE EXCEPTION 'context_keys has % keys, limit %', jsonb_array_length(rules -> 'context_keys'), most_context_keys
            USING ERRCODE = 'program_limit_exceeded';
    ELSIF wrong_context IS NOT NULL THEN
        RAISE EXCEPTION '"%" cannot be one of context_keys', left(wrong_context, 80)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''{locale,page.url}'', of at most 128 bytes each';
    END IF;
END
$$;

-- Rejects rules that no payload can satisfy. Values are compared as they are stored.
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
      FROM eventlog.event_types t
           -- A log of layout 1 has no such column.
     CROSS JOIN LATERAL (SELECT coalesce(to_jsonb(t) -> 'value_types', '{}') AS of_keys) types
     CROSS JOIN LATERAL (
             SELECT k, 'required and redacted' FROM unnest(t.required_keys) k WHERE k = ANY (t.redact_keys)
             UNION ALL
             SELECT k, 'redacted, but has allowed values' FROM jsonb_object_keys(t.allowed_values) k
              WHERE k = ANY (t.redact_keys)
             UNION ALL
             SELECT k, 'hashed, but has allowed values' FROM jsonb_object_keys(t.allowed_values) k
              WHERE k = ANY (t.hash_keys) OR t.hash_actor AND k = t.actor_key
             UNION ALL
             -- Arrays and objects keep their type: what is in them is hashed or shortened.
             SELECT v.key, format('of type %s, but is hashed', v.value) FROM jsonb_each_text(types.of_keys) v
              WHERE v.value IN ('number', 'boolean') AND (v.key = ANY (t.hash_keys) OR t.hash_actor AND v.key = t.actor_key)
             UNION ALL
             SELECT v.key, format('of type %s, but is a path', v.value) FROM jsonb_each_text(types.of_keys) v
              WHERE v.value IN ('number', 'boolean') AND v.key = ANY (t.path_keys)
             UNION ALL
             SELECT v.key, format('of type %s, but has an allowed value of type %s', v.value, jsonb_typeof(a.value))
               FROM jsonb_each_text(types.of_keys) v, jsonb_array_elements(t.allowed_values -> v.key) a
              WHERE jsonb_typeof(a.value) <> v.value
             UNION ALL
             SELECT v.key, format('of type %s, but has a default of type %s', v.value, jsonb_typeof(t.default_values -> v.key))
               FROM jsonb_each_text(types.of_keys) v
              WHERE jsonb_typeof(t.default_values -> v.key) NOT IN (v.value, 'null')) AS r (key, rule)
     WHERE t.name = name
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'key "%" of event "%" is %', key, name, rule
            USING ERRCODE = 'invalid_parameter_value', HINT = 'rules apply to stored values, so leave out one of the two';
    END IF;
END
$$;

-- Checks and writes an event type, as write_event_type() does.
CREATE FUNCTION eventlog_private.set_event_type(name text, rules jsonb, replaced text[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog_private.check_definition(name, rules);
    PERFORM eventlog_private.write_event_type(name, rules, replaced);
    PERFORM eventlog_private.check_rules(name);
    IF jsonb_array_length(rules -> 'hash_keys') > 0 OR (rules -> 'hash_actor')::boolean THEN
        PERFORM eventlog_private.accept_first_hash_key();
    END IF;
END
$$;

CREATE FUNCTION eventlog_private.define_event(name text, rules jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    given text[] := ARRAY(SELECT k FROM jsonb_object_keys(rules) k);
BEGIN
    PERFORM eventlog._require_layout(1);
    IF EXISTS (SELECT FROM unnest(given) AS g
                WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = 'eventlog.event_types'::regclass AND a.attname = g)) THEN
        PERFORM eventlog._require_layout(eventlog._layout_version());
    END IF;
    PERFORM eventlog_private.lock_names(ARRAY[name], jsonb_array_length(rules -> 'aliases') > 0);
    PERFORM eventlog_private.set_event_type(name, rules, replaced => given);
    PERFORM eventlog_private.check_aliases(ARRAY[name]);
END
$$;

CREATE FUNCTION eventlog._define_event(name text, rules jsonb) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

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
    success_values   text[]  DEFAULT NULL,
    count_keys       text[]  DEFAULT NULL,
    value_types      jsonb   DEFAULT NULL,
    aliases          text[]  DEFAULT NULL,
    context_keys     text[]  DEFAULT NULL
) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
SET extra_float_digits = 1
AS $$
    SELECT eventlog._define_event(define_event.name, (
        SELECT coalesce(jsonb_object_agg(r.key, r.value) FILTER (WHERE r.value <> 'null'), '{}') FROM jsonb_each(jsonb_build_object(
        'domain', define_event.domain, 'description', define_event.description,
        'required_keys', define_event.required_keys, 'optional_keys', define_event.optional_keys,
        'allow_other_keys', define_event.allow_other_keys, 'allowed_values', define_event.allowed_values,
        'max_bytes', define_event.max_bytes, 'actor_key', define_event.actor_key,
        'subject_keys', define_event.subject_keys, 'duration_key', define_event.duration_key,
        'success_key', define_event.success_key, 'error_key', define_event.error_key,
        'occurred_at_key', define_event.occurred_at_key, 'default_values', define_event.default_values,
        'default_when_key', define_event.default_when_key, 'sample_rate', define_event.sample_rate,
        'sample_key', define_event.sample_key, 'redact_keys', define_event.redact_keys,
        'hash_keys', define_event.hash_keys, 'hash_actor', define_event.hash_actor,
        'path_keys', define_event.path_keys, 'status', define_event.status, 'successor', define_event.successor,
        'retention', define_event.retention, 'count_subjects', define_event.count_subjects,
        'success_values', define_event.success_values, 'count_keys', define_event.count_keys,
        'value_types', define_event.value_types, 'aliases', define_event.aliases,
        'context_keys', define_event.context_keys)) r))
$$;

COMMENT ON FUNCTION eventlog.define_event IS
'Defines an event type, or updates the given fields of an existing one (null keeps a field). Takes effect in every connection on commit.';

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
        PERFORM eventlog_private.refuse_name(retire_event.name);
    END IF;
END
$$;

CREATE FUNCTION eventlog.retire_event(name text, successor text DEFAULT NULL) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.retire_event(text, text) IS
'Retires an event type: new events of it are refused, with the successor as a hint; events in the log stay.';
