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
    -- A dump without the counts is without this row too.
    INSERT INTO eventlog.rollup_state DEFAULT VALUES ON CONFLICT DO NOTHING;
    COMMENT ON TABLE eventlog.rollup_state IS 'How far the rollups reach, in one row.';
    COMMENT ON COLUMN eventlog.rollup_state.only_row IS 'Always true: there is one row.';
    COMMENT ON COLUMN eventlog.rollup_state.rolled_until IS
        'The watermark: events created before it are in the rollups, except those in late_events; reports read later ones from events.';
    COMMENT ON COLUMN eventlog.rollup_state.announced_until IS
        'The next watermark: an event created before it is recorded in late_events when it is logged.';
    COMMENT ON COLUMN eventlog.rollup_state.writers IS
        'Transactions, as pg_locks names them, that were writing when it was announced and must end first; null until they are looked up.';
END
$$;
