-- Report: how many checkouts became a change of plan.

CREATE FUNCTION eventlog.checkout_conversion(
    since     timestamptz DEFAULT now() - interval '90 days',
    until     timestamptz DEFAULT now(),
    within    interval    DEFAULT '1 day',
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (plan text, checkouts bigint, converted bigint, conversion numeric, median_seconds numeric,
                 is_sampled boolean)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(checkout_conversion.tenant_id);
    changed_since timestamptz;
    changed_until timestamptz;
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_within(within);
    changed_since := since - within;
    changed_until := until + 2 * within;
    RETURN QUERY
    SELECT c.plan, count(*), count(c.changed_at), round(count(c.changed_at) / count(*)::numeric, 4),
           round(percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM c.changed_at) - extract(epoch FROM c.at))::numeric, 3),
           bool_or(c.weight <> 1)
      FROM (SELECT o.data ->> 'plan' AS plan, o.at, coalesce(o.weight, 1) AS weight,
                   (SELECT min(eventlog._happened_at(u.occurred_at, u.created_at))
                      FROM eventlog.events u
                     WHERE u.tenant_id = o.tenant_id AND u.name = 'plan_updated' AND u.data ->> 'newPlan' = o.data ->> 'plan'
                       AND eventlog._uncountable_column(u.name, u.data, u.actor, u.subject, u.created_at, u.weight) IS NULL
                       AND u.created_at >= changed_since AND u.created_at < changed_until
                       AND u.created_at >= o.created_at - within AND u.created_at < o.created_at + 2 * within
                       AND eventlog._happened_at(u.occurred_at, u.created_at) >= o.at
                       AND eventlog._happened_at(u.occurred_at, u.created_at) < o.at + within) AS changed_at
              FROM (SELECT e.tenant_id, e.data, e.created_at, e.weight, eventlog._happened_at(e.occurred_at, e.created_at) AS at
                      FROM eventlog.events e
                     WHERE eventlog._is_tenant(tenant, e.tenant_id) AND e.name = 'checkout_completed' AND e.created_at >= since AND e.created_at < until
                       AND eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL) o) c
     GROUP BY c.plan
     ORDER BY 2 DESC, 1;
END
$$;

COMMENT ON FUNCTION eventlog.checkout_conversion(timestamptz, timestamptz, interval, uuid) IS
'Checkouts by plan in a span (default the last 90 days), how many of them became a change to that plan within (default 1 day), and how fast. Order and durations by occurred_at, if given. is_sampled: some of these events were sampled; only the kept ones count.';
