-- Rollup: events by tenant, day, name and the values of chosen payload keys.

CREATE FUNCTION eventlog_private.create_daily_keys() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog_private.create_counts('daily_keys',
        keys => 'tenant_id uuid, day date, name text, key text, value text,',
        more => '',
        key_columns => 'tenant_id, key, day, name, value');
    COMMENT ON TABLE eventlog.daily_keys IS
        'Rollup: events by tenant, day, name and value of each payload key in count_keys of the event type. Events without the key are in daily_counts only.';
    COMMENT ON COLUMN eventlog.daily_keys.day IS 'The day of created_at in UTC.';
    COMMENT ON COLUMN eventlog.daily_keys.key IS 'The payload key.';
    COMMENT ON COLUMN eventlog.daily_keys.value IS 'Its value as text, of which the first 200 characters count.';
END
$$;
