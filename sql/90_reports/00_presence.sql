-- The days of a time zone on which actors were active: from the rollup, whose quarter-hours of UTC make the
-- days of every zone, from raw rows above the watermark, and from late events; or, where filters ask for what
-- no rollup has, from raw rows alone.

-- Returns today in a time zone. PostgreSQL raises 22023 for an unknown zone.
CREATE FUNCTION eventlog._today(time_zone text) RETURNS date
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF time_zone IS NULL THEN
        RAISE EXCEPTION 'time_zone must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    RETURN (now() AT TIME ZONE time_zone)::date;
END
$$;

-- Returns the starts of the days of a span in a time zone, and its end.
CREATE FUNCTION eventlog._day_starts(first_day date, end_day date, time_zone text) RETURNS timestamptz[]
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
    SELECT ARRAY(SELECT eventlog._day_start(first_day + n, time_zone) FROM generate_series(0, end_day - first_day) AS n ORDER BY n)
$$;

-- Returns what filters ask for: names (null for all), and whether anything else, which raw rows must answer.
CREATE FUNCTION eventlog._names_in(filters jsonb, asked text[], OUT names text[], OUT is_raw boolean)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part record;
BEGIN
    names := asked;
    is_raw := false;
    FOR part IN SELECT p.field, p.operator, p.operand FROM eventlog._filter_parts(filters) p LOOP
        IF part.field = 'name' AND part.operator = 'is' AND NOT jsonb_path_exists(part.operand, '$[*] ? (@ == null)') THEN
            names := ARRAY(SELECT n FROM unnest(eventlog._texts_of(part.operand)) AS n WHERE names IS NULL OR n = ANY (names));
        ELSE
            is_raw := true;
        END IF;
    END LOOP;
END
$$;

