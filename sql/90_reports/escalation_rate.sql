-- Report: how many conversations were escalated.

CREATE FUNCTION eventlog.escalation_rate(
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL,
    by        text        DEFAULT NULL,
    top       integer     DEFAULT 10
) RETURNS TABLE (conversations bigint, escalated bigint, escalation_rate numeric, deflected bigint, deflection_rate numeric,
                 breakdown_value text, is_others boolean)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(escalation_rate.tenant_id);
    value  text;
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_top(top);
    IF by IS NULL THEN
        RETURN QUERY
        SELECT n.conversations, n.escalated, round(n.escalated / nullif(n.conversations, 0)::numeric, 4),
               greatest(n.conversations - n.escalated, 0),
               round(greatest(n.conversations - n.escalated, 0) / nullif(n.conversations, 0)::numeric, 4), NULL::text, false
          FROM (SELECT (SELECT coalesce(eventlog._as_count(sum(c.weighted_events)), 0)
                          FROM eventlog._counts_by_name(tenant, since, until, '{conversation_started}', '1 day') c) AS conversations,
                       (SELECT coalesce(eventlog._as_count(sum(d.weight)), 0)
                          FROM (SELECT DISTINCT ON (e.tenant_id, coalesce(e.data ->> 'conversationId', e.id::text)) e.weight
                                  FROM eventlog._measured_events() e
                                 WHERE eventlog._is_tenant(tenant, e.tenant_id) AND e.name = 'escalation_triggered'
                                   AND e.created_at >= since AND e.created_at < until
                                 ORDER BY e.tenant_id, coalesce(e.data ->> 'conversationId', e.id::text), e.weight DESC) d) AS escalated) n;
        RETURN;
    END IF;
    value := eventlog._breakdown_expression(CASE WHEN by IN ('name', 'actor', 'subject') OR by ~ '^data\..' THEN by ELSE 'data.' || by END,
                                            '{conversation_started,escalation_triggered}');
    -- A conversation has the value of its start, or, where there is none in the span, of its escalation.
    RETURN QUERY EXECUTE format($sql$
        WITH started AS MATERIALIZED (
            SELECT e.tenant_id, e.data ->> 'conversationId' AS conversation, e.weight, %1$s AS value, e.created_at, e.id
              FROM eventlog._measured_events() e
             WHERE eventlog._is_tenant($1, e.tenant_id) AND e.name = 'conversation_started' AND e.created_at >= $2 AND e.created_at < $3
        ), first_start AS (
            SELECT DISTINCT ON (s.tenant_id, s.conversation) s.tenant_id, s.conversation, s.value FROM started s
             WHERE s.conversation IS NOT NULL ORDER BY s.tenant_id, s.conversation, s.created_at, s.id
        ), escalated AS (
            SELECT DISTINCT ON (e.tenant_id, coalesce(e.data ->> 'conversationId', e.id::text))
                   e.tenant_id, e.data ->> 'conversationId' AS conversation, e.weight, %1$s AS value
              FROM eventlog._measured_events() e
             WHERE eventlog._is_tenant($1, e.tenant_id) AND e.name = 'escalation_triggered' AND e.created_at >= $2 AND e.created_at < $3
             ORDER BY e.tenant_id, coalesce(e.data ->> 'conversationId', e.id::text), e.weight DESC, e.created_at, e.id
        ), counted AS MATERIALIZED (
            SELECT v.value, sum(v.conversations) AS conversations, sum(v.escalated) AS escalated
              FROM (SELECT s.value, s.weight AS conversations, 0 AS escalated FROM started s
                     UNION ALL
                    SELECT coalesce(f.value, x.value), 0, x.weight
                      FROM escalated x
                      LEFT JOIN first_start f ON f.tenant_id = x.tenant_id AND f.conversation = x.conversation) v
             GROUP BY v.value
        ), ranked AS (
            SELECT c.*, row_number() OVER (ORDER BY c.conversations DESC, c.escalated DESC, c.value) > $4 AS is_others FROM counted c
        ), grouped AS (
            SELECT CASE WHEN NOT r.is_others THEN r.value END AS value, r.is_others,
                   eventlog._as_count(sum(r.conversations)) AS conversations, eventlog._as_count(sum(r.escalated)) AS escalated
              FROM ranked r GROUP BY 1, 2
        )
        SELECT g.conversations, g.escalated, round(g.escalated / nullif(g.conversations, 0)::numeric, 4),
               greatest(g.conversations - g.escalated, 0),
               round(greatest(g.conversations - g.escalated, 0) / nullif(g.conversations, 0)::numeric, 4), g.value, g.is_others
          FROM grouped g
         ORDER BY g.is_others, g.conversations DESC, g.escalated DESC, g.value$sql$, value)
      USING tenant, since, until, top;
END
$$;

COMMENT ON FUNCTION eventlog.escalation_rate(timestamptz, timestamptz, uuid, text, integer) IS
'Conversations started in a span (default the last 30 days), conversations escalated in it (each counted once), and the others, which were deflected. A conversation may have started before the span in which it is escalated. by: a key of the payload, data.KEY (or actor, subject), for a row for each of the top values (default 10) of conversation_started and one for all others; an escalation has the value of its conversation, or its own where that has none or began before the span. Without it from the rollups, with it conversations come from raw rows. By created_at.';
