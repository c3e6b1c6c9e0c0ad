-- How far each retention has been applied.

CREATE FUNCTION eventlog_private.create_retention_progress() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('retention_progress') THEN
        CREATE TABLE eventlog.retention_progress (
            tenant_id     uuid,
            name          text,
            thinned_until timestamptz NOT NULL,
            CONSTRAINT retention_progress_key UNIQUE (tenant_id, name),
            CONSTRAINT retention_progress_check CHECK (num_nonnulls(tenant_id, name) <= 1)
        );
        PERFORM eventlog_private.secure('eventlog.retention_progress');
    END IF;
    COMMENT ON TABLE eventlog.retention_progress IS
        'How far each retention has been applied: of the log, of a tenant, or of a name.';
    COMMENT ON COLUMN eventlog.retention_progress.tenant_id IS 'The tenant, for the retention of a tenant; else null.';
    COMMENT ON COLUMN eventlog.retention_progress.name IS 'The name, for the retention of a name; else null.';
    COMMENT ON COLUMN eventlog.retention_progress.thinned_until IS
        'Events created before this time have been deleted.';
END
$$;
