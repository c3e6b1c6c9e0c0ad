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

CREATE FUNCTION eventlog_private.add_count(counts jsonb, name text, rows bigint) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT counts || jsonb_build_object(name, coalesce((counts ->> name)::bigint, 0) + rows)
$$;

-- The receipt of the same erasure that was cut short, or a new one.
CREATE FUNCTION eventlog_private.open_receipt(kind text, tenant_id uuid, actor text, role_name name) RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    person  bytea := sha256(convert_to(actor, 'UTF8'));
    number  uuid;
    nothing jsonb;
BEGIN
    SELECT coalesce(jsonb_object_agg(t.counted_as, 0), '{}') INTO nothing FROM eventlog_private.erasure_targets(kind) t;
    SELECT e.id INTO number FROM eventlog.erasures e
     WHERE e.finished_at IS NULL AND e.kind = open_receipt.kind AND e.tenant_id = open_receipt.tenant_id
       AND e.actor_digest IS NOT DISTINCT FROM sha256(uuid_send(e.id) || person)
     ORDER BY e.started_at LIMIT 1;
    IF number IS NOT NULL THEN
        UPDATE eventlog.erasures e SET calls = e.calls + 1, erased = nothing || e.erased WHERE e.id = number;
    ELSE
        number := gen_random_uuid();
        INSERT INTO eventlog.erasures (id, kind, tenant_id, role_name, erased, actor_digest)
        VALUES (number, open_receipt.kind, open_receipt.tenant_id, open_receipt.role_name, nothing,
                sha256(uuid_send(number) || person));
    END IF;
    RETURN number;
END
$$;

-- Adds to the receipt, in the transaction that erased: it counts what is gone, whenever the call ends.
CREATE FUNCTION eventlog_private.add_to_receipt(receipt uuid, counted_as text, rows bigint, relation text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE eventlog.erasures e
       SET erased     = eventlog_private.add_count(e.erased, counted_as, rows),
           to_analyze = CASE WHEN rows = 0 OR relation = ANY (e.to_analyze) THEN e.to_analyze
                             ELSE e.to_analyze || relation END
     WHERE e.id = receipt;
END
$$;

-- Finished: from here on nothing in the receipt tells whom it was about.
CREATE FUNCTION eventlog_private.close_receipt(receipt uuid) RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventlog.erasures e SET finished_at = clock_timestamp(), progress = NULL, actor_digest = NULL
     WHERE e.id = receipt
    RETURNING e.erased
$$;
