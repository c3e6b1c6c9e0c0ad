-- Partitions of events, by created_at in UTC.

-- Bounds are read back in the time zone and the style in which PostgreSQL is made to write them here: of
-- a session's own, such as IST, it may read another zone than it wrote.
CREATE FUNCTION eventlog._partition_bounds()
RETURNS TABLE (partition_oid oid, partition_name name, from_at timestamptz, until_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 50
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
SET standard_conforming_strings = on
AS $$
    SELECT c.oid, c.relname,
           coalesce((regexp_match(b.bound, 'FROM \(''([^'']+)''\)'))[1], '-infinity')::timestamptz,
           coalesce((regexp_match(b.bound, 'TO \(''([^'']+)''\)'))[1], 'infinity')::timestamptz
      FROM pg_inherits i
      JOIN pg_class c ON c.oid = i.inhrelid
     CROSS JOIN LATERAL pg_get_expr(c.relpartbound, c.oid) AS b (bound)
     WHERE i.inhparent = to_regclass('eventlog.events')
       AND NOT i.inhdetachpending
       AND b.bound <> 'DEFAULT'
$$;

CREATE VIEW eventlog._partitions AS
SELECT b.partition_oid, b.partition_name, b.from_at, b.until_at FROM eventlog._partition_bounds() b;

COMMENT ON VIEW eventlog._partitions IS 'Partitions of events and the span of created_at that each holds.';

-- A DEFAULT partition of a DBA's; null for none.
CREATE FUNCTION eventlog_private.default_partition() RETURNS regclass
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.partdefid::regclass FROM pg_partitioned_table t
     WHERE t.partrelid = to_regclass('eventlog.events') AND t.partdefid <> 0
$$;

-- The span around `at` whose events have a place, which may be a DEFAULT partition: an event need not
-- wait for that to be searched for rows in the way.
CREATE FUNCTION eventlog._covering_partition(at timestamptz)
RETURNS TABLE (from_at timestamptz, until_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH p AS MATERIALIZED (SELECT p.from_at, p.until_at FROM eventlog._partitions p)
    SELECT p.from_at, p.until_at FROM p WHERE p.from_at <= at AND at < p.until_at
     UNION ALL
    SELECT coalesce((SELECT max(p.until_at) FROM p WHERE p.until_at <= at), '-infinity'),
           coalesce((SELECT min(p.from_at) FROM p WHERE p.from_at > at), 'infinity')
     WHERE eventlog_private.default_partition() IS NOT NULL
       AND NOT EXISTS (SELECT FROM p WHERE p.from_at <= at AND at < p.until_at)
$$;

-- Whether there is a partition for `at`, other than a DEFAULT one.
CREATE FUNCTION eventlog_private.has_partition(at timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM eventlog._partitions p WHERE p.from_at <= at AND at < p.until_at)
$$;

-- The span of the partition that `at` belongs to: whole months since the year 0, or whole steps
-- since a Monday.
CREATE FUNCTION eventlog_private.partition_span(at timestamptz, step interval,
                                         OUT from_at timestamptz, OUT until_at timestamptz)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    months integer := EXTRACT(year FROM step) * 12 + EXTRACT(month FROM step);
    first  integer;
BEGIN
    IF months > 0 THEN
        first := EXTRACT(year FROM at)::integer * 12 + EXTRACT(month FROM at)::integer - 1;
        first := first - first % months;
        from_at := make_timestamptz(first / 12, first % 12 + 1, 1, 0, 0, 0, 'UTC');
    ELSE
        from_at := date_bin(step, at, '2000-01-03 00:00:00+00');
    END IF;
    until_at := from_at + step;
END
$$;

-- The span of a partition that is to hold `at`, where none does: neighbours of another interval are
-- not overlapped.
CREATE FUNCTION eventlog_private.missing_span(at timestamptz, OUT from_at timestamptz, OUT until_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT greatest(s.from_at, (SELECT max(p.until_at) FROM eventlog._partitions p WHERE p.until_at <= at)),
           least(s.until_at, (SELECT min(p.from_at) FROM eventlog._partitions p WHERE p.from_at > at))
      FROM eventlog.log_config c, eventlog_private.partition_span(at, c.partition_interval) s
$$;

CREATE FUNCTION eventlog_private.check_partition_interval(step interval) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF step < '1 hour' OR step > '10 years'
       OR (date_trunc('month', step) <> '0'::interval AND date_trunc('month', step) <> step) THEN
        RAISE EXCEPTION 'partition_interval % is not whole months, nor days and hours', step
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'from 1 hour to 10 years, such as ''1 day'', ''1 week'', ''1 month''';
    END IF;
END
$$;

-- One maker at a time: waits for another's transaction. A lock on a table would be waited for by
-- readers as well.
CREATE FUNCTION eventlog._lock_partitions() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former text := eventlog_private.bound_lock_timeout();
BEGIN
    PERFORM eventlog_private.take_lock('partitions', false, true);
    PERFORM set_config('lock_timeout', former, true);
END
$$;

-- Closes a new table before it becomes a partition.
CREATE FUNCTION eventlog_private.prepare_partition(partition regclass, first_at timestamptz, end_at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_open boolean := end_at > eventlog_private.announced_watermark();
BEGIN
    -- A superuser's import makes partitions too, and upkeep is the owner's.
    EXECUTE format('ALTER TABLE %s OWNER TO %s', partition,
        (SELECT relowner::regrole FROM pg_class WHERE oid = 'eventlog.events'::regclass));
    PERFORM eventlog_private.close(partition);
    PERFORM eventlog_private.ensure_append_only(partition);
    IF NOT is_open OR eventlog_private.is_subscriber() THEN
        PERFORM eventlog_private.ensure_late_event(partition, is_open);
    END IF;
    EXECUTE format('COMMENT ON TABLE %s IS %L', partition,
        format('Events created from %s until %s, UTC.', first_at AT TIME ZONE 'UTC', end_at AT TIME ZONE 'UTC'));
END
$$;

-- Takes the events of a span out of a DEFAULT partition; how many they were.
CREATE FUNCTION eventlog_private.move_out_of_default(rest regclass, partition regclass, first_at timestamptz, end_at timestamptz)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    moved bigint;
BEGIN
    EXECUTE format('WITH gone AS (DELETE FROM %s e WHERE e.created_at >= $1 AND e.created_at < $2 RETURNING e.*)
                    INSERT INTO %s (id, tenant_id, name, data, actor, subject, occurred_at, created_at, weight)
                    SELECT g.id, g.tenant_id, g.name, g.data, g.actor, g.subject, g.occurred_at, g.created_at, g.weight FROM gone g',
                   rest, partition) USING first_at, end_at;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END
$$;

-- Makes the partition that holds `at`, as the current user, who must own events. Nothing to do
-- where there is one. The new table is filled and closed before it is attached, which locks events
-- against other DDL only, not against readers and writers.
--
-- What a DEFAULT partition has of the span moves over. PostgreSQL then looks through all of that while
-- those wait who write to it, so one that is larger than most_bytes is left as it is.
--
-- An event trigger that logs what is done here finds no partition yet, and makes it (partition.rs).
CREATE FUNCTION eventlog_private.make_partition_within(at timestamptz, most_bytes bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
SET client_min_messages = 'warning'
AS $$
DECLARE
    former    text;
    first_at  timestamptz;
    end_at    timestamptz;
    wanted    text;
    partition text;
    made      regclass;
    tries     integer := 0;
    rest      regclass := eventlog_private.default_partition();
BEGIN
    PERFORM eventlog._lock_partitions();
    former := eventlog_private.bound_lock_timeout();

    IF NOT eventlog_private.has_partition(make_partition_within.at) THEN
        SELECT s.from_at, s.until_at INTO first_at, end_at FROM eventlog_private.missing_span(make_partition_within.at) s;
        IF rest IS NOT NULL AND pg_relation_size(rest) > most_bytes THEN
            RAISE EXCEPTION 'the DEFAULT partition % may hold events of % until %, and has %, limit %', rest, first_at, end_at,
                    pg_size_pretty(pg_relation_size(rest)), pg_size_pretty(most_bytes)
                USING ERRCODE = 'check_violation',
                      HINT = 'in a quiet hour, since it keeps writers waiting: SELECT eventlog.create_log();';
        END IF;

        wanted := 'events_p' || to_char(first_at AT TIME ZONE 'UTC',
            CASE WHEN date_trunc('day', first_at, 'UTC') = first_at THEN 'YYYYMMDD' ELSE 'YYYYMMDD_HH24MI' END);
        partition := wanted;
        WHILE to_regclass(format('eventlog.%I', partition)) IS NOT NULL LOOP
            -- A partition that was detached and kept has the name.
            tries := tries + 1;
            partition := wanted || '_' || tries;
        END LOOP;

        -- An event trigger may have made it under that name before the command begins.
        EXECUTE format('CREATE TABLE IF NOT EXISTS eventlog.%I (LIKE eventlog.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                       partition);
        made := format('eventlog.%I', partition)::regclass;
        IF NOT eventlog_private.has_partition(make_partition_within.at) THEN
            IF rest IS NOT NULL THEN
                -- Before there is a trigger that would note them as late.
                PERFORM eventlog_private.move_out_of_default(rest, made, first_at, end_at);
            END IF;
            PERFORM eventlog_private.prepare_partition(made, first_at, end_at);
        END IF;
        IF eventlog_private.has_partition(make_partition_within.at) THEN
            IF NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = made) THEN
                EXECUTE format('DROP TABLE %s', made);
            END IF;
        ELSE
            IF rest IS NOT NULL THEN
                EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', rest);
                PERFORM eventlog_private.move_out_of_default(rest, made, first_at, end_at);
            END IF;
            EXECUTE format('ALTER TABLE eventlog.events ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', made, first_at, end_at);
        END IF;
    END IF;

    PERFORM set_config('lock_timeout', former, true);
END
$$;

CREATE FUNCTION eventlog._make_partition(at timestamptz) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'SELECT eventlog_private.make_partition_within(at, 67108864)';

-- Makes all partitions from now until now plus the log's premake.
CREATE FUNCTION eventlog_private.make_partitions() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_partitions constant integer := 1200;
    config eventlog.log_config;
    at     timestamptz := now();
    until  timestamptz;
    wanted bigint;
BEGIN
    SELECT * INTO STRICT config FROM eventlog.log_config;
    until := now() + config.premake;
    wanted := EXTRACT(epoch FROM until - at) / EXTRACT(epoch FROM config.partition_interval);
    IF wanted > most_partitions THEN
        RAISE EXCEPTION 'premake % makes % partitions of %, limit %', config.premake, wanted,
                config.partition_interval, most_partitions
            USING ERRCODE = 'program_limit_exceeded',
                  HINT = 'a shorter premake, or a longer partition_interval';
    END IF;
    WHILE at <= until LOOP
        PERFORM eventlog_private.make_partition_within(at, NULL);
        at := (SELECT p.until_at FROM eventlog._covering_partition(at) p);
    END LOOP;
END
$$;

-- Until when partitions reach without a gap from now; null where now has none.
CREATE FUNCTION eventlog._covered_until() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT min(g.until_at)
      FROM (SELECT p.until_at, lead(p.from_at) OVER (ORDER BY p.from_at) AS next_at, min(p.from_at) OVER () AS first_at
              FROM eventlog._partitions p WHERE p.until_at > now()) g
     WHERE g.next_at IS DISTINCT FROM g.until_at AND g.first_at <= now()
$$;
