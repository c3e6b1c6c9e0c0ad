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
        'Tenants with limits of their own. The owner''s to change, with eventlog.set_tenant().';
    COMMENT ON COLUMN eventlog.tenant_settings.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN eventlog.tenant_settings.is_opted_out IS 'Whether nothing is logged of it.';
    COMMENT ON COLUMN eventlog.tenant_settings.max_bytes IS 'Largest payload in bytes, where that is stricter than the type''s; null for the type''s.';
    COMMENT ON COLUMN eventlog.tenant_settings.events_per_minute IS 'Events that it may log in a minute of the server''s clock; null for any number.';
    COMMENT ON COLUMN eventlog.tenant_settings.over_quota IS 'What happens to more: reject (53400), sample (some are kept, and weigh more), or quarantine.';
    COMMENT ON COLUMN eventlog.tenant_settings.updated_at IS 'When it was set.';
    COMMENT ON COLUMN eventlog.tenant_settings.retention IS 'How long its events are kept, where that is shorter than the log''s and the type''s; null for as long as those.';
END
$$;
