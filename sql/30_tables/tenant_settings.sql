-- Limits of single tenants.

CREATE FUNCTION eventlog_private.create_tenant_settings() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('tenant_settings') THEN
        CREATE TABLE eventlog.tenant_settings (
            tenant_id         uuid        CONSTRAINT tenant_settings_pkey PRIMARY KEY,
            is_opted_out      boolean     NOT NULL DEFAULT false,
            max_bytes         integer,
            events_per_minute integer,
            over_quota        text        NOT NULL DEFAULT 'reject',
            updated_at        timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT tenant_settings_max_bytes_check CHECK (max_bytes BETWEEN 8 AND 16777216),
            CONSTRAINT tenant_settings_events_per_minute_check CHECK (events_per_minute >= 0),
            CONSTRAINT tenant_settings_over_quota_check CHECK (over_quota IN ('reject', 'sample', 'quarantine'))
        );
        PERFORM eventlog_private.secure('eventlog.tenant_settings');
    END IF;
    -- Since layout 2.
    IF eventlog_private.lacks_column('tenant_settings', 'retention', 'interval') THEN
        ALTER TABLE eventlog.tenant_settings
            ADD COLUMN retention interval
                CONSTRAINT tenant_settings_retention_check CHECK (retention > '0'::interval);
    END IF;
    COMMENT ON TABLE eventlog.tenant_settings IS
        'Limits of single tenants. Change them with eventlog.set_tenant().';
    COMMENT ON COLUMN eventlog.tenant_settings.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN eventlog.tenant_settings.is_opted_out IS 'True if none of its events are logged.';
    COMMENT ON COLUMN eventlog.tenant_settings.max_bytes IS 'Maximum size of a payload in bytes, if smaller than the event type''s; null for the event type''s.';
    COMMENT ON COLUMN eventlog.tenant_settings.events_per_minute IS 'Maximum number of events per minute of the server''s clock; null for no limit.';
    COMMENT ON COLUMN eventlog.tenant_settings.over_quota IS 'What happens to further events: reject (53400), sample (keep some, with a higher weight), or quarantine.';
    COMMENT ON COLUMN eventlog.tenant_settings.updated_at IS 'When the limits were last set.';
    COMMENT ON COLUMN eventlog.tenant_settings.retention IS 'How long to keep its events, if shorter than the retention of the log and the event type; null for those.';
END
$$;
