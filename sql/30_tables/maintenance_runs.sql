-- The runs of maintain().

CREATE FUNCTION eventlog_private.create_maintenance_runs() RETURNS void
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
        PERFORM eventlog_private.secure('eventlog.maintenance_runs');
        PERFORM eventlog_private.secure('eventlog.maintenance_runs_id_seq');
    END IF;
    COMMENT ON TABLE eventlog.maintenance_runs IS 'The last 100 runs of maintain().';
    COMMENT ON COLUMN eventlog.maintenance_runs.id IS 'Number of the run.';
    COMMENT ON COLUMN eventlog.maintenance_runs.started_at IS 'When the run began.';
    COMMENT ON COLUMN eventlog.maintenance_runs.finished_at IS 'When the run ended; null while it is running, or if it was interrupted.';
    COMMENT ON COLUMN eventlog.maintenance_runs.outcome IS
        'running, done, incomplete (a task failed or was blocked; the next run tries again), or interrupted.';
    COMMENT ON COLUMN eventlog.maintenance_runs.actions IS 'What the run did, one line each.';
    COMMENT ON COLUMN eventlog.maintenance_runs.failures IS 'What the run could not do and why, one line each.';
END
$$;
