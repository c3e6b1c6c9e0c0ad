-- The event plan: all event types and their rules as one JSON document, for a team to keep in git, to
-- review, and to load into its databases.

-- Returns an interval as a plan writes it, '30 days' for '30d', or null if it is no positive interval.
CREATE FUNCTION eventlog_private.plan_interval(value text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $$
BEGIN
    RETURN CASE WHEN value::interval > '0'::interval THEN value::interval::text END;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;

CREATE FUNCTION eventlog.taxonomy_export() RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $$
BEGIN
    PERFORM eventlog._require_log();
    RETURN jsonb_build_object('eventlog_plan', 1, 'events',
        (SELECT coalesce(jsonb_object_agg(t.name, eventlog._rules_of(to_jsonb(t))), '{}')
           FROM eventlog.event_types t));
END
$$;

COMMENT ON FUNCTION eventlog.taxonomy_export() IS
'Returns the event plan as JSON: {"eventlog_plan": 1, "events": {name: {rules that differ from the defaults}}}. For a file in git: psql -Atc "SELECT jsonb_pretty(eventlog.taxonomy_export())" > events.json';

-- Lists every fault of a plan.
CREATE FUNCTION eventlog_private.plan_faults(plan jsonb) RETURNS SETOF text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    event record;
    rule  record;
BEGIN
    IF jsonb_typeof(plan) IS DISTINCT FROM 'object' OR jsonb_typeof(plan -> 'events') IS DISTINCT FROM 'object' THEN
        RETURN NEXT 'it must be an object with a key "events", which is an object too';
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
            ELSIF rule.key = 'retention' AND jsonb_typeof(rule.value) = 'string'
                  AND eventlog_private.plan_interval(rule.value #>> '{}') IS NULL THEN
                RETURN NEXT format('"%s": retention must be a positive interval, such as "30 days"', left(event.name, 80));
            END IF;
        END LOOP;
    END LOOP;
END
$$;

CREATE FUNCTION eventlog_private.taxonomy_import(plan jsonb, apply boolean)
RETURNS TABLE (action text, name text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $$
#variable_conflict use_column
DECLARE
    faults text;
    step   record;
BEGIN
    PERFORM eventlog._require_layout(2);
    SELECT string_agg(f, '; ') INTO faults FROM (
        SELECT f FROM eventlog_private.plan_faults(taxonomy_import.plan) f LIMIT 20) AS first;
    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'invalid event plan'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = faults,
                  HINT = 'for an example: SELECT eventlog.taxonomy_export();';
    END IF;
    IF taxonomy_import.apply THEN
        -- Keeps the rows compared below unchanged until the commit.
        LOCK TABLE eventlog.event_types IN SHARE ROW EXCLUSIVE MODE;
        PERFORM eventlog_private.lock_names(ARRAY(SELECT k FROM jsonb_object_keys(taxonomy_import.plan -> 'events') k),
            EXISTS (SELECT FROM jsonb_each(taxonomy_import.plan -> 'events') e WHERE jsonb_array_length(e.value -> 'aliases') > 0));
    END IF;
    FOR step IN
        WITH wanted AS (
            SELECT e.key AS name, eventlog._default_rules() || e.value
                       || jsonb_build_object('retention', eventlog_private.plan_interval(e.value ->> 'retention')) AS rules
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
            -- Every rule, so that those that a plan leaves out go back to their defaults.
            PERFORM eventlog_private.set_event_type(step.name, step.rules,
                replaced => ARRAY(SELECT k FROM jsonb_object_keys(step.rules) k));
        END IF;
        action := step.action;
        name := step.name;
        detail := step.detail;
        RETURN NEXT;
    END LOOP;
    -- Last, since a plan may move an alias from one to another.
    IF taxonomy_import.apply THEN
        PERFORM eventlog_private.take_aliases(taxonomy_import.plan -> 'events');
        PERFORM eventlog_private.check_aliases(ARRAY(SELECT k FROM jsonb_object_keys(taxonomy_import.plan -> 'events') k));
    END IF;
END
$$;

CREATE FUNCTION eventlog.taxonomy_import(plan jsonb, apply boolean DEFAULT false)
RETURNS TABLE (action text, name text, detail text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.taxonomy_import(jsonb, boolean) IS
'Compares an event plan with event_types and returns a row for each event type that it would add, change or retire (those that the plan leaves out). With apply => true it makes these changes, all or none.';
