-- The watermark of the rollups, in one row.

CREATE FUNCTION eventlog_private.create_rollup_state() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('rollup_state') THEN
        CREATE TABLE eventlog.rollup_state (
            only_row        boolean     CONSTRAINT rollup_state_pkey PRIMARY KEY DEFAULT true,
            rolled_until    timestamptz NOT NULL DEFAULT '-infinity',
            announced_until timestamptz NOT NULL DEFAULT '-infinity',
            writers         text[],
            CONSTRAINT rollup_state_only_row_check CHECK (only_row)
        );
        PERFORM eventlog_private.secure('eventlog.rollup_state');
    END IF;
    -- A dump may leave the counts out, and this row with them.
    INSERT INTO eventlog.rollup_state DEFAULT VALUES ON CONFLICT DO NOTHING;
    COMMENT ON TABLE eventlog.rollup_state IS 'How far the rollups reach, in one row.';
    COMMENT ON COLUMN eventlog.rollup_state.only_row IS 'True: there is one row.';
    COMMENT ON COLUMN eventlog.rollup_state.rolled_until IS
        'The watermark: events created before are in the rollups, but for those in late_events; later ones are read from events.';
    COMMENT ON COLUMN eventlog.rollup_state.announced_until IS
        'The next watermark: whoever logs an event created before it notes it in late_events.';
    COMMENT ON COLUMN eventlog.rollup_state.writers IS
        'Transactions that were writing when it was announced, as pg_locks names them: they have to end first. Null where they were not looked for yet.';
END
$$;
