-- Partitions of events, by created_at in UTC.

-- PostgreSQL writes and reads bounds in the session's time zone and date style. These settings make both
-- sides agree: with an abbreviation such as IST, a session may read another zone than it wrote.
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

COMMENT ON VIEW eventlog._partitions IS 'The partitions of events, with the span of created_at of each.';

-- Returns the DEFAULT partition, if the DBA attached one.
CREATE FUNCTION eventlog_private.default_partition() RETURNS regclass
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.partdefid::regclass FROM pg_partitioned_table t
     WHERE t.partrelid = to_regclass('eventlog.events') AND t.partdefid <> 0
$$;

-- Returns the span around `at` whose events have a partition. That may be the DEFAULT one: an event does
-- not wait for a partition of its own, which would first search the DEFAULT one for rows to move.
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

-- Returns true if a partition other than the DEFAULT one holds `at`.
CREATE FUNCTION eventlog_private.has_partition(at timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM eventlog._partitions p WHERE p.from_at <= at AND at < p.until_at)
$$;

-- Returns the span of the partition that `at` belongs to: a whole number of months since year 0, or of
-- steps since a Monday.
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

-- Returns the span of a new partition for `at`, shortened so that it does not overlap neighbours, which may
-- have another interval.
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
        RAISE EXCEPTION 'partition_interval must be whole months, or days and hours, got %', step
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'from 1 hour to 10 years, such as ''1 day'', ''1 week'', ''1 month''';
    END IF;
END
$$;

-- Lets one transaction at a time create partitions; others wait for its end. A lock on a table would make
-- readers wait too.
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

-- Secures a new table before it becomes a partition.
CREATE FUNCTION eventlog_private.prepare_partition(partition regclass, first_at timestamptz, end_at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_open boolean := end_at > eventlog_private.announced_watermark();
BEGIN
    -- A superuser's import creates partitions too, and the log's owner has to maintain them.
    EXECUTE format('ALTER TABLE %s OWNER TO %s', partition,
        (SELECT relowner::regrole FROM pg_class WHERE oid = 'eventlog.events'::regclass));
    PERFORM eventlog_private.secure(partition);
    PERFORM eventlog_private.ensure_append_only(partition);
    IF NOT is_open OR eventlog_private.is_subscriber() THEN
        PERFORM eventlog_private.ensure_late_event(partition, is_open);
    END IF;
    EXECUTE format('COMMENT ON TABLE %s IS %L', partition,
        format('Events created from %s until %s, UTC.', first_at AT TIME ZONE 'UTC', end_at AT TIME ZONE 'UTC'));
END
$$;

-- Moves the events of a span out of the DEFAULT partition, and returns their number.
CREATE FUNCTION eventlog_private.move_out_of_default(rest regclass, partition regclass, first_at timestamptz, end_at timestamptz)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    moved bigint;
BEGIN
    EXECUTE (SELECT format('WITH gone AS (DELETE FROM %s e WHERE e.created_at >= $1 AND e.created_at < $2 RETURNING e.*)
                            INSERT INTO %s (%s) SELECT %3$s FROM gone g', rest, partition, string_agg(quote_ident(c.name), ', '))
               FROM eventlog_private.event_columns() c)
      USING first_at, end_at;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END
$$;

-- Creates the partition for `at` as the current user, who must own events, if there is none. The new table
-- is filled and secured before it is attached; attaching locks events against other DDL only, not against
-- readers and writers.
--
-- Events of the span in the DEFAULT partition move over. PostgreSQL then scans the rest of that partition
-- while its writers wait, so it must not be larger than most_bytes.
--
-- An event trigger that logs the DDL in here finds no partition yet, and creates it first (partition.rs).
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
            RAISE EXCEPTION 'the DEFAULT partition % may hold events from % until %; it has %, limit %', rest, first_at, end_at,
                    pg_size_pretty(pg_relation_size(rest)), pg_size_pretty(most_bytes)
                USING ERRCODE = 'check_violation',
                      HINT = 'at a quiet time, since writers have to wait: SELECT eventlog.create_log();';
        END IF;

        wanted := 'events_p' || to_char(first_at AT TIME ZONE 'UTC',
            CASE WHEN date_trunc('day', first_at, 'UTC') = first_at THEN 'YYYYMMDD' ELSE 'YYYYMMDD_HH24MI' END);
        partition := wanted;
        WHILE to_regclass(format('eventlog.%I', partition)) IS NOT NULL LOOP
            -- A detached partition that was kept has the name.
            tries := tries + 1;
            partition := wanted || '_' || tries;
        END LOOP;

        -- An event trigger may have created it under that name already.
        EXECUTE format('CREATE TABLE IF NOT EXISTS eventlog.%I (LIKE eventlog.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                       partition);
        made := format('eventlog.%I', partition)::regclass;
        IF NOT eventlog_private.has_partition(make_partition_within.at) THEN
            IF rest IS NOT NULL THEN
                -- Before the table has the trigger that would record them as late.
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

-- Returns the number of partitions that one command creates at most.
CREATE FUNCTION eventlog_private.most_partitions() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'SELECT 1200';

-- Creates all partitions from now until now plus the log's premake.
CREATE FUNCTION eventlog_private.make_partitions() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_partitions constant integer := eventlog_private.most_partitions();
    config eventlog.log_config;
    at     timestamptz := now();
    until  timestamptz;
    wanted bigint;
BEGIN
    SELECT * INTO STRICT config FROM eventlog.log_config;
    until := now() + config.premake;
    wanted := EXTRACT(epoch FROM until - at) / EXTRACT(epoch FROM config.partition_interval);
    IF wanted > most_partitions THEN
        RAISE EXCEPTION 'premake % needs % partitions of %, limit %', config.premake, wanted,
                config.partition_interval, most_partitions
            USING ERRCODE = 'program_limit_exceeded',
                  HINT = 'choose a shorter premake or a longer partition_interval';
    END IF;
    WHILE at <= until LOOP
        PERFORM eventlog_private.make_partition_within(at, NULL);
        at := (SELECT p.until_at FROM eventlog._covering_partition(at) p);
    END LOOP;
END
$$;

-- Returns the time until which partitions reach from now without a gap, or null if there is none for now.
CREATE FUNCTION eventlog._covered_until() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT min(g.until_at)
      FROM (SELECT p.until_at, lead(p.from_at) OVER (ORDER BY p.from_at) AS next_at, min(p.from_at) OVER () AS first_at
              FROM eventlog._partitions p WHERE p.until_at > now()) g
     WHERE g.next_at IS DISTINCT FROM g.until_at AND g.first_at <= now()
$$;
