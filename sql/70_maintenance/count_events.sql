-- Counting events that the rollups lack, because their partition was detached while their time was counted.

CREATE FUNCTION eventlog_private.count_events(partition regclass) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
DECLARE
    tenants    uuid[];
    span_from  timestamptz;
    span_until timestamptz;
    until      timestamptz;
    since      timestamptz;
    in_part    bigint;
    counted    bigint := 0;
BEGIN
    PERFORM eventlog._require_layout(2);
    SELECT p.from_at, least(p.until_at, s.rolled_until) INTO span_from, span_until
      FROM eventlog._partitions p, eventlog.rollup_state s WHERE p.partition_oid = count_events.partition;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not a partition of the log', coalesce(count_events.partition::text, 'null')
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'attach it with ALTER TABLE eventlog.events ATTACH PARTITION …; to list partitions: SELECT partition_name FROM eventlog.stat_partitions;';
    END IF;
    PERFORM eventlog_private.lock_maintenance();
    -- A partition that was detached when its time was closed has no trigger for late events yet.
    PERFORM eventlog_private.ensure_late_events((SELECT s.announced_until FROM eventlog.rollup_state s));
    tenants := eventlog_private.tenants_in(partition);
    since := span_from;
    -- One day at a time, since counts are kept in memory. Without a span, add_to_rollups() adds to existing
    -- rows.
    WHILE since < span_until LOOP
        EXECUTE format('SELECT date_trunc(''day'', min(f.created_at)) FROM unnest($2) AS t (id) CROSS JOIN LATERAL (
                            SELECT min(e.created_at) FROM %s e WHERE e.tenant_id = t.id AND e.created_at >= $1) f (created_at)',
                       partition) INTO since USING since, tenants;
        EXIT WHEN since IS NULL OR since >= span_until;
        until := least(span_until, since + interval '1 day');
        counted := counted + eventlog_private.add_to_rollups(
            format('eventlog.events e
                     WHERE e.created_at >= %L AND e.created_at < %L AND e.tenant_id = ANY ($3)
                       AND NOT EXISTS (SELECT FROM eventlog.hourly_counts h WHERE h.tenant_id = e.tenant_id AND h.name = e.name
                                                AND h.hour = date_bin(''1 hour'', e.created_at, ''2000-01-01''))
                       AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at)',
                   greatest(since, span_from), until),
            'SELECT NULL::tid[]', tenants => tenants);
        since := until;
    END LOOP;
    IF counted > 0 THEN
        PERFORM eventlog_private.reopen_retention(tenants, ARRAY(SELECT t.name FROM eventlog.event_types t), span_from);
    END IF;

    SELECT count(*) INTO in_part
      FROM (SELECT e.tenant_id, date_bin('1 hour', e.created_at, '2000-01-01') AS hour, e.name, count(*) AS events
              FROM eventlog._measured_events() e
             WHERE e.created_at >= span_from AND e.created_at < span_until
               AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at)
             GROUP BY 1, 2, 3) f
      JOIN eventlog.hourly_counts h ON h.tenant_id = f.tenant_id AND h.hour = f.hour AND h.name = f.name
     WHERE f.events > h.events;
    IF in_part > 0 THEN
        RAISE WARNING '% hours of a tenant and a name are only partly counted, and stay so', in_part
            USING DETAIL = 'It is unknown which of their events are counted.',
                  HINT = format('SELECT * FROM eventlog.verify_rollups(%L, %L);', span_from, span_until);
    END IF;
    RETURN counted;
END
$$;

CREATE FUNCTION eventlog.count_events(partition regclass) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.count_events(regclass) IS
'Counts events of a partition that the rollups lack, and returns their number. For a partition that was detached while maintain() went on, and is attached again. Works by tenant, hour and name: if a rollup has any of their events, all count as counted.';
