-- Limits of single tenants.

CREATE FUNCTION eventlog_private.set_tenant(
    tenant_id         uuid,
    is_opted_out      boolean,
    max_bytes         integer,
    events_per_minute integer,
    over_quota        text,
    retention         interval
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF set_tenant.tenant_id IS NULL THEN
        RAISE EXCEPTION 'tenant_id must not be null' USING ERRCODE = 'null_value_not_allowed';
    ELSIF set_tenant.max_bytes NOT BETWEEN 8 AND 16777216 THEN
        RAISE EXCEPTION 'max_bytes must be from 8 to 16777216, got %', set_tenant.max_bytes
            USING ERRCODE = 'invalid_parameter_value', HINT = '8 bytes is an empty object';
    ELSIF set_tenant.events_per_minute < 0 THEN
        RAISE EXCEPTION 'events_per_minute must not be negative, got %', set_tenant.events_per_minute
            USING ERRCODE = 'invalid_parameter_value', HINT = 'to remove the limits: SELECT eventlog.reset_tenant(''<tenant>'');';
    ELSIF set_tenant.over_quota NOT IN ('reject', 'sample', 'quarantine') THEN
        RAISE EXCEPTION 'unknown over_quota "%"', left(set_tenant.over_quota, 80)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'reject, sample or quarantine';
    ELSIF set_tenant.retention <= '0'::interval THEN
        RAISE EXCEPTION 'retention must be positive, got %', set_tenant.retention
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''30 days''';
    ELSIF set_tenant.retention IS NOT NULL THEN
        PERFORM eventlog._require_layout(2);
    END IF;
    INSERT INTO eventlog.tenant_settings AS t (tenant_id, is_opted_out, max_bytes, events_per_minute, over_quota)
    VALUES (set_tenant.tenant_id, coalesce(set_tenant.is_opted_out, false), set_tenant.max_bytes,
            set_tenant.events_per_minute, coalesce(set_tenant.over_quota, 'reject'))
    ON CONFLICT ON CONSTRAINT tenant_settings_pkey DO UPDATE SET
        is_opted_out      = coalesce(set_tenant.is_opted_out, t.is_opted_out),
        max_bytes         = coalesce(set_tenant.max_bytes, t.max_bytes),
        events_per_minute = coalesce(set_tenant.events_per_minute, t.events_per_minute),
        over_quota        = coalesce(set_tenant.over_quota, t.over_quota),
        updated_at        = now();
    -- Separately, because a log of layout 1 lacks this column.
    IF set_tenant.retention IS NOT NULL THEN
        UPDATE eventlog.tenant_settings t SET retention = set_tenant.retention
         WHERE t.tenant_id = set_tenant.tenant_id;
    END IF;
END
$$;

CREATE FUNCTION eventlog.set_tenant(
    tenant_id         uuid,
    is_opted_out      boolean DEFAULT NULL,
    max_bytes         integer DEFAULT NULL,
    events_per_minute integer DEFAULT NULL,
    over_quota        text    DEFAULT NULL,
    retention         interval DEFAULT NULL
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.set_tenant(uuid, boolean, integer, integer, text, interval) IS
'Sets limits of a tenant: is_opted_out, a smaller max_bytes, events_per_minute, what to do over_quota (reject, the default, sample, or quarantine), and a shorter retention. Null keeps a limit.';

CREATE FUNCTION eventlog_private.reset_tenant(tenant_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    DELETE FROM eventlog.tenant_settings t WHERE t.tenant_id = reset_tenant.tenant_id;
END
$$;

CREATE FUNCTION eventlog.reset_tenant(tenant_id uuid) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.reset_tenant(uuid) IS
'Removes the limits that set_tenant() set.';
