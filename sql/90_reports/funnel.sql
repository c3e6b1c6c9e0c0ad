-- Report: how many go through the steps of a funnel.

-- Returns who goes through a funnel, as an SQL expression over a row e of events.
CREATE FUNCTION eventlog._who_of(by text, tenant uuid, names text[]) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    key text := CASE WHEN by ~ '^data\..' THEN substr(by, 6) WHEN by NOT IN ('actor', 'subject') THEN by END;
    who text;
BEGIN
    IF by IS NULL THEN
        RAISE EXCEPTION 'by must not be null'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'actor, subject or data.KEY, a key of the payload';
    END IF;
    IF key IS NOT NULL THEN
        PERFORM eventlog._check_keys(ARRAY[key], names);
    END IF;
    who := CASE WHEN key IS NULL THEN format('nullif(e.%I, %L)', by, '') ELSE format('(e.data ->> %L)', key) END;
    -- The actors of different tenants are different actors.
    RETURN CASE WHEN tenant = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN format('(e.tenant_id || '' '' || %s)', who) ELSE who END;
END
$$;

-- Goes through a funnel, and returns JSON: counts by value and step, or those who left at a step.
CREATE FUNCTION eventlog._run_funnel(tenant uuid, steps text[], within interval, by text, since timestamptz, until timestamptz,
                                     filters jsonb, breakdown text, top integer, any_attempt boolean, step integer) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $$
DECLARE
    most_steps constant integer := 20;
    who    text;
    answer text;
BEGIN
    PERFORM eventlog._check_span(since, until);
    IF cardinality(steps) NOT BETWEEN 1 AND most_steps OR array_position(steps, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a funnel must have 1 to % steps, got %', most_steps, cardinality(steps)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'names of events without null, such as ''{conversation_started,message_sent}''';
    END IF;
    steps := eventlog._check_names(steps);
    PERFORM eventlog._check_within(within);
    who := eventlog._who_of(by, tenant, steps);
    EXECUTE format($sql$
        SELECT eventlog._funnel(%1$s, CASE e.name %2$s END, eventlog._happened_at(e.occurred_at, e.created_at), e.id,
                                CASE WHEN e.name = %3$L AND e.created_at < $5
                                     THEN eventlog._happened_at(e.occurred_at, e.created_at) + $6 END,
                                CASE WHEN e.name = %3$L THEN %4$s END, coalesce(e.weight, 1) <> 1, $7, $8, $9, $10)
          FROM eventlog.events e
         WHERE eventlog._is_tenant($1, e.tenant_id) AND e.name = ANY ($2) AND e.created_at >= $3 AND e.created_at < $4
           AND %1$s IS NOT NULL AND (%5$s)
           AND eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL$sql$,
        who,
        -- A bit for each step of a name.
        (SELECT string_agg(format('WHEN %L THEN %s', s.name, s.bits), ' ')
           FROM (SELECT n.name, sum(1 << (n.place::integer - 1)) AS bits
                   FROM unnest(steps) WITH ORDINALITY AS n (name, place) GROUP BY n.name) s),
        steps[1], coalesce(eventlog._breakdown_expression(breakdown, steps[:1]), 'NULL'), eventlog._filter_condition(filters, steps))
       INTO answer
      USING tenant, steps, since, until + within, until, within, cardinality(steps), any_attempt, top, step;
    RETURN coalesce(answer, '[]');
END
$$;

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
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(funnel.tenant_id);
    groups jsonb;
BEGIN
    PERFORM eventlog._check_top(top);
    -- As a list from 1, whatever dimensions and bounds the argument has.
    steps := ARRAY(SELECT s.name FROM unnest(steps) WITH ORDINALITY AS s (name, place) ORDER BY s.place);
    groups := eventlog._run_funnel(tenant, steps, within, by, since, until, filters, breakdown, top, coalesce(any_attempt, true), 0);
    steps := ARRAY(SELECT eventlog._name_of(s.name) FROM unnest(steps) WITH ORDINALITY AS s (name, place) ORDER BY s.place);
    -- Without a breakdown there is a row for each step, even if nobody is in it.
    IF breakdown IS NULL AND groups = '[]' THEN
        groups := '[{"is_others": false, "sampled": 0}]';
    END IF;
    RETURN QUERY
    SELECT c.step, steps[c.step], c.reached,
           round(c.reached / nullif(first_value(c.reached) OVER each_group, 0)::numeric, 4),
           round(c.reached / nullif(lag(c.reached) OVER each_group, 0)::numeric, 4),
           round(c.seconds, 3), c.is_sampled, c.value, c.is_others, kept.since
      FROM (SELECT g.place, s.step, g.item ->> 'value' AS value, (g.item -> 'is_others')::boolean AS is_others,
                   coalesce((g.item -> 'reached' -> (s.step - 1))::bigint, 0) AS reached,
                   (g.item -> 'seconds' ->> (s.step - 1))::numeric AS seconds,
                   (g.item -> 'sampled')::integer & (1 << (s.step - 1)) <> 0 AS is_sampled
              FROM jsonb_array_elements(groups) WITH ORDINALITY AS g (item, place)
             CROSS JOIN generate_series(1, cardinality(steps)) AS s (step)) c
     CROSS JOIN eventlog._covered_since(tenant, since, until, steps, filters) AS kept (since)
    WINDOW each_group AS (PARTITION BY c.place ORDER BY c.step)
     ORDER BY c.place, c.step;
END
$$;

COMMENT ON FUNCTION eventlog.funnel(text[], interval, text, timestamptz, timestamptz, uuid, jsonb, text, integer, boolean) IS
'Of the actors (or subjects, or values of a payload key, data.KEY, see by) with an event of the first step in a span (default the last 30 days): how many reached each next step in order, within (default 7 days) of the first. Any attempt counts: each is taken at the furthest step that one of its starts led to; any_attempt => false looks at the first start only. median_seconds is the time since the previous step, of the first attempt that got furthest. filters apply to the events of all steps; a breakdown is by the value of the event that the attempt began with, for the top values (default 10) and all others together. Order and time by occurred_at, if given. Reads raw rows, which are complete from covered_since on. is_sampled: some of these events were sampled; only the kept ones count.';
