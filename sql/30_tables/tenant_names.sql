-- Names of tenants. A table of its own, not columns of tenant_settings: the library keeps a copy of the
-- settings, so each new name would cost every backend a reload, and each named tenant a look-up.

CREATE FUNCTION eventlog_private.create_tenant_names() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('tenant_names') THEN
        CREATE TABLE eventlog.tenant_names (
            tenant_id    uuid        CONSTRAINT tenant_names_pkey PRIMARY KEY,
            tenant_name  text,
            display_name text,
            updated_at   timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT tenant_names_tenant_name_check CHECK (char_length(tenant_name) BETWEEN 1 AND 200),
            CONSTRAINT tenant_names_display_name_check CHECK (char_length(display_name) BETWEEN 1 AND 200)
        );
        PERFORM eventlog_private.secure('eventlog.tenant_names');
    END IF;
    COMMENT ON TABLE eventlog.tenant_names IS
        'Names of tenants. Change them with eventlog.set_tenant(), or take them from your table of tenants with eventlog.reference_tenants().';
    COMMENT ON COLUMN eventlog.tenant_names.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN eventlog.tenant_names.tenant_name IS 'The text that eventlog.tenant() made its id of; null if its id is from elsewhere.';
    COMMENT ON COLUMN eventlog.tenant_names.display_name IS 'The name that reports and the dashboard show; null to show tenant_name.';
    COMMENT ON COLUMN eventlog.tenant_names.updated_at IS 'When the names were last set.';
END
$$;
