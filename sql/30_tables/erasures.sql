-- Receipts of what forget_actor() and forget_tenant() erased.

CREATE FUNCTION eventlog_private.create_erasures() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('erasures') THEN
        CREATE TABLE eventlog.erasures (
            id           uuid        CONSTRAINT erasures_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
            kind         text        NOT NULL,
            tenant_id    uuid        NOT NULL,
            role_name    name        NOT NULL,
            started_at   timestamptz NOT NULL DEFAULT now(),
            finished_at  timestamptz,
            calls        integer     NOT NULL DEFAULT 1,
            erased       jsonb       NOT NULL DEFAULT '{}',
            progress     text,
            actor_digest bytea,
            to_analyze   text[]      NOT NULL DEFAULT '{}',
            CONSTRAINT erasures_kind_check CHECK (kind IN ('actor', 'tenant')),
            CONSTRAINT erasures_erased_check CHECK (jsonb_typeof(erased) = 'object')
        );
        PERFORM eventlog_private.secure('eventlog.erasures');
    END IF;
    COMMENT ON TABLE eventlog.erasures IS
        'Receipts of forget_actor() and forget_tenant(), kept until the owner deletes them. They do not identify the actor.';
    COMMENT ON COLUMN eventlog.erasures.id IS 'Random identifier of the receipt; it reveals nothing about the actor or tenant.';
    COMMENT ON COLUMN eventlog.erasures.kind IS 'actor or tenant.';
    COMMENT ON COLUMN eventlog.erasures.tenant_id IS 'The erased tenant, or the tenant of the erased actor.';
    COMMENT ON COLUMN eventlog.erasures.role_name IS 'The role of the first call.';
    COMMENT ON COLUMN eventlog.erasures.started_at IS 'When the first call began.';
    COMMENT ON COLUMN eventlog.erasures.finished_at IS 'When the erasure finished; null if it was interrupted, and the same call continues it.';
    COMMENT ON COLUMN eventlog.erasures.calls IS 'Number of calls so far.';
    COMMENT ON COLUMN eventlog.erasures.erased IS 'Number of rows erased by all calls, for each table that was searched.';
    COMMENT ON COLUMN eventlog.erasures.progress IS 'The table being erased, its place and the number of tables; null once finished.';
    COMMENT ON COLUMN eventlog.erasures.actor_digest IS
        'Tells unfinished erasures of a tenant''s actors apart: SHA-256 of id and actor; null once finished.';
    COMMENT ON COLUMN eventlog.erasures.to_analyze IS 'Tables that lost rows and whose statistics still contain samples of them; empty once finished.';
END
$$;
