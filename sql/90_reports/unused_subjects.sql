-- Report: subjects that are no longer used.

CREATE FUNCTION eventlog.unused_subjects(
    idle_for  interval DEFAULT '30 days',
    prefix    text     DEFAULT '',
    names     text[]   DEFAULT NULL,
    removed_by text[]  DEFAULT '{artifact_removed}',
    tenant_id uuid     DEFAULT NULL
) RETURNS TABLE (subject text, last_used_at timestamptz, idle_days integer, events bigint, suggestion text)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(unused_subjects.tenant_id);
    asked  text[] := eventlog._check_names(names);
    removing text[] := ARRAY(SELECT eventlog._name_of(r) FROM unnest(removed_by) AS r WHERE r IS NOT NULL);
BEGIN
    IF idle_for IS NULL OR idle_for < '0'::interval THEN
        RAISE EXCEPTION 'idle_for must not be negative or null, got %', coalesce(idle_for::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''30 days''';
    END IF;
    RETURN QUERY
    SELECT s.subject, s.used_at, extract(day FROM now() - s.used_at)::integer, s.events,
           CASE WHEN s.events <= 3 THEN 'remove: hardly ever used' ELSE 'review: no longer used' END
      FROM (SELECT c.subject, max(c.last_at) AS last_at,
                   max(c.last_at) FILTER (WHERE c.name <> ALL (removing)) AS used_at,
                   max(c.last_at) FILTER (WHERE c.name = ANY (removing)) AS removed_at,
                   eventlog._as_count(sum(c.weighted_events) FILTER (WHERE c.name <> ALL (removing))) AS events
              FROM eventlog._counts_by_subject(tenant, '1970-01-01', (now() + interval '1 day')::date,
                                              CASE WHEN asked IS NOT NULL THEN asked || removing END) c
             WHERE starts_with(c.subject, coalesce(prefix, ''))
             GROUP BY c.subject) s
     WHERE s.used_at < now() - idle_for
       -- Removed subjects need no cleaning up.
       AND (s.removed_at IS NULL OR s.removed_at < s.used_at)
     ORDER BY s.used_at, s.subject;
END
$$;

COMMENT ON FUNCTION eventlog.unused_subjects(interval, text, text[], text[], uuid) IS
'Subjects that begin with prefix and were not used for idle_for (default 30 days), longest idle first, with a suggestion; without those whose last event is one of removed_by. Considers everything in the rollups. By created_at.';
