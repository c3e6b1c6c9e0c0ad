-- How far the seals reach, in one row. Whether they are on is here and not in log_config, since a migration could
-- not add a column there without waiting for those who log.

CREATE FUNCTION eventlog_private.create_seal_state() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('seal_state') THEN
        CREATE TABLE eventlog.seal_state (
            only_row     boolean     CONSTRAINT seal_state_pkey PRIMARY KEY DEFAULT true,
            is_on        boolean     NOT NULL DEFAULT false,
            sealed_until timestamptz NOT NULL DEFAULT '-infinity',
            CONSTRAINT seal_state_only_row_check CHECK (only_row)
        );
        PERFORM eventlog_private.secure('eventlog.seal_state');
    END IF;
    INSERT INTO eventlog.seal_state DEFAULT VALUES ON CONFLICT DO NOTHING;
    COMMENT ON TABLE eventlog.seal_state IS
        'How far the seals reach, in one row.';
    COMMENT ON COLUMN eventlog.seal_state.only_row IS 'Always true: there is one row.';
    COMMENT ON COLUMN eventlog.seal_state.is_on IS 'Whether maintain() seals days: an argument of create_log() and migrate_log().';
    COMMENT ON COLUMN eventlog.seal_state.sealed_until IS 'Events created before it are sealed, except those in unsealed_events and those in late_events.';
END
$$;
