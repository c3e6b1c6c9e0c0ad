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
    COMMENT ON TABLE eventlog.maintenance_settings IS
        'What maintain() keeps of the quarantine, and what it knows of the server''s clock, in one row.';
    COMMENT ON COLUMN eventlog.maintenance_settings.clock_at IS 'What the clock said when it was last believed.';
    COMMENT ON COLUMN eventlog.maintenance_settings.clock_boot IS 'Which start of the machine that was after.';
    COMMENT ON COLUMN eventlog.maintenance_settings.clock_uptime IS 'How many seconds the machine had been running then.';
    COMMENT ON COLUMN eventlog.maintenance_settings.doubted_at IS 'What a clock that is not believed said first; null where it is believed.';
    COMMENT ON COLUMN eventlog.maintenance_settings.doubted_boot IS 'Which start of the machine that was after.';
    COMMENT ON COLUMN eventlog.maintenance_settings.doubted_uptime IS 'How many seconds the machine had been running then.';
    COMMENT ON COLUMN eventlog.maintenance_settings.only_row IS 'True: there is one row.';
    COMMENT ON COLUMN eventlog.maintenance_settings.rejected_retention IS 'How long the quarantine keeps a row.';
    COMMENT ON COLUMN eventlog.maintenance_settings.rejected_limit IS 'How many rows the quarantine keeps at most: of tenants that have more than an equal share of it, the oldest go.';
END
$$;
