-- Report: changes of plan.

CREATE FUNCTION eventlog.plan_changes(
    since     timestamptz DEFAULT now() - interval '90 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (previous_plan text, new_plan text, status text, changes bigint, first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(plan_changes.tenant_id);
BEGIN
    PERFORM eventlog._check_span(since, until);
    RETURN QUERY
    SELECT e.data ->> 'previousPlan', e.data ->> 'newPlan', e.data ->> 'status',
           eventlog._as_count(sum(e.weight)), min(e.created_at), max(e.created_at)
      FROM eventlog._measured_events() e
     WHERE eventlog._is_tenant(tenant, e.tenant_id) AND e.name = 'plan_updated' AND e.created_at >= since AND e.created_at < until
     GROUP BY 1, 2, 3
     ORDER BY 4 DESC, 1, 2, 3;
END
$$;

COMMENT ON FUNCTION eventlog.plan_changes(timestamptz, timestamptz, uuid) IS
'Changes of plan in a span (default the last 90 days), by previous plan, new plan and status. By created_at.';
