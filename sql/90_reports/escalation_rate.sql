-- Report: how many conversations were escalated.

CREATE FUNCTION eventlog.escalation_rate(
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (conversations bigint, escalated bigint, escalation_rate numeric, deflected bigint, deflection_rate numeric)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(escalation_rate.tenant_id);
BEGIN
    PERFORM eventlog._check_span(since, until);
    RETURN QUERY
    SELECT n.conversations, n.escalated, round(n.escalated / nullif(n.conversations, 0)::numeric, 4),
           greatest(n.conversations - n.escalated, 0),
           round(greatest(n.conversations - n.escalated, 0) / nullif(n.conversations, 0)::numeric, 4)
      FROM (SELECT (SELECT coalesce(eventlog._as_count(sum(c.weighted_events)), 0)
                      FROM eventlog._counts_by_name(tenant, since, until, '{conversation_started}', '1 day') c) AS conversations,
                   (SELECT coalesce(eventlog._as_count(sum(d.weight)), 0)
                      FROM (SELECT DISTINCT ON (e.tenant_id, coalesce(e.data ->> 'conversationId', e.id::text)) e.weight
                              FROM eventlog._measured_events() e
                             WHERE eventlog._is_tenant(tenant, e.tenant_id) AND e.name = 'escalation_triggered'
                               AND e.created_at >= since AND e.created_at < until
                             ORDER BY e.tenant_id, coalesce(e.data ->> 'conversationId', e.id::text), e.weight DESC) d) AS escalated) n;
END
$$;

COMMENT ON FUNCTION eventlog.escalation_rate(timestamptz, timestamptz, uuid) IS
'Conversations started in a span (default the last 30 days), conversations escalated in it (each counted once), and the others, which were deflected. A conversation may have started before the span in which it is escalated. By created_at.';
