-- Reports of a product's own questions. Pairs and durations go by occurred_at, where the client told
-- it, since created_at is one value for a whole transaction. Those that pair events (ingestion_stats,
-- checkout_conversion, funnel) count rows: a sample of a pair's two names is no sample of pairs.

CREATE FUNCTION eventlog._check_within(within interval) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF within IS NULL OR within <= '0'::interval THEN
        RAISE EXCEPTION 'within is %, must be more than nothing', coalesce(within::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''7 days''';
    END IF;
    IF within > '3700 days'::interval THEN
        RAISE EXCEPTION 'within is %, limit 3700 days', within
            USING ERRCODE = 'program_limit_exceeded', HINT = 'such as ''7 days''';
    END IF;
END
$$;

-- When an event happened: by the client's clock where it told a time that a calendar has, else by the
-- server's. Differences of others are more than an interval holds.
CREATE FUNCTION eventlog._happened_at(occurred_at timestamptz, created_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN occurred_at >= timestamptz '0001-01-01 00:00:00+00' AND occurred_at < timestamptz '10000-01-01 00:00:00+00'
                THEN occurred_at ELSE created_at END
$$;

-- A number of things in a payload, to be added up: what a count can be, to nine digits.
CREATE FUNCTION eventlog._quantity(data jsonb, key text) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN jsonb_typeof(data -> key) = 'number'
                THEN CASE WHEN (data -> key)::numeric BETWEEN 0 AND 1e15 THEN trim_scale(round((data -> key)::numeric, 9)) END END
$$;

CREATE FUNCTION eventlog.escalation_rate(
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (conversations bigint, escalated bigint, escalation_rate numeric, deflected bigint, deflection_rate numeric)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(escalation_rate.tenant_id);
BEGIN
    PERFORM eventlog._check_span(since, until);
    RETURN QUERY
    SELECT n.conversations, n.escalated, round(n.escalated / nullif(n.conversations, 0)::numeric, 4),
           greatest(n.conversations - n.escalated, 0),
           round(greatest(n.conversations - n.escalated, 0) / nullif(n.conversations, 0)::numeric, 4)
      FROM (SELECT (SELECT coalesce(eventlog._whole(sum(c.weighted_events)), 0)
                      FROM eventlog._counted(tenant, since, until, '{conversation_started}', '1 day') c) AS conversations,
                   (SELECT coalesce(eventlog._whole(sum(d.weight)), 0)
                      FROM (SELECT DISTINCT ON (coalesce(e.data ->> 'conversationId', e.id::text)) e.weight
                              FROM eventlog._measured_events() e
                             WHERE e.tenant_id = tenant AND e.name = 'escalation_triggered'
                               AND e.created_at >= since AND e.created_at < until
                             ORDER BY coalesce(e.data ->> 'conversationId', e.id::text), e.weight DESC) d) AS escalated) n;
END
$$;

COMMENT ON FUNCTION eventlog.escalation_rate(timestamptz, timestamptz, uuid) IS
'Conversations started in a span (default the last 30 days), how many conversations were escalated in it, each counted once, and how many were deflected (the others). A conversation may have started before the span that it is escalated in. By created_at.';

CREATE FUNCTION eventlog.deflection_rate(
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL
) RETURNS numeric
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.deflection_rate FROM eventlog.escalation_rate(since, until, tenant_id) r
$$;

COMMENT ON FUNCTION eventlog.deflection_rate(timestamptz, timestamptz, uuid) IS
'The share of conversations that were not escalated, 0 to 1; NULL without conversations. As escalation_rate.';

CREATE FUNCTION eventlog.ingestion_stats(
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (source_type text, started bigint, completed bigint, failed bigint, unfinished bigint, docs numeric,
                 chunks numeric, docs_per_minute numeric, median_seconds numeric, p95_seconds numeric,
                 is_sampled boolean)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(ingestion_stats.tenant_id);
BEGIN
    PERFORM eventlog._check_span(since, until);
    RETURN QUERY
    WITH step AS (
        SELECT e.data ->> 'sourceType' AS source_type, e.name, e.data, e.weight,
               extract(epoch FROM eventlog._happened_at(e.occurred_at, e.created_at)) AS at,
               lead(e.name) OVER same AS next_name,
               lag(e.name) OVER same AS previous_name,
               lag(extract(epoch FROM eventlog._happened_at(e.occurred_at, e.created_at))) OVER same AS previous_at
          FROM eventlog.events e
         WHERE e.tenant_id = tenant AND e.name IN ('ingest_started', 'ingest_completed', 'ingest_failed')
           AND e.created_at >= since AND e.created_at < until
           AND eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL
        -- One run of a source ends before the next begins.
        WINDOW same AS (PARTITION BY e.data ->> 'sourceType', e.data ->> 'url'
                            ORDER BY eventlog._happened_at(e.occurred_at, e.created_at), e.id)
    ), run AS (
        SELECT s.*, CASE WHEN s.name <> 'ingest_started' AND s.previous_name = 'ingest_started'
                         THEN s.at - s.previous_at END AS seconds
          FROM step s
    )
    SELECT r.source_type,
           count(*) FILTER (WHERE r.name = 'ingest_started'),
           count(*) FILTER (WHERE r.name = 'ingest_completed'),
           count(*) FILTER (WHERE r.name = 'ingest_failed'),
           count(*) FILTER (WHERE r.name = 'ingest_started' AND r.next_name IS DISTINCT FROM 'ingest_completed'
                              AND r.next_name IS DISTINCT FROM 'ingest_failed'),
           sum(eventlog._quantity(r.data, 'docs')) FILTER (WHERE r.name = 'ingest_completed'),
           sum(eventlog._quantity(r.data, 'chunks')) FILTER (WHERE r.name = 'ingest_completed'),
           round(sum(eventlog._quantity(r.data, 'docs')) FILTER (WHERE r.name = 'ingest_completed' AND r.seconds IS NOT NULL)
                 / nullif(sum(r.seconds) FILTER (WHERE r.name = 'ingest_completed'), 0) * 60, 2),
           round(percentile_cont(0.5) WITHIN GROUP (ORDER BY r.seconds) FILTER (WHERE r.name = 'ingest_completed')::numeric, 3),
           round(percentile_cont(0.95) WITHIN GROUP (ORDER BY r.seconds) FILTER (WHERE r.name = 'ingest_completed')::numeric, 3),
           bool_or(coalesce(r.weight, 1) <> 1)
      FROM run r
     GROUP BY r.source_type
     ORDER BY r.source_type;
END
$$;

COMMENT ON FUNCTION eventlog.ingestion_stats(timestamptz, timestamptz, uuid) IS
'Ingestion by type of source in a span (default the last 30 days): each start is paired with the next end of the same source and url; documents, documents per minute of work, and how long it took. Durations by occurred_at, where it was given. is_sampled: a sample was taken of some of these events; what is counted are those it kept.';

CREATE FUNCTION eventlog.plan_changes(
    since     timestamptz DEFAULT now() - interval '90 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (previous_plan text, new_plan text, status text, changes bigint, first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(plan_changes.tenant_id);
BEGIN
    PERFORM eventlog._check_span(since, until);
    RETURN QUERY
    SELECT e.data ->> 'previousPlan', e.data ->> 'newPlan', e.data ->> 'status',
           eventlog._whole(sum(e.weight)), min(e.created_at), max(e.created_at)
      FROM eventlog._measured_events() e
     WHERE e.tenant_id = tenant AND e.name = 'plan_updated' AND e.created_at >= since AND e.created_at < until
     GROUP BY 1, 2, 3
     ORDER BY 4 DESC, 1, 2, 3;
END
$$;

COMMENT ON FUNCTION eventlog.plan_changes(timestamptz, timestamptz, uuid) IS
'Changes of plan in a span (default the last 90 days), by plan before, plan after and status. By created_at.';

CREATE FUNCTION eventlog.quota_friction(
    within    interval    DEFAULT '7 days',
    since     timestamptz DEFAULT now() - interval '90 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (quota_type text, events bigint, days bigint, first_at timestamptz, last_at timestamptz,
                 checkouts_within bigint, checkout_rate numeric, is_sampled boolean)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(quota_friction.tenant_id);
    until_within timestamptz;
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_within(within);
    -- A sum is worked out too late to leave partitions out by.
    until_within := until + within;
    RETURN QUERY
    SELECT q.quota_type, eventlog._whole(sum(q.weight)), count(DISTINCT q.created_at::date), min(q.created_at), max(q.created_at),
           coalesce(eventlog._whole(sum(q.weight) FILTER (WHERE q.is_followed)), 0),
           round((coalesce(sum(q.weight) FILTER (WHERE q.is_followed), 0) / sum(q.weight))::numeric, 4), bool_or(q.weight <> 1)
      FROM (SELECT e.data ->> 'quotaType' AS quota_type, e.created_at, e.weight,
                   EXISTS (SELECT FROM eventlog._measured_events() c
                            WHERE c.tenant_id = tenant AND c.name = 'checkout_completed'
                              AND c.created_at >= since AND c.created_at < until_within
                              AND c.created_at >= e.created_at AND c.created_at < e.created_at + within) AS is_followed
              FROM eventlog._measured_events() e
             WHERE e.tenant_id = tenant AND e.name = 'quota_exceeded' AND e.created_at >= since AND e.created_at < until) q
     GROUP BY q.quota_type
     ORDER BY 2 DESC, 1;
END
$$;

COMMENT ON FUNCTION eventlog.quota_friction(interval, timestamptz, timestamptz, uuid) IS
'How often each quota was hit in a span (default the last 90 days), on how many days in UTC, and how often a checkout followed within (default 7 days). By created_at. is_sampled: a sample was taken of some of these events; what is counted are those it kept.';

CREATE FUNCTION eventlog.checkout_conversion(
    since     timestamptz DEFAULT now() - interval '90 days',
    until     timestamptz DEFAULT now(),
    within    interval    DEFAULT '1 day',
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (plan text, checkouts bigint, converted bigint, conversion numeric, median_seconds numeric,
                 is_sampled boolean)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(checkout_conversion.tenant_id);
    changed_since timestamptz;
    changed_until timestamptz;
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_within(within);
    changed_since := since - within;
    changed_until := until + 2 * within;
    RETURN QUERY
    SELECT c.plan, count(*), count(c.changed_at), round(count(c.changed_at) / count(*)::numeric, 4),
           round(percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM c.changed_at) - extract(epoch FROM c.at))::numeric, 3),
           bool_or(c.weight <> 1)
      FROM (SELECT o.data ->> 'plan' AS plan, o.at, coalesce(o.weight, 1) AS weight,
                   (SELECT min(eventlog._happened_at(u.occurred_at, u.created_at))
                      FROM eventlog.events u
                     WHERE u.tenant_id = tenant AND u.name = 'plan_updated' AND u.data ->> 'newPlan' = o.data ->> 'plan'
                       AND eventlog._uncountable_column(u.name, u.data, u.actor, u.subject, u.created_at, u.weight) IS NULL
                       AND u.created_at >= changed_since AND u.created_at < changed_until
                       AND u.created_at >= o.created_at - within AND u.created_at < o.created_at + 2 * within
                       AND eventlog._happened_at(u.occurred_at, u.created_at) >= o.at
                       AND eventlog._happened_at(u.occurred_at, u.created_at) < o.at + within) AS changed_at
              FROM (SELECT e.data, e.created_at, e.weight, eventlog._happened_at(e.occurred_at, e.created_at) AS at
                      FROM eventlog.events e
                     WHERE e.tenant_id = tenant AND e.name = 'checkout_completed' AND e.created_at >= since AND e.created_at < until
                       AND eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL) o) c
     GROUP BY c.plan
     ORDER BY 2 DESC, 1;
END
$$;

COMMENT ON FUNCTION eventlog.checkout_conversion(timestamptz, timestamptz, interval, uuid) IS
'Checkouts by plan in a span (default the last 90 days), and how many of them became a change to that plan within (default 1 day), and how fast. Order and durations by occurred_at, where it was given. is_sampled: a sample was taken of some of these events; what is counted are those it kept.';

-- The steps of an actor in the order of time; a step counts from the first event after the step
-- before it. Each actor begins with its first event of the first step. Nothing is known of how many
-- events each has, so loops are ruled out: they would take the square of the events.
CREATE FUNCTION eventlog.funnel(
    steps     text[],
    within    interval    DEFAULT '7 days',
    by        text        DEFAULT 'actor',
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (step integer, name text, reached bigint, conversion numeric, conversion_from_previous numeric,
                 median_seconds numeric, is_sampled boolean)
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
    -- Of any dimensions and bounds, as a list from 1.
    steps := ARRAY(SELECT s.name FROM unnest(steps) WITH ORDINALITY AS s (name, place) ORDER BY s.place);
    IF cardinality(steps) NOT BETWEEN 1 AND most_steps OR array_position(steps, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a funnel has 1 to % steps, this has %', most_steps, cardinality(steps)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'names of events, such as ''{conversation_started,message_sent}''';
    END IF;
    PERFORM eventlog._asked_names(steps);
    PERFORM eventlog._check_within(within);
    IF by IS NULL THEN
        RAISE EXCEPTION 'by is null'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'actor, subject or a key of the payload';
    END IF;
    who := CASE by WHEN 'actor' THEN 'nullif(e.actor, '''')' WHEN 'subject' THEN 'e.subject' ELSE format('e.data ->> %L', by) END;
    -- One join after the other: the first event of the next step, not before the last one.
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
               round(c.seconds::numeric, 3), coalesce(c.is_sampled, false)
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

COMMENT ON FUNCTION eventlog.funnel(text[], interval, text, timestamptz, timestamptz, uuid) IS
'Of those (actors, subjects, or values of a payload key, as by says) who had the first event in a span (default the last 30 days): how many went on to each next step in order, within (default 7 days) of the first, and the median time from the step before. Order and time by occurred_at, where it was given. Reads raw rows. is_sampled: a sample was taken of some of these events; what is counted are those it kept.';
