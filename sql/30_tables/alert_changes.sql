-- What alerts did: one row when one is raised, and one when it is resolved.

CREATE FUNCTION eventlog_private.create_alert_changes() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('alert_changes') THEN
        CREATE TABLE eventlog.alert_changes (
            id         bigint      GENERATED ALWAYS AS IDENTITY
                                   CONSTRAINT alert_changes_pkey PRIMARY KEY,
            tenant_id  uuid        NOT NULL,
            alert      text        NOT NULL,
            is_raised  boolean     NOT NULL,
            changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            details    jsonb       NOT NULL
        );
        PERFORM eventlog_private.secure('eventlog.alert_changes');
        PERFORM eventlog_private.secure('eventlog.alert_changes_id_seq');
    END IF;
    IF to_regclass('eventlog.alert_changes_tenant_id_id_idx') IS NULL THEN
        CREATE INDEX alert_changes_tenant_id_id_idx ON eventlog.alert_changes (tenant_id, id);
    END IF;
    COMMENT ON TABLE eventlog.alert_changes IS
        'Alerts that were raised or resolved, one row each. One transaction at a time adds rows, so that nothing appears below an id that was read. Rows go after 90 days.';
    COMMENT ON COLUMN eventlog.alert_changes.id IS 'Number of the row.';
    COMMENT ON COLUMN eventlog.alert_changes.tenant_id IS 'The tenant of the alert; all_tenants() for an alert on all of them.';
    COMMENT ON COLUMN eventlog.alert_changes.alert IS 'The alert.';
    COMMENT ON COLUMN eventlog.alert_changes.is_raised IS 'True if it was raised, false if it was resolved.';
    COMMENT ON COLUMN eventlog.alert_changes.changed_at IS 'When this was found out; details say which window it was.';
    COMMENT ON COLUMN eventlog.alert_changes.details IS
        'condition, names, threshold, value, and since and until of the window; nothing of a payload.';
END
$$;
