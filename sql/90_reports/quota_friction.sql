-- Report: how often quotas were hit, and what followed.

CREATE FUNCTION eventlog.quota_friction(
    within    interval    DEFAULT '7 days',
    since     timestamptz DEFAULT now() - interval '90 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (quota_type text, events bigint, days bigint, first_at timestamptz, last_at timestamptz,
                 checkouts_within bigint, checkout_rate numeric, is_sampled boolean)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(quota_friction.tenant_id);
    until_within timestamptz;
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_within(within);
    -- The planner does not exclude partitions by a sum.
    until_within := until + within;
    RETURN QUERY
    SELECT q.quota_type, eventlog._as_count(sum(q.weight)), count(DISTINCT q.created_at::date), min(q.created_at), max(q.created_at),
           coalesce(eventlog._as_count(sum(q.weight) FILTER (WHERE q.is_followed)), 0),
           round((coalesce(sum(q.weight) FILTER (WHERE q.is_followed), 0) / sum(q.weight))::numeric, 4), bool_or(q.weight <> 1)
      FROM (SELECT e.data ->> 'quotaType' AS quota_type, e.created_at, e.weight,
                   EXISTS (SELECT FROM eventlog._measured_events() c
                            WHERE c.tenant_id = e.tenant_id AND c.name = 'checkout_completed'
                              AND c.created_at >= since AND c.created_at < until_within
                              AND c.created_at >= e.created_at AND c.created_at < e.created_at + within) AS is_followed
              FROM eventlog._measured_events() e
             WHERE eventlog._is_tenant(tenant, e.tenant_id) AND e.name = 'quota_exceeded' AND e.created_at >= since AND e.created_at < until) q
     GROUP BY q.quota_type
     ORDER BY 2 DESC, 1;
END
$$;

COMMENT ON FUNCTION eventlog.quota_friction(interval, timestamptz, timestamptz, uuid) IS
'How often each quota was hit in a span (default the last 90 days), on how many days in UTC, and how often a checkout followed within (default 7 days). By created_at. is_sampled: some of these events were sampled; only the kept ones count.';
