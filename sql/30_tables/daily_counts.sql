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
    COMMENT ON TABLE eventlog.daily_counts IS 'Rollup: events by tenant, day and name.';
    COMMENT ON COLUMN eventlog.daily_counts.day IS 'The day of created_at in UTC.';
END
$$;
