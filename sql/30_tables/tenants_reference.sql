-- The table of tenants that reference_tenants() tied the log to.

CREATE FUNCTION eventlog_private.create_tenants_reference() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('tenants_reference') THEN
        CREATE TABLE eventlog.tenants_reference (
            only_row      boolean CONSTRAINT tenants_reference_pkey PRIMARY KEY DEFAULT true,
            tenants       oid     NOT NULL,
            database_name text    NOT NULL,
            name_column   text,
            CONSTRAINT tenants_reference_only_row_check CHECK (only_row)
        );
        PERFORM eventlog_private.secure('eventlog.tenants_reference');
    END IF;
    COMMENT ON TABLE eventlog.tenants_reference IS
        'Oid of the table that reference_tenants() tied the log to: a table created later under the name in log_config is another one.';
    COMMENT ON COLUMN eventlog.tenants_reference.only_row IS 'Always true: there is at most one row.';
    COMMENT ON COLUMN eventlog.tenants_reference.tenants IS 'Oid of the table of tenants.';
    COMMENT ON COLUMN eventlog.tenants_reference.database_name IS
        'Server and database of the oid; elsewhere, after a restore, the name counts.';
    COMMENT ON COLUMN eventlog.tenants_reference.name_column IS
        'The column whose values become names of tenants; null if names are not taken from the table.';
END
$$;
