-- The list of measures: columns that the rollups of counts (hourly_counts, daily_counts,
-- daily_subjects, hourly_keys and daily_keys) have besides their keys.

--   of_events   the measure of a group of rows e of eventlog._measured_events()
--   is_outcome  false for counts of events; true for outcomes and durations, which recount() measures
--               anew by the keys that the event type has now
-- Reports sum them by themselves, since their callers may not use this schema (90_reports/00_counts.sql).
CREATE FUNCTION eventlog_private.measures()
RETURNS TABLE (name name, type text, of_events text, is_outcome boolean, comment text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 7
SET search_path = pg_catalog, pg_temp
AS $$
    VALUES
        ('events'::name, 'bigint NOT NULL', 'count(*)', false, 'Number of rows.'),
        ('weighted_events', 'double precision NOT NULL', 'sum(e.weight)', false,
            'Number of events: a row that survived sampling counts for all that it stands for.'),
        ('failures', 'double precision NOT NULL', 'coalesce(sum(e.weight) FILTER (WHERE e.has_failed), 0)', true,
            'Failed events, weighted: success_key is false or not one of success_values, or, where there is none, error_key is present.'),
        ('successes', 'double precision NOT NULL', 'coalesce(sum(e.weight) FILTER (WHERE NOT e.has_failed), 0)', true,
            'Successful events, weighted: success_key is true or one of success_values.'),
        ('duration_count', 'double precision NOT NULL', 'coalesce(sum(e.weight) FILTER (WHERE e.duration IS NOT NULL), 0)', true,
            'Events with a duration, weighted.'),
        ('duration_sum', 'double precision NOT NULL', 'coalesce(sum(e.weight * e.duration), 0)', true,
            'Sum of the durations in the unit of duration_key (milliseconds), weighted.'),
        ('duration_histogram', 'double precision[]',
            'eventlog._histogram(e.duration, e.weight) FILTER (WHERE e.duration IS NOT NULL)', true,
            'The durations as pairs of a bucket and its weight; see eventlog._percentile().')
$$;

-- Creates a rollup of counts, and comments the columns that all of them have. `keys` and `more` are
-- column definitions that end with a comma, before and after the measures.
CREATE FUNCTION eventlog_private.create_counts(table_name name, keys text, more text, key_columns text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing(table_name) THEN
        EXECUTE format('CREATE TABLE eventlog.%1$I (%2$s %3$s, %4$s CONSTRAINT %5$I PRIMARY KEY (%6$s))',
                       table_name, keys, (SELECT string_agg(m.name || ' ' || m.type, ', ') FROM eventlog_private.measures() m),
                       more, table_name || '_pkey', key_columns);
        PERFORM eventlog_private.secure(format('eventlog.%I', table_name)::regclass);
    END IF;
    EXECUTE (SELECT string_agg(format('COMMENT ON COLUMN eventlog.%I.%I IS %L', table_name, c.name, c.comment), '; ')
               FROM (VALUES ('tenant_id'::name, 'The tenant.'), ('name', 'Name of the events.')
                      UNION ALL
                     SELECT m.name, m.comment FROM eventlog_private.measures() m) AS c (name, comment));
END
$$;
