-- Filters and breakdowns of reports: what a caller gives as JSON or as a name becomes an SQL condition or
-- expression over a row e of events (or of a rollup that has the column). Every text of the caller is quoted
-- by format(%L), and nothing else of it gets into the SQL.

-- Returns whether a row is of the tenant of a report. The tenant of all ones is all tenants. It has no SET
-- clause, so that it is inlined; with a constant tenant only the comparison is left, which has an index.
CREATE FUNCTION eventlog._is_tenant(tenant uuid, row_tenant uuid) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT tenant = 'ffffffff-ffff-ffff-ffff-ffffffffffff' OR row_tenant = tenant
$$;

CREATE FUNCTION eventlog._refuse_filter(message text, detail text, hint text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION '%', message USING ERRCODE = 'invalid_parameter_value', DETAIL = detail, HINT = hint;
END
$$;

-- Returns the parts of filters, one per operator: all must hold. `field` is name, actor, subject or data;
-- `key` is the payload key. `operand` is a value or an array of values; aliases among names are replaced by the
-- names that they stand for. Raises 22023 for what is no filter.
CREATE FUNCTION eventlog._filter_parts(filters jsonb) RETURNS TABLE (field text, key text, operator text, operand jsonb)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    example constant text := 'such as {"name": "tool_used", "data.durationMs": {">": 1000}}';
    single     jsonb;
    condition  record;
    test       record;
    conditions integer := 0;
BEGIN
    IF filters IS NULL OR filters = 'null' THEN
        RETURN;
    END IF;
    IF octet_length(filters::text) > 65536 THEN
        RAISE EXCEPTION 'filters have % bytes, limit 65536', octet_length(filters::text) USING ERRCODE = 'program_limit_exceeded';
    END IF;
    IF jsonb_typeof(filters) NOT IN ('object', 'array') THEN
        PERFORM eventlog._refuse_filter(format('filters must be an object, got a %s', jsonb_typeof(filters)),
                                        'Filters are a JSON object, or an array of objects that all must hold.', example);
    END IF;
    FOR single IN SELECT f.value FROM jsonb_array_elements(CASE jsonb_typeof(filters) WHEN 'array' THEN filters
                                                                ELSE jsonb_build_array(filters) END) AS f (value) LOOP
        IF jsonb_typeof(single) <> 'object' THEN
            PERFORM eventlog._refuse_filter(format('filters must be an array of objects, got a %s in it', jsonb_typeof(single)),
                                            'Filters are a JSON object, or an array of objects that all must hold.', example);
        END IF;
        FOR condition IN SELECT c.key AS name, c.value FROM jsonb_each(single) AS c LOOP
            IF condition.name NOT IN ('name', 'actor', 'subject') AND condition.name !~ '^data\..' THEN
                PERFORM eventlog._refuse_filter(
                    format('unknown filter "%s"', left(condition.name, 200)),
                    'Filters are name, actor, subject, and data.KEY for a key of the payload.',
                    CASE WHEN condition.name IN ('names', 'actors', 'subjects') THEN format('perhaps "%s"', rtrim(condition.name, 's'))
                         WHEN condition.name IN ('', 'data', 'data.') THEN example
                         ELSE format('perhaps "data.%s"', left(condition.name, 200)) END);
            END IF;
            field := CASE WHEN condition.name IN ('name', 'actor', 'subject') THEN condition.name ELSE 'data' END;
            key := CASE WHEN field = 'data' THEN substr(condition.name, 6) END;
            IF jsonb_typeof(condition.value) <> 'object' THEN
                condition.value := jsonb_build_object('is', condition.value);
            ELSIF condition.value = '{}' THEN
                PERFORM eventlog._refuse_filter(format('filter "%s" has no operator', left(condition.name, 200)),
                                                'A condition is a value, an array of values, or an object of operators.',
                                                'operators are is, not, present, prefix, >, >=, <, <=');
            END IF;
            FOR test IN SELECT o.key AS operator, o.value AS operand FROM jsonb_each(condition.value) AS o LOOP
                conditions := conditions + 1;
                operator := test.operator;
                operand := test.operand;
                PERFORM eventlog._check_filter_operand(condition.name, field, operator, operand);
                IF field = 'name' AND operator IN ('is', 'not') THEN
                    operand := (SELECT jsonb_agg(coalesce(to_jsonb(eventlog._name_of(v.value #>> '{}')), v.value))
                                  FROM jsonb_array_elements(CASE jsonb_typeof(operand) WHEN 'array' THEN operand
                                                                 ELSE jsonb_build_array(operand) END) AS v (value));
                END IF;
                RETURN NEXT;
            END LOOP;
        END LOOP;
    END LOOP;
    IF conditions > 20 THEN
        RAISE EXCEPTION 'filters have % conditions, limit 20', conditions USING ERRCODE = 'program_limit_exceeded';
    END IF;
END
$$;

CREATE FUNCTION eventlog._check_filter_operand(filter text, field text, operator text, operand jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    label text := format('operator "%s" of filter "%s"', left(operator, 200), left(filter, 200));
    detail constant text := 'A condition is a value, an array of values, or an object of operators.';
    found text := jsonb_typeof(operand);
    wrong text;
BEGIN
    CASE
    WHEN operator IN ('is', 'not') THEN
        IF found = 'array' THEN
            IF jsonb_array_length(operand) > 100 THEN
                RAISE EXCEPTION 'filter "%" has % values, limit 100', left(filter, 200), jsonb_array_length(operand)
                    USING ERRCODE = 'program_limit_exceeded';
            END IF;
            IF operand = '[]' THEN
                PERFORM eventlog._refuse_filter(format('filter "%s" has an empty array of values', left(filter, 200)), detail,
                                                'for events without a value: null');
            END IF;
            wrong := (SELECT jsonb_typeof(v) FROM jsonb_array_elements(operand) AS v WHERE jsonb_typeof(v) IN ('array', 'object') LIMIT 1);
        ELSE
            wrong := CASE WHEN found = 'object' THEN found END;
        END IF;
        IF wrong IS NOT NULL THEN
            PERFORM eventlog._refuse_filter(format('%s must have a text, number, boolean or null, or an array of those, got an %s', label, wrong),
                                            detail, format('such as {"%s": ["a", "b"]}', left(filter, 200)));
        END IF;
    WHEN operator = 'present' THEN
        IF found <> 'boolean' THEN
            PERFORM eventlog._refuse_filter(format('%s must have true or false, got a value of type %s', label, found), detail,
                                            format('such as {"%s": {"present": true}}', left(filter, 200)));
        END IF;
    WHEN operator = 'prefix' THEN
        IF found <> 'string' THEN
            PERFORM eventlog._refuse_filter(format('%s must have a text, got a value of type %s', label, found), detail,
                                            format('such as {"%s": {"prefix": "skill/"}}', left(filter, 200)));
        END IF;
    WHEN operator IN ('>', '>=', '<', '<=') THEN
        IF field <> 'data' THEN
            PERFORM eventlog._refuse_filter(format('%s compares numbers, and %s is a text', label, field), detail,
                                            'operators for texts are is, not, present, prefix');
        END IF;
        IF found <> 'number' THEN
            PERFORM eventlog._refuse_filter(format('%s must have a number, got a value of type %s', label, found), detail,
                                            format('such as {"%s": {"%s": 1000}}', left(filter, 200), operator));
        END IF;
    ELSE
        PERFORM eventlog._refuse_filter(format('unknown %s', label), detail, 'operators are is, not, present, prefix, >, >=, <, <=');
    END CASE;
END
$$;

-- Returns the condition that a value is one of some. `as_text` and `as_json` are SQL expressions; as_json is
-- null for columns, which hold texts.
CREATE FUNCTION eventlog._one_of(as_text text, as_json text, operand jsonb, hashes text[] DEFAULT '{}') RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH wanted AS (
        SELECT v.value, jsonb_typeof(v.value) = 'null' AS is_null, as_json IS NULL OR jsonb_typeof(v.value) = 'string' AS is_text
          FROM jsonb_array_elements(CASE jsonb_typeof(operand) WHEN 'array' THEN operand ELSE jsonb_build_array(operand) END) AS v (value)
    ), condition AS (
        SELECT format(CASE WHEN count(*) = 1 THEN '%s = %L' ELSE '%s = ANY (%L::text[])' END, as_text,
                      CASE WHEN count(*) = 1 THEN min(t.text) ELSE array_agg(t.text)::text END) AS condition
          FROM (SELECT w.value #>> '{}' AS text FROM wanted w WHERE w.is_text AND NOT w.is_null
                 UNION
                SELECT h FROM unnest(hashes) AS h) t
        HAVING count(*) > 0
         UNION ALL
        SELECT format(CASE WHEN count(*) = 1 THEN '%s = %L::jsonb' ELSE '%s = ANY (%L::jsonb[])' END, as_json,
                      CASE WHEN count(*) = 1 THEN min(w.value::text) ELSE array_agg(w.value)::text END)
          FROM wanted w WHERE NOT w.is_text AND NOT w.is_null
        HAVING count(*) > 0
         UNION ALL
        SELECT format(CASE WHEN as_json IS NULL THEN 'coalesce(%s, '''') = ''''' ELSE '%s IS NULL' END, as_text)
          FROM wanted w WHERE w.is_null
        HAVING count(*) > 0
    )
    SELECT '(' || string_agg(c.condition, ' OR ') || ')' FROM condition c
$$;

-- Returns filters as an SQL condition over a row e with the columns name, actor, subject and data; only those
-- are read that the filters name. `names` are the names that the report is asked for, if any: an unknown name
-- or key gives a NOTICE.
CREATE FUNCTION eventlog._filter_condition(filters jsonb, names text[] DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._check_filters_known(filters, names);
    RETURN eventlog._filter_sql(filters);
END
$$;

-- Returns filters as an SQL condition. In a row e of a rollup by a payload key, e.value is what the key has.
CREATE FUNCTION eventlog._filter_sql(filters jsonb, counted_key text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part       record;
    as_text    text;
    as_json    text;
    conditions text[] := '{}';
BEGIN
    FOR part IN SELECT p.* FROM eventlog._filter_parts(filters) p LOOP
        as_text := CASE WHEN part.key = counted_key THEN 'e.value'
                        WHEN part.field = 'data' THEN format('(e.data ->> %L)', part.key) ELSE 'e.' || part.field END;
        as_json := CASE WHEN part.field = 'data' THEN format('(e.data -> %L)', part.key) END;
        conditions := conditions || CASE
            WHEN part.operator IN ('is', 'not') THEN
                eventlog._one_of(as_text, as_json, part.operand,
                                 CASE WHEN part.field = 'actor' THEN eventlog._hashes_of(eventlog._texts_of(part.operand)) ELSE '{}' END)
                || CASE WHEN part.operator = 'not' THEN ' IS NOT TRUE' ELSE '' END
            WHEN part.operator = 'present' THEN
                eventlog._one_of(as_text, as_json, 'null') || CASE WHEN part.operand = 'true' THEN ' IS NOT TRUE' ELSE '' END
            WHEN part.operator = 'prefix' THEN
                format('starts_with(%s, %L)', as_text, part.operand #>> '{}')
            -- The operator is one of four. A CASE, because only numbers can be cast.
            ELSE format('CASE WHEN jsonb_typeof(%1$s) = ''number'' THEN (%1$s)::numeric %2$s %3$L::numeric END',
                        as_json, part.operator, part.operand #>> '{}')
            END;
    END LOOP;
    RETURN coalesce(nullif(array_to_string(conditions, ' AND '), ''), 'true');
END
$$;

-- Returns the values of an operand as texts.
CREATE FUNCTION eventlog._texts_of(operand jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(array_agg(v.value #>> '{}') FILTER (WHERE v.value <> 'null'), '{}')
      FROM jsonb_array_elements(CASE jsonb_typeof(operand) WHEN 'array' THEN operand ELSE jsonb_build_array(operand) END) AS v (value)
$$;

-- Gives a NOTICE for names that are unknown, and for payload keys that no event of the names in question can
-- have: the report shows zeros for them.
CREATE FUNCTION eventlog._check_filters_known(filters jsonb, names text[]) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    meant text[] := names;
    given text[];
BEGIN
    FOR given IN SELECT eventlog._texts_of(p.operand) FROM eventlog._filter_parts(filters) p
                  WHERE p.field = 'name' AND p.operator IN ('is', 'not') LOOP
        PERFORM eventlog._check_names(given);
    END LOOP;
    FOR given IN SELECT eventlog._texts_of(p.operand) FROM eventlog._filter_parts(filters) p
                  WHERE p.field = 'name' AND p.operator = 'is' LOOP
        meant := ARRAY(SELECT g FROM unnest(given) AS g WHERE meant IS NULL OR g = ANY (meant));
    END LOOP;
    PERFORM eventlog._check_keys(ARRAY(SELECT DISTINCT p.key FROM eventlog._filter_parts(filters) p WHERE p.field = 'data'), meant);
END
$$;

-- Gives a NOTICE for payload keys that none of these event types declares or allows. Null means all names.
CREATE FUNCTION eventlog._check_keys(keys text[], names text[]) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known   text[];
    unknown text;
    nearest text;
BEGIN
    IF keys = '{}' OR EXISTS (SELECT FROM eventlog.event_types t
                               WHERE t.allow_other_keys AND (names IS NULL OR t.name = ANY (names) OR right(t.name, 2) = '.*'))
       OR NOT EXISTS (SELECT FROM eventlog.event_types t WHERE names IS NULL OR t.name = ANY (names)) THEN
        RETURN;
    END IF;
    known := ARRAY(
        SELECT DISTINCT k.key
          FROM eventlog.event_types t
         CROSS JOIN LATERAL (SELECT unnest(t.required_keys || t.optional_keys || t.subject_keys
                                           || ARRAY[t.actor_key, t.duration_key, t.success_key, t.error_key, t.occurred_at_key])
                              UNION ALL
                             SELECT jsonb_object_keys(t.allowed_values || t.value_types)
                              UNION ALL
                             SELECT 'context' WHERE t.context_keys <> '{}'
                              UNION ALL
                             SELECT jsonb_object_keys(t.default_values)) AS k (key)
         WHERE (names IS NULL OR t.name = ANY (names)) AND k.key IS NOT NULL);
    FOR unknown IN SELECT k FROM unnest(keys) AS k WHERE k <> ALL (known) ORDER BY k LOOP
        SELECT k INTO nearest FROM unnest(known) AS k
         WHERE lower(regexp_replace(k, '[^A-Za-z0-9]', '', 'g')) = lower(regexp_replace(unknown, '[^A-Za-z0-9]', '', 'g'))
            OR length(unknown) >= 3 AND (starts_with(lower(k), lower(unknown)) OR starts_with(lower(unknown), lower(k)))
         ORDER BY length(k), k LIMIT 1;
        RAISE NOTICE 'unknown payload key "%"', left(unknown, 200)
            USING HINT = CASE WHEN nearest IS NULL THEN 'SELECT name, required_keys, optional_keys FROM eventlog.event_types;'
                              ELSE format('perhaps "data.%s"', nearest) END;
    END LOOP;
END
$$;

-- Returns what a report is broken down by as an SQL expression over a row e, of type text: null for events
-- without a value. Null if there is no breakdown. `names` are the names that the report is asked for.
CREATE FUNCTION eventlog._breakdown_expression(breakdown text, names text[] DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF breakdown IS NULL THEN
        RETURN NULL;
    ELSIF breakdown IN ('name', 'actor', 'subject') THEN
        RETURN format('nullif(e.%I, '''')', breakdown);
    ELSIF breakdown ~ '^data\..' THEN
        PERFORM eventlog._check_keys(ARRAY[substr(breakdown, 6)], names);
        RETURN format('left(e.data ->> %L, 200)', substr(breakdown, 6));
    END IF;
    RAISE EXCEPTION 'unknown breakdown "%"', left(breakdown, 200)
        USING ERRCODE = 'invalid_parameter_value', DETAIL = 'A breakdown is name, actor, subject, or data.KEY for a key of the payload.',
              HINT = CASE WHEN breakdown IN ('names', 'actors', 'subjects') THEN format('perhaps "%s"', rtrim(breakdown, 's'))
                          WHEN breakdown IN ('', 'data', 'data.') THEN 'such as ''data.skillName'''
                          ELSE format('perhaps "data.%s"', left(breakdown, 200)) END;
END
$$;

CREATE FUNCTION eventlog._check_top(top integer) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF top IS NULL OR top < 1 OR top > 1000 THEN
        RAISE EXCEPTION 'top must be from 1 to 1000, got %', coalesce(top::text, 'null') USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;
