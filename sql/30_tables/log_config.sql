-- The settings of the log, in one row.

CREATE FUNCTION eventlog_private.create_log_config() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('log_config') THEN
        CREATE TABLE eventlog.log_config (
            only_row           boolean     CONSTRAINT log_config_pkey PRIMARY KEY DEFAULT true,
            -- A row restored without this column counts as the oldest layout, which migrate_log()
            -- completes.
            layout_version     integer     NOT NULL DEFAULT 1,
            partition_interval interval    NOT NULL DEFAULT '1 month',
            retention          interval    NOT NULL DEFAULT '90 days',
            premake            interval    NOT NULL DEFAULT '1 year',
            tenants_table      text,
            tenants_method     text,
            tenants_key        name,
            service_roles      text[]      NOT NULL DEFAULT '{}',
            hash_key_id        text,
            created_at         timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT log_config_only_row_check CHECK (only_row),
            CONSTRAINT log_config_retention_check CHECK (retention > '0'::interval),
            CONSTRAINT log_config_premake_check CHECK (premake >= '0'::interval)
        );
        PERFORM eventlog_private.secure('eventlog.log_config');
    END IF;
    IF NOT EXISTS (SELECT FROM eventlog.log_config) THEN
        INSERT INTO eventlog.log_config (layout_version) VALUES (eventlog._layout_version());
    END IF;
    COMMENT ON TABLE eventlog.log_config IS 'The settings given to create_log(), in one row.';
    COMMENT ON COLUMN eventlog.log_config.only_row IS 'Always true: there is one row.';
    COMMENT ON COLUMN eventlog.log_config.layout_version IS 'Layout of the tables; migrate_log() raises it.';
    COMMENT ON COLUMN eventlog.log_config.partition_interval IS 'Span of time of a partition of events.';
    COMMENT ON COLUMN eventlog.log_config.retention IS 'How long events are kept.';
    COMMENT ON COLUMN eventlog.log_config.premake IS 'How far ahead partitions are created.';
    COMMENT ON COLUMN eventlog.log_config.tenants_table IS 'The table of tenants that reference_tenants() tied the log to.';
    COMMENT ON COLUMN eventlog.log_config.tenants_method IS 'How it is tied: foreign_key or trigger.';
    COMMENT ON COLUMN eventlog.log_config.tenants_key IS 'Key column of the table of tenants.';
    COMMENT ON COLUMN eventlog.log_config.service_roles IS 'Empty since layout 2. A role with REFERENCES on this column is a service.';
    COMMENT ON COLUMN eventlog.log_config.hash_key_id IS 'Identifies the hash key that the log uses; accept_hash_key() sets it.';
    COMMENT ON COLUMN eventlog.log_config.created_at IS 'When the log was created.';
END
$$;
