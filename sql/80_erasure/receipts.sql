-- Receipts of forget_actor() and forget_tenant().

CREATE FUNCTION eventlog_private.add_count(counts jsonb, name text, rows bigint) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT counts || jsonb_build_object(name, coalesce((counts ->> name)::bigint, 0) + rows)
$$;

-- Returns the receipt of the same erasure if it was interrupted, or a new one.
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

-- Adds to the receipt in the transaction that erases, so that it always counts what is gone.
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

-- Finishes a receipt. From then on nothing in it identifies the actor.
CREATE FUNCTION eventlog_private.finish_receipt(receipt uuid) RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventlog.erasures e SET finished_at = clock_timestamp(), progress = NULL, actor_digest = NULL
     WHERE e.id = receipt
    RETURNING e.erased
$$;
