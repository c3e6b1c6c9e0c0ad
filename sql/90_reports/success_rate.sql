-- Report: the share of successes by subject, of two names.

CREATE FUNCTION eventlog.success_rate(
    succeeded text        DEFAULT 'integration_succeeded',
    failed    text        DEFAULT 'integration_failed',
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (subject text, successes bigint, failures bigint, success_rate numeric, last_failure_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(success_rate.tenant_id);
    asked  text[] := eventlog._check_names(ARRAY[succeeded, failed]);
BEGIN
    succeeded := eventlog._name_of(succeeded);
    failed := eventlog._name_of(failed);
    PERFORM eventlog._check_span(since, until);
    RETURN QUERY
    SELECT s.subject, s.successes, s.failures, round(s.successes / nullif(s.successes::numeric + s.failures, 0), 4), s.last_at
      FROM (SELECT c.subject,
                   coalesce(eventlog._as_count(sum(c.weighted_events) FILTER (WHERE c.name = succeeded)), 0) AS successes,
                   coalesce(eventlog._as_count(sum(c.weighted_events) FILTER (WHERE c.name = failed)), 0) AS failures,
                   max(c.last_at) FILTER (WHERE c.name = failed) AS last_at
              FROM eventlog._counts_by_subject(tenant, since::date, (until + interval '1 day' - interval '1 microsecond')::date,
                                              asked) c
             GROUP BY c.subject) s
     ORDER BY s.failures DESC, s.subject;
END
$$;

COMMENT ON FUNCTION eventlog.success_rate(text, text, timestamptz, timestamptz, uuid) IS
'For two names, one logged on success and one on failure (default: those of integrations): counts and the share of successes by subject, over whole days in UTC (default the last 30). By created_at.';
