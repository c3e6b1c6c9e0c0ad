-- Report: how many go through the steps of a funnel.

-- Goes through the events of each actor in order of time: a step counts from the first event after the
-- previous step, beginning with the actor's first event of the first step. Nested loops are ruled out: the
-- planner does not know how many events each actor has, and they would take the square of that.
CREATE FUNCTION eventlog.funnel(
    steps     text[],
    within    interval    DEFAULT '7 days',
    by        text        DEFAULT 'actor',
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL,
    filters   jsonb       DEFAULT NULL,
    breakdown text        DEFAULT NULL,
    top       integer     DEFAULT 10,
    any_attempt boolean   DEFAULT true
) RETURNS TABLE (step integer, name text, reached bigint, conversion numeric, conversion_from_previous numeric,
                 median_seconds numeric, is_sampled boolean, breakdown_value text, is_others boolean, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_nestloop = off
AS $$
#variable_conflict use_column
DECLARE
    most_steps constant integer := 20;
    tenant  uuid := eventlog._report_tenant(funnel.tenant_id);
    who     text;
    reached_steps text;
BEGIN
    PERFORM eventlog._check_span(since, until);
    -- As a list from 1, whatever dimensions and bounds the argument has.
    steps := ARRAY(SELECT s.name FROM unnest(steps) WITH ORDINALITY AS s (name, place) ORDER BY s.place);
    IF cardinality(steps) NOT BETWEEN 1 AND most_steps OR array_position(steps, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a funnel must have 1 to % steps, got %', most_steps, cardinality(steps)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'names of events without null, such as ''{conversation_started,message_sent}''';
    END IF;
    PERFORM eventlog._check_names(steps);
    PERFORM eventlog._check_within(within);
    IF by IS NULL THEN
        RAISE EXCEPTION 'by must not be null'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'actor, subject or a key of the payload';
    END IF;
    who := CASE by WHEN 'actor' THEN 'nullif(e.actor, '''')' WHEN 'subject' THEN 'e.subject' ELSE format('e.data ->> %L', by) END;
    -- One join per step: the first event of the step that is not before the previous one.
    SELECT string_agg(format(
               ', s%1$s AS (SELECT DISTINCT ON (p.who) p.who, p.began, p.at AS previous_at, e.at, e.id, p.is_sampled OR e.is_sampled AS is_sampled
                              FROM s%2$s p
                              JOIN event e ON e.who = p.who AND e.name = ($1)[%1$s]
                                          AND (e.at, e.id) > (p.at, p.id) AND e.at < p.began + $2
                             ORDER BY p.who, e.at, e.id)', k, k - 1), '' ORDER BY k)
      INTO reached_steps FROM generate_series(2, cardinality(steps)) AS k;
    RETURN QUERY EXECUTE format($sql$
        WITH event AS MATERIALIZED (
            SELECT %1$s AS who, e.name, eventlog._happened_at(e.occurred_at, e.created_at) AS at, e.id, e.created_at,
                   coalesce(e.weight, 1) <> 1 AS is_sampled
              FROM eventlog.events e
             WHERE e.tenant_id = $3 AND e.name = ANY ($1) AND e.created_at >= $4 AND e.created_at < $6 AND %1$s IS NOT NULL
               AND eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL
        ), s1 AS (
            SELECT DISTINCT ON (e.who) e.who, e.at AS began, NULL::timestamptz AS previous_at, e.at, e.id, e.is_sampled
              FROM event e WHERE e.name = ($1)[1] AND e.created_at < $5 ORDER BY e.who, e.at, e.id
        ) %2$s, counted AS (%3$s)
        SELECT c.step, ($1)[c.step], c.reached,
               round(c.reached / nullif(first_value(c.reached) OVER (ORDER BY c.step), 0)::numeric, 4),
               round(c.reached / nullif(lag(c.reached) OVER (ORDER BY c.step), 0)::numeric, 4),
               round(c.seconds::numeric, 3), coalesce(c.is_sampled, false), NULL::text, false, $4
          FROM counted c ORDER BY c.step$sql$,
        who, coalesce(reached_steps, ''),
        (SELECT string_agg(format('SELECT %1$s AS step, count(*) AS reached,
                                          percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM s.at) - extract(epoch FROM s.previous_at)) AS seconds,
                                          bool_or(s.is_sampled) AS is_sampled
                                     FROM s%1$s s', k), ' UNION ALL ')
           FROM generate_series(1, cardinality(steps)) AS k))
      USING steps, within, tenant, since, until, until + within;
END
$$;

COMMENT ON FUNCTION eventlog.funnel(text[], interval, text, timestamptz, timestamptz, uuid, jsonb, text, integer, boolean) IS
'Of the actors (or subjects, or values of a payload key, see by) with the first event in a span (default the last 30 days): how many reached each next step in order, within (default 7 days) of the first, and the median time since the previous step. Order and time by occurred_at, if given. Reads raw rows. is_sampled: some of these events were sampled; only the kept ones count.';
