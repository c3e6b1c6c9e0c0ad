-- Partitions of events, by created_at in UTC.

CREATE VIEW eventlog._partitions AS
SELECT c.oid                                   AS partition_oid,
       c.relname                               AS partition_name,
       COALESCE((pg_catalog.regexp_match(b.bound, 'FROM \(''([^'']+)''\)'))[1], '-infinity')::timestamptz AS from_at,
       COALESCE((pg_catalog.regexp_match(b.bound, 'TO \(''([^'']+)''\)'))[1], 'infinity')::timestamptz    AS until_at
  FROM pg_catalog.pg_inherits i
  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.inhrelid
 CROSS JOIN LATERAL pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS b (bound)
 WHERE i.inhparent OPERATOR(pg_catalog.=) pg_catalog.to_regclass('eventlog.events')
   AND NOT i.inhdetachpending
   AND b.bound OPERATOR(pg_catalog.<>) 'DEFAULT';

COMMENT ON VIEW eventlog._partitions IS 'Partitions of events and the span of created_at that each holds.';

CREATE FUNCTION eventlog._covering_partition(at timestamptz)
RETURNS TABLE (from_at timestamptz, until_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.from_at, p.until_at FROM eventlog._partitions p WHERE p.from_at <= at AND at < p.until_at
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

-- Bounds the waits that follow by eventlog.lock_timeout, unless the session's own lock_timeout is
-- shorter; returns the latter, to be set again. (After an error PostgreSQL sets it again itself.)
CREATE FUNCTION eventlog_private.bound_lock_timeout() RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former     text    := current_setting('lock_timeout');
    former_ms  integer := (SELECT setting FROM pg_settings WHERE name = 'lock_timeout');
    -- Not a setting yet where the library is not loaded yet.
    longest_ms integer := coalesce((SELECT setting FROM pg_settings WHERE name = 'eventlog.lock_timeout')::integer, 5000);
BEGIN
    PERFORM set_config('lock_timeout',
        (CASE WHEN former_ms BETWEEN 1 AND longest_ms THEN former_ms ELSE longest_ms END)::text, true);
    RETURN former;
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
    PERFORM pg_advisory_xact_lock(hashtextextended('eventlog partitions', 0));
    PERFORM set_config('lock_timeout', former, true);
END
$$;

-- Makes the partition that holds `at`, as the current user, who must own events. Nothing to do
-- where there is one. The new table is filled and closed before it is attached, which locks events
-- against other DDL only, not against readers and writers.
CREATE FUNCTION eventlog._make_partition(at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former    text;
    first_at  timestamptz;
    end_at    timestamptz;
    wanted    text;
    partition text;
    tries     integer := 0;
    is_open   boolean;
BEGIN
    PERFORM eventlog._lock_partitions();
    former := eventlog_private.bound_lock_timeout();

    IF NOT EXISTS (SELECT FROM eventlog._covering_partition(_make_partition.at)) THEN
        SELECT s.from_at, s.until_at INTO first_at, end_at FROM eventlog_private.missing_span(_make_partition.at) s;

        wanted := 'events_p' || to_char(first_at AT TIME ZONE 'UTC',
            CASE WHEN date_trunc('day', first_at, 'UTC') = first_at THEN 'YYYYMMDD' ELSE 'YYYYMMDD_HH24MI' END);
        partition := wanted;
        WHILE to_regclass(format('eventlog.%I', partition)) IS NOT NULL LOOP
            -- A partition that was detached and kept has the name.
            tries := tries + 1;
            partition := wanted || '_' || tries;
        END LOOP;

        EXECUTE format('CREATE TABLE eventlog.%I (LIKE eventlog.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                       partition);
        -- A superuser's import makes partitions too, and upkeep is the owner's.
        EXECUTE format('ALTER TABLE eventlog.%I OWNER TO %s', partition,
            (SELECT relowner::regrole FROM pg_class WHERE oid = 'eventlog.events'::regclass));
        PERFORM eventlog_private.close(format('eventlog.%I', partition)::regclass);
        PERFORM eventlog_private.ensure_append_only(format('eventlog.%I', partition)::regclass);
        is_open := end_at > eventlog_private.announced_watermark();
        IF NOT is_open OR eventlog_private.is_subscriber() THEN
            PERFORM eventlog_private.ensure_late_event(format('eventlog.%I', partition)::regclass, is_open);
        END IF;
        EXECUTE format('COMMENT ON TABLE eventlog.%I IS %L', partition,
            format('Events created from %s until %s, UTC.', first_at AT TIME ZONE 'UTC', end_at AT TIME ZONE 'UTC'));
        EXECUTE format('ALTER TABLE eventlog.events ATTACH PARTITION eventlog.%I FOR VALUES FROM (%L) TO (%L)',
                       partition, first_at, end_at);
    END IF;

    PERFORM set_config('lock_timeout', former, true);
END
$$;

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
        PERFORM eventlog._make_partition(at);
        at := (SELECT p.until_at FROM eventlog._covering_partition(at) p);
    END LOOP;
END
$$;
