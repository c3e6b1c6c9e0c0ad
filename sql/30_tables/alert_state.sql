-- How far the windows of alerts are closed, in one row, which the first evaluation makes.

CREATE FUNCTION eventlog_private.create_alert_state() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('alert_state') THEN
        CREATE TABLE eventlog.alert_state (
            only_row     boolean     CONSTRAINT alert_state_pkey PRIMARY KEY DEFAULT true,
            closed_until timestamptz NOT NULL DEFAULT '-infinity',
            next_until   timestamptz,
            next_id      bigint,
            CONSTRAINT alert_state_only_row_check CHECK (only_row)
        );
        PERFORM eventlog_private.secure('eventlog.alert_state');
    END IF;
    COMMENT ON TABLE eventlog.alert_state IS 'How far the windows of alerts are closed, in one row.';
    COMMENT ON COLUMN eventlog.alert_state.only_row IS 'Always true: there is at most one row.';
    COMMENT ON COLUMN eventlog.alert_state.closed_until IS 'Windows that end by then are closed: their events are there, except late ones.';
    COMMENT ON COLUMN eventlog.alert_state.next_until IS 'The time that is closed next; null if none is waited for.';
    COMMENT ON COLUMN eventlog.alert_state.next_id IS 'It is closed once no event up to this id can still appear.';
END
$$;
