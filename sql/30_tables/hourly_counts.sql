-- Rollup: events by tenant, hour and name.

CREATE FUNCTION eventlog_private.create_hourly_counts() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog_private.create_counts('hourly_counts',
        keys => 'tenant_id uuid, hour timestamptz, name text,',
        more => '',
        key_columns => 'tenant_id, hour, name');
    COMMENT ON TABLE eventlog.hourly_counts IS 'Rollup: events by tenant, hour and name.';
    COMMENT ON COLUMN eventlog.hourly_counts.hour IS 'The hour of created_at.';
END
$$;
