-- Rollup: events by tenant, day, name and subject.

CREATE FUNCTION eventlog_private.create_daily_subjects() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog_private.create_counts('daily_subjects',
        keys => 'tenant_id uuid, day date, name text, subject text,',
        more => 'first_at timestamptz NOT NULL, last_at timestamptz NOT NULL,',
        key_columns => 'tenant_id, day, name, subject');
    COMMENT ON TABLE eventlog.daily_subjects IS
        'Rollup: events by tenant, day, name and subject, of event types with count_subjects.';
    COMMENT ON COLUMN eventlog.daily_subjects.day IS 'The day of created_at in UTC.';
    COMMENT ON COLUMN eventlog.daily_subjects.subject IS 'The subject of the events.';
    COMMENT ON COLUMN eventlog.daily_subjects.first_at IS 'created_at of the first event.';
    COMMENT ON COLUMN eventlog.daily_subjects.last_at IS 'created_at of the last event.';
END
$$;
