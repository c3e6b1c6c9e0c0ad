-- Report: ingestion by type of source.

CREATE FUNCTION eventlog.ingestion_stats(
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (source_type text, started bigint, completed bigint, failed bigint, unfinished bigint, docs numeric,
                 chunks numeric, docs_per_minute numeric, median_seconds numeric, p95_seconds numeric,
                 is_sampled boolean)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(ingestion_stats.tenant_id);
BEGIN
    PERFORM eventlog._check_span(since, until);
    RETURN QUERY
    WITH step AS (
        SELECT e.data ->> 'sourceType' AS source_type, e.name, e.data, e.weight,
               extract(epoch FROM eventlog._happened_at(e.occurred_at, e.created_at)) AS at,
               lead(e.name) OVER same AS next_name,
               lag(e.name) OVER same AS previous_name,
               lag(extract(epoch FROM eventlog._happened_at(e.occurred_at, e.created_at))) OVER same AS previous_at
          FROM eventlog.events e
         WHERE eventlog._is_tenant(tenant, e.tenant_id) AND e.name IN ('ingest_started', 'ingest_completed', 'ingest_failed')
           AND e.created_at >= since AND e.created_at < until
           AND eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL
        -- One run of a source ends before the next begins.
        WINDOW same AS (PARTITION BY e.tenant_id, e.data ->> 'sourceType', e.data ->> 'url'
                            ORDER BY eventlog._happened_at(e.occurred_at, e.created_at), e.id)
    ), run AS (
        SELECT s.*, CASE WHEN s.name <> 'ingest_started' AND s.previous_name = 'ingest_started'
                         THEN s.at - s.previous_at END AS seconds
          FROM step s
    )
    SELECT r.source_type,
           count(*) FILTER (WHERE r.name = 'ingest_started'),
           count(*) FILTER (WHERE r.name = 'ingest_completed'),
           count(*) FILTER (WHERE r.name = 'ingest_failed'),
           count(*) FILTER (WHERE r.name = 'ingest_started' AND r.next_name IS DISTINCT FROM 'ingest_completed'
                              AND r.next_name IS DISTINCT FROM 'ingest_failed'),
           sum(eventlog._quantity(r.data, 'docs')) FILTER (WHERE r.name = 'ingest_completed'),
           sum(eventlog._quantity(r.data, 'chunks')) FILTER (WHERE r.name = 'ingest_completed'),
           round(sum(eventlog._quantity(r.data, 'docs')) FILTER (WHERE r.name = 'ingest_completed' AND r.seconds IS NOT NULL)
                 / nullif(sum(r.seconds) FILTER (WHERE r.name = 'ingest_completed'), 0) * 60, 2),
           round(percentile_cont(0.5) WITHIN GROUP (ORDER BY r.seconds) FILTER (WHERE r.name = 'ingest_completed')::numeric, 3),
           round(percentile_cont(0.95) WITHIN GROUP (ORDER BY r.seconds) FILTER (WHERE r.name = 'ingest_completed')::numeric, 3),
           bool_or(coalesce(r.weight, 1) <> 1)
      FROM run r
     GROUP BY r.source_type
     ORDER BY r.source_type;
END
$$;

COMMENT ON FUNCTION eventlog.ingestion_stats(timestamptz, timestamptz, uuid) IS
'Ingestion by type of source in a span (default the last 30 days): documents, documents per minute of work, and durations. Each start is paired with the next end of the same source and url. Durations by occurred_at, if given. is_sampled: some of these events were sampled; only the kept ones count.';
