-- Reports of single events, from raw rows.

CREATE FUNCTION eventlog._check_row_limit(row_limit integer) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF row_limit IS NULL OR row_limit < 1 OR row_limit > 10000 THEN
        RAISE EXCEPTION 'row_limit is %, must be 1 to 10000', coalesce(row_limit::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;

-- The conditions are put together as they are given, so that each way to ask has a plan of its own.
-- The keyed hashes of actors, for a caller who may know them: the log's owner, and a service. Not for a
-- gateway, whose readers would learn who a hash is by trying. None where the log never hashed.
CREATE FUNCTION eventlog._hashes_of(actors text[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF actors IS NULL OR (SELECT l.hash_key_id FROM eventlog.log_config l) IS NULL
       OR has_column_privilege('eventlog.api_keys', 'secret_hash', 'SELECT')
          AND NOT pg_has_role((SELECT c.relowner FROM pg_class c WHERE c.oid = 'eventlog.events'::regclass), 'USAGE')
       OR NOT (pg_has_role((SELECT c.relowner FROM pg_class c WHERE c.oid = 'eventlog.events'::regclass), 'USAGE')
               OR EXISTS (SELECT FROM pg_policy p, unnest(p.polroles) AS r (role)
                           WHERE p.polrelid = 'eventlog.events'::regclass AND p.polname = 'events_service_select'
                             AND pg_has_role(r.role, 'USAGE'))) THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(SELECT eventlog.hash_actor(a) FROM unnest(actors) AS a WHERE a IS NOT NULL);
END
$$;

CREATE FUNCTION eventlog.get_events(
    names      text[]      DEFAULT NULL,
    since      timestamptz DEFAULT now() - interval '30 days',
    until      timestamptz DEFAULT now() + interval '1 day',
    actors     text[]      DEFAULT NULL,
    subjects   text[]      DEFAULT NULL,
    contains   jsonb       DEFAULT NULL,
    ids        bigint[]    DEFAULT NULL,
    occurred_since timestamptz DEFAULT NULL,
    occurred_until timestamptz DEFAULT NULL,
    min_weight real        DEFAULT NULL,
    before_created_at timestamptz DEFAULT NULL,
    before_id  bigint      DEFAULT NULL,
    row_limit  integer     DEFAULT 100,
    tenant_id  uuid        DEFAULT NULL
) RETURNS TABLE (id bigint, name text, data jsonb, actor text, subject text, occurred_at timestamptz,
                 created_at timestamptz, weight real)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(get_events.tenant_id);
    asked  text[] := eventlog._asked_names(names);
    meant  text[] := actors || eventlog._hashes_of(actors);
BEGIN
    PERFORM eventlog._check_row_limit(row_limit);
    IF since IS NULL OR until IS NULL OR since > until THEN
        RAISE EXCEPTION 'the report has no span: since is %, until is %',
                coalesce(since::text, 'null'), coalesce(until::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'for all that there are: since => ''-infinity''';
    END IF;
    IF (before_created_at IS NULL) <> (before_id IS NULL) THEN
        RAISE EXCEPTION 'before_created_at and before_id belong together'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'both of the last row of the page before';
    END IF;
    RETURN QUERY EXECUTE
        'SELECT e.id, e.name, e.data, e.actor, e.subject, e.occurred_at, e.created_at, e.weight
           FROM eventlog.events e
          WHERE e.tenant_id = $1 AND e.created_at >= $2 AND e.created_at < $3'
        || CASE WHEN asked IS NOT NULL THEN ' AND e.name = ANY ($4)' ELSE '' END
        || CASE WHEN actors IS NOT NULL THEN ' AND e.actor = ANY ($5)' ELSE '' END
        || CASE WHEN subjects IS NOT NULL THEN ' AND e.subject = ANY ($6)' ELSE '' END
        || CASE WHEN contains IS NOT NULL THEN ' AND e.data @> $7' ELSE '' END
        || CASE WHEN ids IS NOT NULL THEN ' AND e.id = ANY ($8)' ELSE '' END
        || CASE WHEN occurred_since IS NOT NULL THEN ' AND e.occurred_at >= $9' ELSE '' END
        || CASE WHEN occurred_until IS NOT NULL THEN ' AND e.occurred_at < $10' ELSE '' END
        || CASE WHEN min_weight IS NOT NULL THEN ' AND coalesce(e.weight, 1) >= $11' ELSE '' END
        || CASE WHEN before_id IS NOT NULL THEN ' AND e.created_at <= $12 AND (e.created_at, e.id) < ($12, $13)' ELSE '' END
        || ' ORDER BY e.created_at DESC, e.id DESC LIMIT $14'
      USING tenant, since, until, asked, meant, subjects, contains, ids,
            occurred_since, occurred_until, min_weight, before_created_at, before_id, row_limit;
END
$$;

COMMENT ON FUNCTION eventlog.get_events(text[], timestamptz, timestamptz, text[], text[], jsonb, bigint[], timestamptz, timestamptz, real, timestamptz, bigint, integer, uuid) IS
'Events, newest first, at most row_limit (default 100), with filters on every column: names, created_at from since (default 30 days ago) until until (default tomorrow, for transactions that began later than this one), actors (for the log''s owner and services of the log also by the text that was hashed), subjects, a payload that contains a JSON object, ids, occurred_at, weight. For the next page give created_at and id of the last row as before_created_at and before_id.';

CREATE FUNCTION eventlog.recent_errors(
    names      text[]      DEFAULT NULL,
    since      timestamptz DEFAULT now() - interval '7 days',
    until      timestamptz DEFAULT now(),
    row_limit  integer     DEFAULT 20,
    tenant_id  uuid        DEFAULT NULL
) RETURNS TABLE (name text, error_type text, events bigint, actors bigint, first_at timestamptz, last_at timestamptz,
                 last_id bigint, last_subject text, is_sampled boolean)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    tenant  uuid := eventlog._report_tenant(recent_errors.tenant_id);
    asked   text[] := eventlog._asked_names(names);
    failing text[];
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_row_limit(row_limit);
    failing := ARRAY(SELECT t.name FROM eventlog.event_types t
                      WHERE (t.error_key IS NOT NULL OR t.success_key IS NOT NULL) AND (asked IS NULL OR t.name = ANY (asked)));
    RETURN QUERY
    SELECT f.name, f.error_type, eventlog._whole(sum(f.weight)), count(DISTINCT nullif(f.actor, '')), min(f.created_at), max(f.created_at),
           (array_agg(f.id ORDER BY f.created_at DESC, f.id DESC))[1],
           (array_agg(f.subject ORDER BY f.created_at DESC, f.id DESC))[1], bool_or(f.weight <> 1)
      FROM (SELECT e.name, e.data ->> t.error_key AS error_type, e.weight, e.actor, e.created_at, e.id, e.subject
              FROM eventlog._measured_events() e
              JOIN eventlog.event_types t ON t.name = e.name
             WHERE e.tenant_id = tenant AND e.name = ANY (failing) AND e.created_at >= since AND e.created_at < until
               AND e.has_failed) f
     GROUP BY f.name, f.error_type
     ORDER BY 6 DESC, f.name, f.error_type
     LIMIT row_limit;
END
$$;

COMMENT ON FUNCTION eventlog.recent_errors(text[], timestamptz, timestamptz, integer, uuid) IS
'Failed events of a span (default the last 7 days) by name and type of error (the value of error_key), most recent first: how many, of how many actors, first, last, and the last one''s id and subject. is_sampled: a sample was taken of some, so that actors are those it kept. By created_at.';
