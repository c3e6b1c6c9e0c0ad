-- Rollup: the days on which an actor was active, by tenant, month and name.

CREATE FUNCTION eventlog_private.create_monthly_actors() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('monthly_actors') THEN
        CREATE TABLE eventlog.monthly_actors (
            tenant_id uuid,
            month     date,
            name      text,
            actor     text,
            days      integer NOT NULL,
            CONSTRAINT monthly_actors_pkey PRIMARY KEY (tenant_id, name, month, actor) INCLUDE (days)
        );
        PERFORM eventlog_private.secure('eventlog.monthly_actors');
    END IF;
    -- Since layout 2 began.
    IF eventlog_private.lacks_column('monthly_actors', 'quarters', 'bytea') THEN
        ALTER TABLE eventlog.monthly_actors ADD COLUMN quarters bytea;
    END IF;
    COMMENT ON TABLE eventlog.monthly_actors IS
        'Rollup: the days on which an actor was active, by tenant, month and name.';
    COMMENT ON COLUMN eventlog.monthly_actors.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN eventlog.monthly_actors.month IS 'The first day of the month of created_at in UTC.';
    COMMENT ON COLUMN eventlog.monthly_actors.actor IS 'The actor.';
    COMMENT ON COLUMN eventlog.monthly_actors.days IS 'One bit per day of the month; the lowest is the first day.';
    COMMENT ON COLUMN eventlog.monthly_actors.name IS 'Name of the events; empty for all names together.';
    COMMENT ON COLUMN eventlog.monthly_actors.quarters IS 'The quarter-hours of the month in UTC, 0 to 2975, in which the actor was active: two bytes each, big-endian and ascending. Days of every time zone are made of them. Null if not known.';
END
$$;
