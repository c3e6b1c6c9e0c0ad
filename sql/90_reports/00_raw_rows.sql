-- Raw rows: from when on they are complete.

-- Returns the time from which on the raw rows of a span are complete: its start, or, where retention has
-- deleted events, the start of the oldest partition that is kept. Events of the tenant in the rollups are the
-- evidence; the retention of a tenant shows only to those who may read tenant_settings.
CREATE FUNCTION eventlog._rows_since(tenant uuid, since timestamptz, until timestamptz, names text[]) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    kept_since timestamptz := coalesce((SELECT min(p.from_at) FROM eventlog._partitions p WHERE p.until_at > since), 'infinity');
    shortest   interval := (SELECT min(t.retention) FROM eventlog.event_types t WHERE names IS NULL OR t.name = ANY (names));
BEGIN
    IF has_table_privilege('eventlog.tenant_settings', 'SELECT') THEN
        shortest := least(shortest, (SELECT min(t.retention) FROM eventlog.tenant_settings t WHERE eventlog._is_tenant(tenant, t.tenant_id)));
    END IF;
    kept_since := greatest(kept_since, date_trunc('day', now() - shortest));
    RETURN CASE WHEN kept_since > since
                 AND EXISTS (SELECT FROM eventlog.daily_counts d
                              WHERE eventlog._is_tenant(tenant, d.tenant_id) AND (names IS NULL OR d.name = ANY (names))
                                AND d.day >= since::date AND d.day < least(kept_since, until))
                THEN least(kept_since, until) ELSE since END;
END
$$;