-- Returns the presence of actors (extension/src/report/presence.rs) in the days of `day_starts`, whose dates
-- begin with first_day. The days are those of events of returning_names; an actor's first day is that of the
-- first event of first_names, in the span or ever. Names are null for all and empty for none. `condition`, if
-- given, is what raw rows must meet: for a first event ever, the events that show a return only.
CREATE FUNCTION eventlog._presence_of(tenant uuid, first_day date, day_starts timestamptz[], first_names text[],
                                      returning_names text[], first_ever boolean, condition text) RETURNS bytea
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_seqscan = off
SET jit = off
SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
    since     timestamptz := day_starts[1];
    until     timestamptz := day_starts[cardinality(day_starts)];
    watermark timestamptz := (SELECT s.rolled_until FROM eventlog.rollup_state s);
    -- The first event ever may be long before the span.
    earliest  timestamptz := CASE WHEN first_ever THEN '-infinity' ELSE since END;
    late      record;
    -- Days of UTC are bits of the rollup.
    is_utc    boolean := NOT EXISTS (SELECT FROM unnest(day_starts) AS d WHERE extract(epoch FROM d) % 86400 <> 0);
    -- The actors of different tenants are different actors.
    who       text := CASE WHEN tenant = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN '%1$s.tenant_id || '' '' || %1$s.actor'
                           ELSE '%1$s.actor' END;
    is_first  text := CASE WHEN first_names IS NULL THEN 'true' ELSE format('e.name = ANY (%L::text[])', first_names) END;
    is_return text := CASE WHEN returning_names IS NULL THEN 'true' ELSE format('e.name = ANY (%L::text[])', returning_names) END;
    countable text := '(eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL)';
    months    text := 'SELECT ' || format(who, 'a') || ', a.month, a.days, ' || CASE WHEN is_utc THEN 'NULL::bytea' ELSE 'a.quarters' END
                      || ', NULL::timestamptz, %2$L::boolean, %3$L::boolean
                          FROM eventlog.monthly_actors a
                         WHERE eventlog._is_tenant($1, a.tenant_id) AND a.name = ANY (%1$L::text[]) AND a.actor <> ''''
                           AND a.month >= date_trunc(''month'', $2)::date AND a.month < $3';
    instants  text := 'SELECT ' || format(who, 'e') || ', NULL::date, NULL::integer, NULL::bytea, e.created_at, %1$s, %2$s ';
    sources   text[] := '{}';
    presence  bytea;
BEGIN
    SELECT l.late_since, l.late_until INTO late FROM eventlog._late_span(tenant, earliest, least(until, watermark)) l;
    IF first_ever THEN
        sources := sources || format('SELECT %s, NULL::date, NULL::integer, NULL::bytea, a.first_at, true, false
                                        FROM eventlog.first_events a
                                       WHERE eventlog._is_tenant($1, a.tenant_id) AND a.name = ANY (%L::text[])',
                                     format(who, 'a'), coalesce(array_remove(first_names, ''), '{""}'));
    END IF;
    IF condition IS NULL THEN
        IF first_ever OR first_names IS DISTINCT FROM returning_names THEN
            sources := sources || format(months, coalesce(array_remove(returning_names, ''), '{""}'), false, true);
        END IF;
        IF NOT first_ever AND first_names <> '{}' IS NOT FALSE THEN
            sources := sources || format(months, coalesce(array_remove(first_names, ''), '{""}'), true,
                                         first_names IS NOT DISTINCT FROM returning_names);
        END IF;
    ELSE
        sources := sources || (format(instants, CASE WHEN first_ever THEN 'false' ELSE is_first END, is_return)
            || format('FROM eventlog.events e
                       WHERE eventlog._is_tenant($1, e.tenant_id) AND e.created_at >= $2 AND e.created_at < $3
                         AND e.actor <> '''' AND (%s OR %s) AND (%s) AND %s', is_first, is_return, condition, countable));
    END IF;
    IF condition IS NULL OR first_ever THEN
        is_return := CASE WHEN condition IS NULL THEN is_return ELSE 'false' END;
        sources := sources || (format(instants, is_first, is_return)
            || format('FROM eventlog.events e
                       WHERE eventlog._is_tenant($1, e.tenant_id) AND e.created_at >= $4 AND e.created_at < $3
                         AND e.actor <> '''' AND (%s OR %s) AND %s', is_first, is_return, countable));
        sources := sources || (format(instants, is_first, is_return)
            || format('FROM eventlog.late_events l
                       JOIN eventlog.events e ON e.id = l.id AND e.created_at = l.created_at
                      WHERE (eventlog._is_tenant($1, l.tenant_id) OR l.tenant_id IS NULL) AND eventlog._is_tenant($1, e.tenant_id)
                        AND e.created_at >= $5 AND e.created_at < $6 AND e.actor <> '''' AND (%s OR %s) AND %s',
                      is_first, is_return, countable));
    END IF;
    EXECUTE format('SELECT eventlog._presence(p.actor, p.month, p.days, p.quarters, p.at, p.is_first, p.is_return, $7, $8)
                      FROM (%s) p (actor, month, days, quarters, at, is_first, is_return)', array_to_string(sources, ' UNION ALL '))
       INTO presence
      USING tenant, since, until, greatest(earliest, watermark), late.late_since, late.late_until, first_day, day_starts;
    RETURN coalesce(presence, '');
END
$$;

-- Returns the days in UTC of a span that have sampled events.
CREATE FUNCTION eventlog._sampled_days(tenant uuid, since timestamptz, until timestamptz, names text[]) RETURNS date[]
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_seqscan = off
SET jit = off
SET max_parallel_workers_per_gather = 0
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    watermark timestamptz := (SELECT s.rolled_until FROM eventlog.rollup_state s);
    raw_since timestamptz := greatest(since, watermark);
    late      record;
BEGIN
    SELECT l.late_since, l.late_until INTO late FROM eventlog._late_span(tenant, since, least(until, watermark)) l;
    RETURN ARRAY(
        SELECT d.day FROM eventlog.daily_counts d
         WHERE eventlog._is_tenant(tenant, d.tenant_id) AND d.day >= since::date AND d.day < until
           AND (names IS NULL OR d.name = ANY (names)) AND d.weighted_events <> d.events
         UNION
        SELECT e.created_at::date FROM eventlog.events e
         WHERE eventlog._is_tenant(tenant, e.tenant_id) AND e.created_at >= raw_since AND e.created_at < until
           AND (names IS NULL OR e.name = ANY (names)) AND e.weight <> 1
           AND eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL
         UNION
        SELECT e.created_at::date FROM eventlog.late_events l
          JOIN eventlog.events e ON e.id = l.id AND e.created_at = l.created_at
         WHERE (eventlog._is_tenant(tenant, l.tenant_id) OR l.tenant_id IS NULL) AND eventlog._is_tenant(tenant, e.tenant_id)
           AND e.created_at >= late.late_since AND e.created_at < late.late_until
           AND (names IS NULL OR e.name = ANY (names)) AND e.weight <> 1
           AND eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL);
END
$$;
