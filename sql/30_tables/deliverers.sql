-- The running deliverers, which share the webhooks out among them.

CREATE FUNCTION eventlog_private.create_deliverers() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('deliverers') THEN
        CREATE TABLE eventlog.deliverers (
            deliverer text        CONSTRAINT deliverers_pkey PRIMARY KEY,
            pid       integer     NOT NULL,
            seen_at   timestamptz NOT NULL
        );
        PERFORM eventlog_private.secure('eventlog.deliverers');
    END IF;
    COMMENT ON TABLE eventlog.deliverers IS
        'The running eventlog deliver. The leases of one that is not seen for 30 seconds, or whose process at the server is gone, are free.';
    COMMENT ON COLUMN eventlog.deliverers.deliverer IS 'The name that it gave itself.';
    COMMENT ON COLUMN eventlog.deliverers.pid IS 'Its process at the server.';
    COMMENT ON COLUMN eventlog.deliverers.seen_at IS 'When it was last seen, give or take 10 seconds.';
END
$$;
