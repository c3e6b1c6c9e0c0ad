-- The table of tenants that reference_tenants() tied the log to.

CREATE FUNCTION eventlog_private.create_reference_tables() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('tenants_reference') THEN
        CREATE TABLE eventlog.tenants_reference (
            only_row      boolean CONSTRAINT tenants_reference_pkey PRIMARY KEY DEFAULT true,
            tenants       oid     NOT NULL,
            database_name text    NOT NULL,
            CONSTRAINT tenants_reference_only_row_check CHECK (only_row)
        );
        PERFORM eventlog_private.close('eventlog.tenants_reference');
    END IF;
    COMMENT ON TABLE eventlog.tenants_reference IS
        'Which table reference_tenants() tied the log to, beside its name in log_config: one that is made later under that name is another.';
    COMMENT ON COLUMN eventlog.tenants_reference.only_row IS 'True: there is at most one row.';
    COMMENT ON COLUMN eventlog.tenants_reference.tenants IS 'The table itself.';
    COMMENT ON COLUMN eventlog.tenants_reference.database_name IS
        'Server and database that it is of; in another one, after a restore, the name counts.';
END
$$;
