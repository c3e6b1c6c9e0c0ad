-- Looks at who is writing, for the consumers (85_delivery/certain_id.sql).

CREATE FUNCTION eventlog_private.create_delivery_looks() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('delivery_looks') THEN
        CREATE TABLE eventlog.delivery_looks (
            id         bigint      GENERATED ALWAYS AS IDENTITY
                                   CONSTRAINT delivery_looks_pkey PRIMARY KEY,
            looked_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
            looked_by  xid8        NOT NULL DEFAULT pg_current_xact_id(),
            certain_id bigint      NOT NULL,
            last_id    bigint      NOT NULL,
            writers    text[]      NOT NULL,
            next_xid   bigint
        );
        PERFORM eventlog_private.secure('eventlog.delivery_looks');
        PERFORM eventlog_private.secure('eventlog.delivery_looks_id_seq');
    END IF;
    COMMENT ON TABLE eventlog.delivery_looks IS
        'Looks at who is writing: once the writers of a look have ended, consumers can read up to its last_id. Rows go by themselves.';
    COMMENT ON COLUMN eventlog.delivery_looks.id IS 'Number of the look.';
    COMMENT ON COLUMN eventlog.delivery_looks.looked_at IS 'When it was.';
    COMMENT ON COLUMN eventlog.delivery_looks.looked_by IS 'The transaction that looked.';
    COMMENT ON COLUMN eventlog.delivery_looks.certain_id IS 'Up to this id nothing could be missing any more then.';
    COMMENT ON COLUMN eventlog.delivery_looks.last_id IS 'The last id that had been drawn.';
    COMMENT ON COLUMN eventlog.delivery_looks.writers IS
        'Transactions that may have drawn ids up to it: as pg_locks names them, and "xid" with the id of each that had one.';
    COMMENT ON COLUMN eventlog.delivery_looks.next_xid IS
        'If some had none: the lowest id that they can have got since; null if all had one.';
END
$$;
