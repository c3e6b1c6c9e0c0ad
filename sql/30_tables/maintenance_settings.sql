-- How much of the quarantine maintain() keeps, and which clock it believes.

CREATE FUNCTION eventlog_private.create_maintenance_settings() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('maintenance_settings') THEN
        CREATE TABLE eventlog.maintenance_settings (
            only_row           boolean  CONSTRAINT maintenance_settings_pkey PRIMARY KEY DEFAULT true,
            rejected_retention interval NOT NULL DEFAULT '30 days',
            rejected_limit     integer  NOT NULL DEFAULT 100000,
            CONSTRAINT maintenance_settings_only_row_check CHECK (only_row),
            CONSTRAINT maintenance_settings_rejected_retention_check CHECK (rejected_retention > '0'::interval),
            CONSTRAINT maintenance_settings_rejected_limit_check CHECK (rejected_limit >= 0)
        );
        PERFORM eventlog_private.secure('eventlog.maintenance_settings');
    END IF;
    IF NOT EXISTS (SELECT FROM eventlog.maintenance_settings) THEN
        INSERT INTO eventlog.maintenance_settings DEFAULT VALUES;
    END IF;
    IF eventlog_private.lacks_column('maintenance_settings', 'clock_at', 'timestamptz') THEN
        ALTER TABLE eventlog.maintenance_settings
            ADD COLUMN clock_at       timestamptz,
            ADD COLUMN clock_boot     text,
            ADD COLUMN clock_uptime   double precision,
            ADD COLUMN doubted_at     timestamptz,
            ADD COLUMN doubted_boot   text,
            ADD COLUMN doubted_uptime double precision;
        UPDATE eventlog.maintenance_settings
           SET clock_at = clock_timestamp(), clock_boot = eventlog_private.machine_boot(), clock_uptime = eventlog_private.machine_uptime();
    END IF;
    IF eventlog_private.lacks_column('maintenance_settings', 'consumer_wait', 'interval') THEN
        ALTER TABLE eventlog.maintenance_settings
            ADD COLUMN consumer_wait interval NOT NULL DEFAULT '7 days'
                CONSTRAINT maintenance_settings_consumer_wait_check CHECK (consumer_wait >= '0'::interval);
    END IF;
    COMMENT ON TABLE eventlog.maintenance_settings IS
        'How much of the quarantine maintain() keeps, how long retention waits for consumers, and what is known about the server''s clock, in one row.';
    COMMENT ON COLUMN eventlog.maintenance_settings.consumer_wait IS
        'How long events past their retention are kept for consumers that have not read them.';
    COMMENT ON COLUMN eventlog.maintenance_settings.clock_at IS 'Time of the clock when maintain() last believed it.';
    COMMENT ON COLUMN eventlog.maintenance_settings.clock_boot IS 'Identifies the start of the machine before that time.';
    COMMENT ON COLUMN eventlog.maintenance_settings.clock_uptime IS 'Seconds that the machine had been running at that time.';
    COMMENT ON COLUMN eventlog.maintenance_settings.doubted_at IS 'Time of the clock when maintain() first doubted it; null while it believes the clock.';
    COMMENT ON COLUMN eventlog.maintenance_settings.doubted_boot IS 'Identifies the start of the machine before that time.';
    COMMENT ON COLUMN eventlog.maintenance_settings.doubted_uptime IS 'Seconds that the machine had been running at that time.';
    COMMENT ON COLUMN eventlog.maintenance_settings.only_row IS 'Always true: there is one row.';
    COMMENT ON COLUMN eventlog.maintenance_settings.rejected_retention IS 'How long the quarantine keeps a row.';
    COMMENT ON COLUMN eventlog.maintenance_settings.rejected_limit IS 'Maximum number of rows in the quarantine: tenants with more than an equal share lose their oldest rows.';
END
$$;
