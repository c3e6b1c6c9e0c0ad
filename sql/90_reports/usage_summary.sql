-- Report: the use of each subject, by operation.

CREATE FUNCTION eventlog.usage_summary(
    prefix    text   DEFAULT '',
    names     text[] DEFAULT NULL,
    since     date   DEFAULT (now() AT TIME ZONE 'UTC')::date - 90,
    until     date   DEFAULT (now() AT TIME ZONE 'UTC')::date + 1,
    tenant_id uuid   DEFAULT NULL,
    filters   jsonb   DEFAULT NULL,
    breakdown text    DEFAULT NULL,
    top       integer DEFAULT 10,
    subjects  text[]  DEFAULT NULL,
    time_zone text    DEFAULT 'UTC'
) RETURNS TABLE (subject text, first_used_at timestamptz, last_used_at timestamptz, events bigint, operations jsonb,
                 breakdown_value text, is_others boolean, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(usage_summary.tenant_id);
    asked  text[] := eventlog._check_names(names);
BEGIN
    PERFORM eventlog._check_span(since, until);
    RETURN QUERY
    SELECT c.subject, min(c.first_at), max(c.last_at), eventlog._as_count(sum(c.weighted_events)),
           jsonb_object_agg(c.name, eventlog._as_count(c.weighted_events)), NULL::text, false, since::timestamptz
      FROM eventlog._counts_by_subject(tenant, since, until, asked) c
     WHERE starts_with(c.subject, coalesce(prefix, '')) AND (subjects IS NULL OR c.subject = ANY (subjects))
     GROUP BY c.subject
     ORDER BY 4 DESC, c.subject;
END
$$;

COMMENT ON FUNCTION eventlog.usage_summary(text, text[], date, date, uuid, jsonb, text, integer, text[], text) IS
'For each subject that begins with prefix: when it was first and last used, and how often for each operation (name), from since (default 90 days ago) to before until (default tomorrow). By created_at.';
