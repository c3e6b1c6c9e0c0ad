-- Idempotency keys, so that an event that is sent again is written once.

CREATE FUNCTION eventlog_private.create_idempotency_keys() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('idempotency_keys') THEN
        CREATE TABLE eventlog.idempotency_keys (
            tenant_id  uuid        NOT NULL,
            key        text        NOT NULL COLLATE "C",
            event_id   bigint,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant_id, key)
        );
        PERFORM eventlog_private.secure('eventlog.idempotency_keys');
    END IF;
    COMMENT ON TABLE eventlog.idempotency_keys IS
        'Idempotency keys that were used, and the event of each. A key older than eventlog.idempotency_window counts as new.';
    COMMENT ON COLUMN eventlog.idempotency_keys.tenant_id IS 'The tenant; each tenant has its own keys.';
    COMMENT ON COLUMN eventlog.idempotency_keys.key IS 'The key, at most 255 bytes.';
    COMMENT ON COLUMN eventlog.idempotency_keys.event_id IS 'Id of the first event with the key.';
    COMMENT ON COLUMN eventlog.idempotency_keys.created_at IS 'When the key was first used.';
END
$$;
