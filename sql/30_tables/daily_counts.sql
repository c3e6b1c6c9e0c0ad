-- Rollup: events by tenant, day and name.

CREATE FUNCTION eventlog_private.create_daily_counts() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog_private.create_counts('daily_counts',
        keys => 'tenant_id uuid, day date, name text,',
        more => '',
        key_columns => 'tenant_id, day, name');
    -- For tenants_overview(), which adds up all names of all tenants: without their histograms this is a tenth of
    -- the table.
    IF to_regclass('eventlog.daily_counts_totals') IS NULL THEN
        CREATE INDEX daily_counts_totals ON eventlog.daily_counts (tenant_id, day) INCLUDE (weighted_events, failures, successes);
    END IF;
    COMMENT ON TABLE eventlog.daily_counts IS 'Rollup: events by tenant, day and name.';
    COMMENT ON COLUMN eventlog.daily_counts.day IS 'The day of created_at in UTC.';
END
$$;
