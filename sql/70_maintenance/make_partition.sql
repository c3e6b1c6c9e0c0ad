-- Phase "make partition": creates partitions ahead of the clock.

-- Lists the partitions that are missing from now until premake.
CREATE FUNCTION eventlog_private.missing_partitions() RETURNS TABLE (from_at timestamptz, until_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    step     interval;
    horizon  timestamptz;
    -- The start of the next existing partition, or the horizon: the gap before it is to be filled.
    next_at  timestamptz;
    reached  timestamptz := now();
    floor_at timestamptz := '-infinity';
    is_there record;
BEGIN
    SELECT c.partition_interval, now() + c.premake INTO STRICT step, horizon FROM eventlog.log_config c;
    FOR is_there IN
        SELECT p.from_at, p.until_at FROM eventlog._partitions p
         UNION ALL SELECT 'infinity', 'infinity'
         ORDER BY 1
    LOOP
        next_at := is_there.from_at;
        WHILE reached < next_at AND reached <= horizon LOOP
            SELECT greatest(s.from_at, floor_at), least(s.until_at, next_at) INTO from_at, until_at
              FROM eventlog_private.partition_span(reached, step) s;
            RETURN NEXT;
            floor_at := until_at;
            reached := until_at;
        END LOOP;
        floor_at := is_there.until_at;
        reached := greatest(reached, is_there.until_at);
    END LOOP;
END
$$;

CREATE FUNCTION eventlog_private.due_make_partition(counted_until timestamptz) RETURNS TABLE (task text, description text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT m.from_at::text, format('make the partition of %s until %s', m.from_at, m.until_at)
      FROM eventlog_private.missing_partitions() m
$$;

CREATE FUNCTION eventlog_private.do_make_partition(task text, OUT action text, OUT rows bigint, OUT is_more boolean, OUT failure text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._make_partition(task::timestamptz);
    action := format('made the partition of %s', task);
END
$$;
