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

-- Returns how to answer for filters: the names that they leave (null for all), and a source: "names", the
-- rollup by name, "key", the one by a payload key that is counted for all of these names since then, or "rows".
-- `condition` is over a row e of events, `of_values` over one of the rollup by key.
CREATE FUNCTION eventlog._presence_source(filters jsonb, asked text[], since timestamptz, OUT names text[], OUT source text, OUT key text,
                                          OUT condition text, OUT of_values text)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part    record;
    matches boolean;
BEGIN
    condition := eventlog._filter_sql(filters);
    names := asked;
    source := 'names';
    FOR part IN SELECT p.field, p.operator, p.operand FROM eventlog._filter_parts(filters) p LOOP
        IF part.field = 'name' AND part.operator = 'is' AND NOT jsonb_path_exists(part.operand, '$[*] ? (@ == null)') THEN
            names := ARRAY(SELECT n FROM unnest(eventlog._texts_of(part.operand)) AS n WHERE names IS NULL OR n = ANY (names));
        ELSE
            source := 'rows';
        END IF;
    END LOOP;
    IF source = 'rows' THEN
        key := eventlog._counted_key(filters, NULL, names);
        IF key IS NOT NULL AND names IS NOT NULL
           AND NOT EXISTS (SELECT FROM unnest(names) AS n
                            WHERE NOT EXISTS (SELECT FROM eventlog.counted_keys c
                                               WHERE c.name = n AND c.key = _presence_source.key AND c.since <= _presence_source.since)) THEN
            of_values := eventlog._filter_sql(filters, key);
            -- The rollup lacks events without the key.
            EXECUTE format('SELECT count(*) > 0 FROM (SELECT NULL::text AS value, n AS name FROM unnest($1) AS n) e WHERE %s', of_values)
               INTO matches USING names;
            source := CASE WHEN matches THEN 'rows' ELSE 'key' END;
        END IF;
    END IF;
    IF source = 'names' THEN
        condition := 'true';
    END IF;
END
$$;

-- Returns the presence of actors (extension/src/report/presence.rs) in the days of `day_starts`, whose dates
-- begin with first_day. The days are those of events of `asked`, which _presence_source() made; an actor's first
-- day is that of the first event of first_names: in the span, of those that meet the condition, or ever. Names
-- are null for all and empty for none.
CREATE FUNCTION eventlog._presence_of(tenant uuid, first_day date, day_starts timestamptz[], first_names text[], asked record,
                                      first_ever boolean) RETURNS bytea
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
    who       text := CASE WHEN tenant = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN 'e.tenant_id || '' '' || e.actor' ELSE 'e.actor' END;
    of_first  text := CASE WHEN first_names IS NULL THEN 'true' ELSE format('e.name = ANY (%L::text[])', first_names) END;
    of_return text := CASE WHEN asked.names IS NULL THEN 'true' ELSE format('e.name = ANY (%L::text[])', asked.names) END;
    is_first  text := CASE WHEN first_ever OR asked.condition = 'true' THEN of_first ELSE format('(%s AND (%s))', of_first, asked.condition) END;
    is_return text := CASE WHEN asked.condition = 'true' THEN of_return ELSE format('(%s AND (%s))', of_return, asked.condition) END;
    sources   text[] := '{}';
    presence  bytea;
BEGIN
    SELECT l.late_since, l.late_until INTO late FROM eventlog._late_span(tenant, earliest, least(until, watermark)) l;
    IF first_ever THEN
        sources := sources || format('SELECT %s, NULL::date, NULL::integer, NULL::bytea, e.first_at, true, false
                                        FROM eventlog.first_events e
                                       WHERE eventlog._is_tenant($1, e.tenant_id) AND e.name = ANY (%L::text[])',
                                     who, coalesce(array_remove(first_names, ''), '{""}'));
    END IF;
    IF asked.source = 'rows' THEN
        sources := sources || eventlog._instants_query(who, CASE WHEN first_ever THEN 'false' ELSE is_first END, is_return, '', '$2', '$3');
        -- Below only the first events ever.
        is_return := 'false';
    ELSE
        IF first_ever OR first_names IS DISTINCT FROM asked.names THEN
            sources := sources || eventlog._months_query(who, asked, is_utc, false, true, asked.names);
        END IF;
        IF NOT first_ever AND first_names <> '{}' IS NOT FALSE THEN
            sources := sources || eventlog._months_query(who, asked, is_utc, true, first_names IS NOT DISTINCT FROM asked.names, first_names);
        END IF;
    END IF;
    IF first_ever OR asked.source <> 'rows' THEN
        sources := sources || eventlog._instants_query(who, is_first, is_return, '', '$4', '$3')
                           || eventlog._instants_query(who, is_first, is_return,
            'JOIN eventlog.late_events l ON l.id = e.id AND l.created_at = e.created_at
                                        AND (eventlog._is_tenant($1, l.tenant_id) OR l.tenant_id IS NULL)', '$5', '$6');
    END IF;
    EXECUTE format('SELECT eventlog._presence(p.actor, p.month, p.days, p.quarters, p.at, p.is_first, p.is_return, $7, $8)
                      FROM (%s) p (actor, month, days, quarters, at, is_first, is_return)', array_to_string(sources, ' UNION ALL '))
       INTO presence
      USING tenant, since, until, greatest(earliest, watermark), late.late_since, late.late_until, first_day, day_starts;
    RETURN coalesce(presence, '');
END
$$;

-- Returns the query of _presence_of() for months of a rollup.
CREATE FUNCTION eventlog._months_query(who text, asked record, is_utc boolean, is_first boolean, is_return boolean, names text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN format('SELECT %s, e.month, e.days, %s, NULL::timestamptz, %L::boolean, %L::boolean
                     FROM %s
                    WHERE eventlog._is_tenant($1, e.tenant_id) AND e.name = ANY (%L::text[]) AND e.actor <> %L
                      AND e.month >= date_trunc(%L, $2)::date AND e.month < $3',
                  who, CASE WHEN is_utc THEN 'NULL::bytea' ELSE 'e.quarters' END, is_first, is_return,
                  CASE asked.source WHEN 'key' THEN format('(SELECT * FROM eventlog.monthly_key_actors e WHERE e.key = %L AND (%s)) e',
                                                           asked.key, asked.of_values)
                       ELSE 'eventlog.monthly_actors e' END,
                  coalesce(array_remove(names, ''), '{""}'), '', 'month');
END
$$;

-- Returns the query of _presence_of() for events of a span.
CREATE FUNCTION eventlog._instants_query(who text, is_first text, is_return text, more text, since text, until text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('SELECT %1$s, NULL::date, NULL::integer, NULL::bytea, e.created_at, %2$s, %3$s
                     FROM eventlog.events e %4$s
                    WHERE eventlog._is_tenant($1, e.tenant_id) AND e.created_at >= %5$s AND e.created_at < %6$s AND e.actor <> %7$L
                      AND (%2$s OR %3$s)
                      AND eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL',
                  who, is_first, is_return, more, since, until, '')
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
