-- Receipts of what forget_actor() and forget_tenant() erased.

CREATE FUNCTION eventlog_private.create_erasure_tables() RETURNS void
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
        PERFORM eventlog_private.close('eventlog.erasures');
    END IF;
    COMMENT ON TABLE eventlog.erasures IS
        'Receipts of forget_actor() and forget_tenant(), kept until the owner deletes them. None says which actor it was.';
    COMMENT ON COLUMN eventlog.erasures.id IS 'Number of the receipt, random: it says nothing of whom it is about.';
    COMMENT ON COLUMN eventlog.erasures.kind IS 'actor or tenant.';
    COMMENT ON COLUMN eventlog.erasures.tenant_id IS 'The tenant, or the tenant of the actor.';
    COMMENT ON COLUMN eventlog.erasures.role_name IS 'The role that called first.';
    COMMENT ON COLUMN eventlog.erasures.started_at IS 'When it was called first.';
    COMMENT ON COLUMN eventlog.erasures.finished_at IS 'When it was done; null: it was cut short, and the same call goes on with it.';
    COMMENT ON COLUMN eventlog.erasures.calls IS 'How many calls it took.';
    COMMENT ON COLUMN eventlog.erasures.erased IS 'Rows that were erased by all of the calls, of each table that was searched.';
    COMMENT ON COLUMN eventlog.erasures.progress IS 'The table it is at, and how many there are; null once done.';
    COMMENT ON COLUMN eventlog.erasures.actor_digest IS
        'What tells unfinished erasures of a tenant''s actors apart: SHA-256 of the receipt''s number and the actor; null once done.';
    COMMENT ON COLUMN eventlog.erasures.to_analyze IS 'Tables that lost rows and whose statistics still hold samples of them; empty once done.';
END
$$;
