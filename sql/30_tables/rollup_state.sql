-- The tables of the rollups: events counted by hour and by day, and who was active on which day.
-- Exact: what the rollups say, and the rows that they do not hold yet, are all events there were.

CREATE FUNCTION eventlog_private.create_rollup_tables() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    counts text;
BEGIN
    IF eventlog_private.is_missing('rollup_state') THEN
        CREATE TABLE eventlog.rollup_state (
            only_row        boolean     CONSTRAINT rollup_state_pkey PRIMARY KEY DEFAULT true,
            rolled_until    timestamptz NOT NULL DEFAULT '-infinity',
            announced_until timestamptz NOT NULL DEFAULT '-infinity',
            writers         text[],
            CONSTRAINT rollup_state_only_row_check CHECK (only_row)
        );
        PERFORM eventlog_private.close('eventlog.rollup_state');
    END IF;
    -- A dump may leave the counts out, and this row with them.
    INSERT INTO eventlog.rollup_state DEFAULT VALUES ON CONFLICT DO NOTHING;
    COMMENT ON TABLE eventlog.rollup_state IS 'How far the rollups reach, in one row.';
    COMMENT ON COLUMN eventlog.rollup_state.only_row IS 'True: there is one row.';
    COMMENT ON COLUMN eventlog.rollup_state.rolled_until IS
        'The watermark: events created before are in the rollups, but for those in late_events; later ones are read from events.';
    COMMENT ON COLUMN eventlog.rollup_state.announced_until IS
        'The next watermark: whoever logs an event created before it notes it in late_events.';
    COMMENT ON COLUMN eventlog.rollup_state.writers IS
        'Transactions that were writing when it was announced, as pg_locks names them: they have to end first. Null where they were not looked for yet.';

    IF eventlog_private.is_missing('late_events') THEN
        CREATE TABLE eventlog.late_events (
            tenant_id  uuid,
            id         bigint,
            created_at timestamptz,
            CONSTRAINT late_events_pkey PRIMARY KEY (id, created_at)
        );
        PERFORM eventlog_private.close('eventlog.late_events');
    END IF;
    COMMENT ON TABLE eventlog.late_events IS
        'Events that came below the watermark, in a transaction that took long or by an import, until maintain() adds them to the rollups.';
    COMMENT ON COLUMN eventlog.late_events.tenant_id IS 'The tenant, or null where a service''s plain INSERT did not tell.';
    COMMENT ON COLUMN eventlog.late_events.id IS 'The event.';
    COMMENT ON COLUMN eventlog.late_events.created_at IS 'When it was created.';

    counts := '
            events             bigint           NOT NULL,
            weighted_events    double precision NOT NULL,
            failures           double precision NOT NULL,
            successes          double precision NOT NULL,
            duration_count     double precision NOT NULL,
            duration_sum       double precision NOT NULL,
            duration_histogram double precision[],';
    IF eventlog_private.is_missing('hourly_counts') THEN
        EXECUTE 'CREATE TABLE eventlog.hourly_counts (
            tenant_id          uuid,
            hour               timestamptz,
            name               text,' || counts || '
            CONSTRAINT hourly_counts_pkey PRIMARY KEY (tenant_id, hour, name))';
        PERFORM eventlog_private.close('eventlog.hourly_counts');
    END IF;
    COMMENT ON TABLE eventlog.hourly_counts IS 'Rollup: events by tenant, hour and name.';
    COMMENT ON COLUMN eventlog.hourly_counts.hour IS 'The hour of created_at.';

    IF eventlog_private.is_missing('daily_counts') THEN
        EXECUTE 'CREATE TABLE eventlog.daily_counts (
            tenant_id          uuid,
            day                date,
            name               text,' || counts || '
            CONSTRAINT daily_counts_pkey PRIMARY KEY (tenant_id, day, name))';
        PERFORM eventlog_private.close('eventlog.daily_counts');
    END IF;
    COMMENT ON TABLE eventlog.daily_counts IS 'Rollup: events by tenant, day and name.';
    COMMENT ON COLUMN eventlog.daily_counts.day IS 'The day of created_at in UTC.';

    IF eventlog_private.is_missing('daily_subjects') THEN
        EXECUTE 'CREATE TABLE eventlog.daily_subjects (
            tenant_id          uuid,
            day                date,
            name               text,
            subject            text,' || counts || '
            first_at           timestamptz      NOT NULL,
            last_at            timestamptz      NOT NULL,
            CONSTRAINT daily_subjects_pkey PRIMARY KEY (tenant_id, day, name, subject))';
        PERFORM eventlog_private.close('eventlog.daily_subjects');
    END IF;
    COMMENT ON TABLE eventlog.daily_subjects IS
        'Rollup: events by tenant, day, name and subject, of the names whose type says count_subjects.';
    COMMENT ON COLUMN eventlog.daily_subjects.day IS 'The day of created_at in UTC.';
    COMMENT ON COLUMN eventlog.daily_subjects.subject IS 'What the events were done to.';
    COMMENT ON COLUMN eventlog.daily_subjects.first_at IS 'created_at of the first.';
    COMMENT ON COLUMN eventlog.daily_subjects.last_at IS 'created_at of the last.';

    IF eventlog_private.is_missing('monthly_actors') THEN
        CREATE TABLE eventlog.monthly_actors (
            tenant_id uuid,
            month     date,
            name      text,
            actor     text,
            days      integer NOT NULL,
            CONSTRAINT monthly_actors_pkey PRIMARY KEY (tenant_id, name, month, actor) INCLUDE (days)
        );
        PERFORM eventlog_private.close('eventlog.monthly_actors');
    END IF;
    COMMENT ON TABLE eventlog.monthly_actors IS
        'Rollup: on which days an actor was active, by tenant, month and name.';
    COMMENT ON COLUMN eventlog.monthly_actors.month IS 'The first day of the month of created_at in UTC.';
    COMMENT ON COLUMN eventlog.monthly_actors.actor IS 'The actor.';
    COMMENT ON COLUMN eventlog.monthly_actors.days IS 'A bit for each day of the month, the lowest for the first.';
    COMMENT ON COLUMN eventlog.monthly_actors.name IS 'Name of the events; empty for events of any name.';

    PERFORM eventlog_private.comment_counts();
END
$$;

-- The columns that several rollups have.
CREATE FUNCTION eventlog_private.comment_counts() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    note record;
BEGIN
    FOR note IN
        SELECT r.relation, c.name, c.comment
          FROM (VALUES ('hourly_counts', true), ('daily_counts', true), ('daily_subjects', true), ('monthly_actors', false))
               AS r (relation, has_counts),
               (VALUES
                ('tenant_id',          'The tenant.', false),
                ('name',               'Name of the events.', true),
                ('events',             'How many rows.', true),
                ('weighted_events',    'How many events: sampled ones weighted back.', true),
                ('failures',           'Events that failed, weighted: success_key is false or not one of success_values, or, where there is none, error_key is there.', true),
                ('successes',          'Events that succeeded, weighted: success_key is true or one of success_values.', true),
                ('duration_count',     'Events with a duration, weighted.', true),
                ('duration_sum',       'Sum of the durations, in what duration_key is in (milliseconds), weighted.', true),
                ('duration_histogram', 'The durations as pairs of a bucket and its weight; see eventlog._percentile().', true)
               ) AS c (name, comment, is_count)
         WHERE r.has_counts OR NOT c.is_count
    LOOP
        EXECUTE format('COMMENT ON COLUMN eventlog.%I.%I IS %L', note.relation, note.name, note.comment);
    END LOOP;
END
$$;
