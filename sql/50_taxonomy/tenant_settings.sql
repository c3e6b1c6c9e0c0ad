-- Limits and names of single tenants.

CREATE FUNCTION eventlog_private.set_tenant(
    tenant_id         uuid,
    is_opted_out      boolean,
    max_bytes         integer,
    events_per_minute integer,
    over_quota        text,
    retention         interval,
    display_name      text,
    tenant_name       text
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := coalesce(set_tenant.tenant_id, eventlog.tenant(set_tenant.tenant_name));
BEGIN
    IF tenant IS NULL THEN
        RAISE EXCEPTION 'tenant_id must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'give the tenant''s uuid, or the name that makes it: tenant_name => ''acme''';
    ELSIF tenant = eventlog.all_tenants() THEN
        RAISE EXCEPTION 'all_tenants() is for reports: it has no limits and no name' USING ERRCODE = 'invalid_parameter_value';
    ELSIF tenant <> eventlog.tenant(set_tenant.tenant_name) THEN
        RAISE EXCEPTION 'tenant_id and tenant_name disagree: the tenant of this name is %', eventlog.tenant(set_tenant.tenant_name)
            USING ERRCODE = 'invalid_parameter_value', DETAIL = format('tenant_id is %s.', tenant),
                  HINT = 'leave out one of them; display_name is the name of a tenant whose uuid is from elsewhere';
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
    IF set_tenant.display_name <> '' THEN
        PERFORM eventlog_private.check_tenant_name('display_name', set_tenant.display_name);
    END IF;
    IF set_tenant.tenant_name IS NOT NULL OR set_tenant.display_name IS NOT NULL THEN
        PERFORM eventlog_private.set_names(tenant, set_tenant.tenant_name, set_tenant.display_name);
        -- A tenant that only has a name costs its events no look-up of limits.
        IF num_nonnulls(set_tenant.is_opted_out, set_tenant.max_bytes, set_tenant.events_per_minute, set_tenant.over_quota,
                        set_tenant.retention) = 0 THEN
            RETURN;
        END IF;
    END IF;
    INSERT INTO eventlog.tenant_settings AS t (tenant_id, is_opted_out, max_bytes, events_per_minute, over_quota)
    VALUES (tenant, coalesce(set_tenant.is_opted_out, false), set_tenant.max_bytes,
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
         WHERE t.tenant_id = tenant;
    END IF;
END
$$;

CREATE FUNCTION eventlog.set_tenant(
    tenant_id         uuid    DEFAULT NULL,
    is_opted_out      boolean DEFAULT NULL,
    max_bytes         integer DEFAULT NULL,
    events_per_minute integer DEFAULT NULL,
    over_quota        text    DEFAULT NULL,
    retention         interval DEFAULT NULL,
    display_name      text    DEFAULT NULL,
    tenant_name       text    DEFAULT NULL
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.set_tenant(uuid, boolean, integer, integer, text, interval, text, text) IS
'Sets limits of a tenant: is_opted_out, a smaller max_bytes, events_per_minute, what to do over_quota (reject, the default, sample, or quarantine), and a shorter retention; and its names: display_name, which reports and the dashboard show, and tenant_name, the text of eventlog.tenant(), which may stand for tenant_id. Null keeps a value; an empty display_name removes it.';

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
'Removes the limits that set_tenant() set, opting out included. The names of the tenant stay; forget_tenant() removes them.';
