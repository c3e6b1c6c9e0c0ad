-- Rollup: when an actor was active, by tenant, month, name and the values of chosen payload keys.

CREATE FUNCTION eventlog_private.create_monthly_key_actors() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('monthly_key_actors') THEN
        CREATE TABLE eventlog.monthly_key_actors (
            tenant_id uuid,
            key       text,
            value     text,
            name      text,
            month     date,
            actor     text,
            days      integer NOT NULL,
            quarters  bytea,
            CONSTRAINT monthly_key_actors_pkey PRIMARY KEY (tenant_id, key, value, name, month, actor)
        );
        PERFORM eventlog_private.secure('eventlog.monthly_key_actors');
    END IF;
    COMMENT ON TABLE eventlog.monthly_key_actors IS
        'Rollup: when an actor was active, by tenant, month, name and value of each payload key in count_keys of the event type.';
    COMMENT ON COLUMN eventlog.monthly_key_actors.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN eventlog.monthly_key_actors.key IS 'The payload key.';
    COMMENT ON COLUMN eventlog.monthly_key_actors.value IS 'Its value as text, of which the first 200 characters count.';
    COMMENT ON COLUMN eventlog.monthly_key_actors.name IS 'Name of the events.';
    COMMENT ON COLUMN eventlog.monthly_key_actors.month IS 'The first day of the month of created_at in UTC.';
    COMMENT ON COLUMN eventlog.monthly_key_actors.actor IS 'The actor; never empty.';
    COMMENT ON COLUMN eventlog.monthly_key_actors.days IS 'One bit per day of the month; the lowest is the first day.';
    COMMENT ON COLUMN eventlog.monthly_key_actors.quarters IS 'The quarter-hours of the month in which the actor was active, as in monthly_actors.';
END
$$;
