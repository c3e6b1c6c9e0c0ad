-- Rollup: events by tenant, hour, name and the values of chosen payload keys.

CREATE FUNCTION eventlog_private.create_hourly_keys() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog_private.create_counts('hourly_keys',
        keys => 'tenant_id uuid, hour timestamptz, name text, key text, value text,',
        more => '',
        key_columns => 'tenant_id, key, hour, name, value');
    COMMENT ON TABLE eventlog.hourly_keys IS
        'Rollup: events by tenant, hour, name and value of each payload key in count_keys of the event type. Events without the key are in hourly_counts only.';
    COMMENT ON COLUMN eventlog.hourly_keys.hour IS 'The hour of created_at.';
    COMMENT ON COLUMN eventlog.hourly_keys.key IS 'The payload key.';
    COMMENT ON COLUMN eventlog.hourly_keys.value IS 'Its value as text, of which the first 200 characters count.';
END
$$;
