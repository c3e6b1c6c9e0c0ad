-- The log itself.

CREATE FUNCTION eventlog_private.create_events() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('events') THEN
        CREATE TABLE eventlog.events (
            id          bigint      GENERATED ALWAYS AS IDENTITY,
            tenant_id   uuid        NOT NULL,
            name        text        NOT NULL,
            data        jsonb       NOT NULL DEFAULT '{}',
            actor       text,
            subject     text,
            occurred_at timestamptz,
            created_at  timestamptz NOT NULL DEFAULT now(),
            weight      real,
            CONSTRAINT events_pkey PRIMARY KEY (id, created_at)
        ) PARTITION BY RANGE (created_at);
        PERFORM eventlog_private.secure('eventlog.events');
        PERFORM eventlog_private.secure('eventlog.events_id_seq');
    END IF;

    -- CREATE INDEX IF NOT EXISTS would block writers even if there is nothing to do.
    IF to_regclass('eventlog.events_tenant_id_name_created_at_idx') IS NULL THEN
        CREATE INDEX events_tenant_id_name_created_at_idx
            ON eventlog.events (tenant_id, name, created_at DESC);
    END IF;
    IF to_regclass('eventlog.events_tenant_id_created_at_idx') IS NULL THEN
        CREATE INDEX events_tenant_id_created_at_idx ON eventlog.events (tenant_id, created_at DESC);
    END IF;

    COMMENT ON TABLE eventlog.events IS
        'The log: one row per event, append-only, partitioned by created_at. Write with eventlog.log_event().';
    COMMENT ON COLUMN eventlog.events.id IS 'Number of the event, increasing in insertion order, with gaps.';
    COMMENT ON COLUMN eventlog.events.tenant_id IS 'The tenant; policies compare it with eventlog.current_tenant().';
    COMMENT ON COLUMN eventlog.events.name IS 'Name of the event, one of event_types.';
    COMMENT ON COLUMN eventlog.events.data IS 'Payload: a JSON object without null values, within the event type''s max_bytes.';
    COMMENT ON COLUMN eventlog.events.actor IS 'Who did it, such as a user id, at most 512 bytes.';
    COMMENT ON COLUMN eventlog.events.subject IS 'What it was done to, such as skill/canvas, at most 512 bytes.';
    COMMENT ON COLUMN eventlog.events.occurred_at IS 'When it happened by the client''s clock, if given.';
    COMMENT ON COLUMN eventlog.events.created_at IS 'When it was logged by the server''s clock: the start of the transaction.';
    COMMENT ON COLUMN eventlog.events.weight IS 'Number of events the row stands for: 1/rate if it survived sampling, null for 1.';
END
$$;

-- The columns of events in their order. is_required: a source of import_events() must have it. is_writable:
-- a role that logs may set it; the server sets the others.
CREATE FUNCTION eventlog_private.event_columns() RETURNS TABLE (name name, type text, is_required boolean, is_writable boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 9
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.attname, format_type(a.atttypid, NULL), a.attnotnull, a.attname NOT IN ('id', 'created_at')
      FROM pg_attribute a
     WHERE a.attrelid = 'eventlog.events'::regclass AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attnum
$$;
