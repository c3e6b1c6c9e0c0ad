-- The tables of maintenance: its run log, and what it has yet to give back to the disk.

CREATE FUNCTION eventlog_private.create_maintenance_tables() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('maintenance_runs') THEN
        CREATE TABLE eventlog.maintenance_runs (
            id          bigint      GENERATED ALWAYS AS IDENTITY
                                    CONSTRAINT maintenance_runs_pkey PRIMARY KEY,
            started_at  timestamptz NOT NULL DEFAULT now(),
            finished_at timestamptz,
            outcome     text        NOT NULL DEFAULT 'running',
            actions     text[]      NOT NULL DEFAULT '{}',
            failures    text[]      NOT NULL DEFAULT '{}',
            CONSTRAINT maintenance_runs_outcome_check CHECK (
                outcome IN ('running', 'done', 'incomplete', 'interrupted'))
        );
        PERFORM eventlog_private.close('eventlog.maintenance_runs');
        PERFORM eventlog_private.close('eventlog.maintenance_runs_id_seq');
    END IF;
    COMMENT ON TABLE eventlog.maintenance_runs IS 'The last 100 runs of maintain().';
    COMMENT ON COLUMN eventlog.maintenance_runs.id IS 'Number of the run.';
    COMMENT ON COLUMN eventlog.maintenance_runs.started_at IS 'When it began.';
    COMMENT ON COLUMN eventlog.maintenance_runs.finished_at IS 'When it ended; null where it is under way or was interrupted.';
    COMMENT ON COLUMN eventlog.maintenance_runs.outcome IS
        'running, done, incomplete (a step failed or was blocked, the next run tries again), or interrupted.';
    COMMENT ON COLUMN eventlog.maintenance_runs.actions IS 'What it did, a line each.';
    COMMENT ON COLUMN eventlog.maintenance_runs.failures IS 'What it could not do, a line each, and why.';

    IF eventlog_private.is_missing('maintenance_settings') THEN
        CREATE TABLE eventlog.maintenance_settings (
            only_row           boolean  CONSTRAINT maintenance_settings_pkey PRIMARY KEY DEFAULT true,
            rejected_retention interval NOT NULL DEFAULT '30 days',
            rejected_limit     integer  NOT NULL DEFAULT 100000,
            CONSTRAINT maintenance_settings_only_row_check CHECK (only_row),
            CONSTRAINT maintenance_settings_rejected_retention_check CHECK (rejected_retention > '0'::interval),
            CONSTRAINT maintenance_settings_rejected_limit_check CHECK (rejected_limit >= 0)
        );
        PERFORM eventlog_private.close('eventlog.maintenance_settings');
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

    IF eventlog_private.is_missing('thinned_partitions') THEN
        CREATE TABLE eventlog.thinned_partitions (
            partition_name name        CONSTRAINT thinned_partitions_pkey PRIMARY KEY,
            deleted_rows   bigint      NOT NULL DEFAULT 0,
            sealed_until   timestamptz NOT NULL DEFAULT '-infinity',
            rewritten_at   timestamptz
        );
        PERFORM eventlog_private.close('eventlog.thinned_partitions');
    END IF;
    COMMENT ON TABLE eventlog.thinned_partitions IS
        'Partitions that lost rows to a retention, or to erasure.';
    COMMENT ON COLUMN eventlog.thinned_partitions.partition_name IS 'The partition of events.';
    COMMENT ON COLUMN eventlog.thinned_partitions.deleted_rows IS 'Rows deleted since it was last rewritten.';
    COMMENT ON COLUMN eventlog.thinned_partitions.sealed_until IS
        'Rows created before this moment may be gone, though the rollups count them.';
    COMMENT ON COLUMN eventlog.thinned_partitions.rewritten_at IS 'When maintain() last rewrote it, which gives its space back.';

    IF eventlog_private.is_missing('retention_progress') THEN
        CREATE TABLE eventlog.retention_progress (
            tenant_id     uuid,
            name          text,
            thinned_until timestamptz NOT NULL,
            CONSTRAINT retention_progress_key UNIQUE (tenant_id, name),
            CONSTRAINT retention_progress_check CHECK (num_nonnulls(tenant_id, name) <= 1)
        );
        PERFORM eventlog_private.close('eventlog.retention_progress');
    END IF;
    COMMENT ON TABLE eventlog.retention_progress IS
        'How far the retention of the log, of a tenant, or of a name has been applied.';
    COMMENT ON COLUMN eventlog.retention_progress.tenant_id IS 'The tenant whose retention it is; null for that of a name, or of the log.';
    COMMENT ON COLUMN eventlog.retention_progress.name IS 'The name whose retention it is; null for that of a tenant, or of the log.';
    COMMENT ON COLUMN eventlog.retention_progress.thinned_until IS
        'Events created before this moment are gone.';
END
$$;
