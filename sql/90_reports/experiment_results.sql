-- Report: what the variants of an experiment did to a metric.

-- Returns a number with nine significant digits.
CREATE FUNCTION eventlog._significant(value double precision) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN value = 0 THEN 0
                WHEN abs(value) < 'infinity' THEN trim_scale(round(value::numeric, 8 - floor(log(abs(value::numeric)))::integer)) END
$$;

-- Refuses names whose events are sampled: of the events of one actor some would be missing.
CREATE FUNCTION eventlog._check_unsampled(names text[]) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sampled record;
BEGIN
    SELECT n.name, t.sample_rate INTO sampled
      FROM unnest(names) AS n (name)
     CROSS JOIN LATERAL (SELECT d.sample_rate FROM eventlog.event_types d
                          WHERE d.name = n.name OR right(d.name, 2) = '.*' AND starts_with(n.name, left(d.name, -1))
                          ORDER BY d.name = n.name DESC, length(d.name) DESC LIMIT 1) t
     WHERE t.sample_rate < 1
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'events named "%" are sampled, with rate %', sampled.name, sampled.sample_rate
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'An experiment needs every event: an actor whose event was left out would count as one who did nothing.',
                  HINT = format('SELECT eventlog.define_event(%L, sample_rate => 1); then a span that begins after that', sampled.name);
    END IF;
END
$$;

-- Returns a payload key, which may be given as data.KEY like in filters.
CREATE FUNCTION eventlog._payload_key(argument text, key text, names text[]) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    key := CASE WHEN key ~ '^data\..' THEN substr(key, 6) ELSE key END;
    IF key IS NULL OR key IN ('', 'data.') THEN
        RAISE EXCEPTION '% must be a payload key, got %', argument, CASE WHEN key IS NULL THEN 'null' ELSE '"' || key || '"' END
            USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT name, required_keys, optional_keys FROM eventlog.event_types;';
    END IF;
    PERFORM eventlog._check_keys(ARRAY[key], names);
    RETURN key;
END
$$;

-- Returns the ratios that the actors of these variants should have, in their order. Without ratios all are equal.
CREATE FUNCTION eventlog._ratios_of(ratios jsonb, variants text[]) RETURNS double precision[]
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    example constant text := 'such as {"control": 1, "treatment": 1}';
    missing integer;
BEGIN
    IF ratios IS NULL OR ratios = 'null' THEN
        RETURN array_fill(1::double precision, ARRAY[cardinality(variants)]);
    END IF;
    missing := (SELECT count(*) FROM unnest(variants) AS v WHERE NOT ratios ? v);
    IF missing > 0 THEN
        RAISE EXCEPTION 'ratios have no value for % of the % variants', missing, cardinality(variants)
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Each variant that actors were exposed to needs a ratio.',
                  HINT = 'call the report without ratios to see the variants; ' || example;
    END IF;
    RETURN ARRAY(SELECT (ratios ->> v.name)::double precision FROM unnest(variants) WITH ORDINALITY AS v (name, place) ORDER BY v.place);
END
$$;

-- Checks ratios before the events are read.
CREATE FUNCTION eventlog._check_ratios(ratios jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF ratios IS NULL OR ratios = 'null' THEN
        RETURN;
    END IF;
    IF jsonb_typeof(ratios) <> 'object' OR ratios = '{}'
       OR EXISTS (SELECT FROM jsonb_each(CASE jsonb_typeof(ratios) WHEN 'object' THEN ratios ELSE '{}' END) AS r (name, value)
                   WHERE CASE jsonb_typeof(r.value) WHEN 'number' THEN r.value::numeric NOT BETWEEN 1e-6 AND 1e6 ELSE true END) THEN
        RAISE EXCEPTION 'ratios must be a JSON object with a positive number for each variant'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'A ratio is from 0.000001 to 1000000.',
                  HINT = 'such as {"control": 1, "treatment": 1}';
    END IF;
END
$$;

CREATE FUNCTION eventlog.experiment_results(
    exposure        text,
    variant_key     text,
    metric          text,
    value_key       text             DEFAULT NULL,
    control         text             DEFAULT NULL,
    within          interval         DEFAULT NULL,
    since           timestamptz      DEFAULT now() - interval '30 days',
    until           timestamptz      DEFAULT now(),
    tenant_id       uuid             DEFAULT NULL,
    filters         jsonb            DEFAULT NULL,
    metric_filters  jsonb            DEFAULT NULL,
    ratios          jsonb            DEFAULT NULL,
    confidence      double precision DEFAULT 0.95,
    min_actors      integer          DEFAULT 100,
    lower_is_better boolean          DEFAULT false
) RETURNS TABLE (variant text, is_control boolean, actors bigint, converted bigint, rate numeric, total numeric, mean numeric,
                 difference numeric, difference_low numeric, difference_high numeric, p_value numeric, verdict text, no_verdict text,
                 mismatch_p numeric, multi_exposed bigint, without_actor bigint, is_complete boolean, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
SET max_parallel_workers_per_gather = 0
AS $$
#variable_conflict use_column
DECLARE
    -- A split that chance alone gives less often than this is broken.
    least_p      constant double precision := 0.001;
    -- So many are to be expected to convert, and not to, for the normal distribution to hold.
    least_events constant integer := 10;
    tenant   uuid := eventlog._report_tenant(experiment_results.tenant_id);
    names    text[];
    answer   jsonb;
    variants text[];
    found    record;
    mismatch double precision;
    kept     timestamptz;
BEGIN
    PERFORM eventlog._check_span(since, until);
    IF exposure IS NULL OR metric IS NULL THEN
        RAISE EXCEPTION '% must not be null', CASE WHEN exposure IS NULL THEN 'exposure' ELSE 'metric' END
            USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT name FROM eventlog.event_types;';
    END IF;
    IF within IS NOT NULL THEN
        PERFORM eventlog._check_within(within);
    END IF;
    IF confidence IS NULL OR confidence NOT BETWEEN 0.5 AND 0.9999 THEN
        RAISE EXCEPTION 'confidence must be from 0.5 to 0.9999, got %', coalesce(confidence::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as 0.95';
    END IF;
    IF min_actors IS NULL OR min_actors < 2 THEN
        RAISE EXCEPTION 'min_actors must be at least 2, got %', coalesce(min_actors::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as 100';
    END IF;
    PERFORM eventlog._check_ratios(ratios);
    exposure := (eventlog._check_names(ARRAY[exposure]))[1];
    metric := (eventlog._check_names(ARRAY[metric]))[1];
    names := ARRAY[exposure, metric];
    PERFORM eventlog._check_unsampled(names);
    variant_key := eventlog._payload_key('variant_key', variant_key, ARRAY[exposure]);
    IF value_key IS NOT NULL THEN
        value_key := eventlog._payload_key('value_key', value_key, ARRAY[metric]);
    END IF;

    EXECUTE format($sql$
        SELECT eventlog._experiment(r.who, r.at, r.variant, r.at + $6, r.value) AS answer,
               count(*) FILTER (WHERE r.who IS NULL AND r.variant IS NOT NULL) AS without_actor, bool_or(r.is_sampled) AS is_sampled
          FROM (SELECT %1$s AS who, eventlog._happened_at(e.occurred_at, e.created_at) AS at, coalesce(e.weight, 1) <> 1 AS is_sampled,
                       CASE WHEN e.name = %2$L AND e.created_at < $4 AND (%4$s) THEN nullif(left(e.data ->> %3$L, 200), '') END AS variant,
                       CASE WHEN e.name = %5$L AND (%6$s) THEN %7$s END AS value
                  FROM eventlog.events e
                 WHERE eventlog._is_tenant($1, e.tenant_id) AND e.name = ANY ($2) AND e.created_at >= $3 AND e.created_at < $5
                   AND eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL) r
         WHERE r.variant IS NOT NULL OR r.value IS NOT NULL$sql$,
        eventlog._who_of('actor', tenant, names), exposure, variant_key, eventlog._filter_condition(filters, ARRAY[exposure]),
        metric, eventlog._filter_condition(metric_filters, ARRAY[metric]),
        CASE WHEN value_key IS NULL THEN '1::double precision'
             ELSE format('CASE WHEN jsonb_typeof(e.data -> %1$L) = ''number''
                               THEN CASE WHEN abs((e.data -> %1$L)::numeric) BETWEEN 1e-300 AND 1e15 THEN (e.data -> %1$L)::double precision
                                         WHEN abs((e.data -> %1$L)::numeric) < 1e-300 THEN 0 END END', value_key) END)
       INTO found
      USING tenant, names, since, until, until + coalesce(within, '0'), within;
    IF found.is_sampled THEN
        RAISE EXCEPTION 'some events named "%" or "%" of this span were sampled', exposure, metric
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'An experiment needs every event: an actor whose event was left out would count as one who did nothing.',
                  HINT = 'choose a span without sampled events (weight other than 1)';
    END IF;
    answer := found.answer;
    variants := ARRAY(SELECT v.item ->> 'variant' FROM jsonb_array_elements(answer -> 'variants') AS v (item) ORDER BY v.item ->> 'variant' COLLATE "C");
    IF variants = '{}' THEN
        RETURN;
    END IF;
    -- A variant that has a ratio and nobody in it is one of the experiment.
    IF jsonb_typeof(ratios) = 'object' THEN
        PERFORM eventlog._ratios_of(ratios, variants);
        variants := ARRAY(SELECT v FROM (SELECT unnest(variants) AS v UNION SELECT jsonb_object_keys(ratios)) u ORDER BY v COLLATE "C");
    END IF;
    IF control IS NULL THEN
        control := CASE WHEN 'control' = ANY (variants) THEN 'control' ELSE variants[1] END;
    ELSIF control <> ALL (variants) THEN
        RAISE EXCEPTION 'no actor was exposed to a variant "%"', left(control, 200)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'leave out control, and the report shows the variants';
    END IF;
    kept := eventlog._covered_since(tenant, since, until, names);
    mismatch := (SELECT eventlog._mismatch_p(array_agg(coalesce((f.item ->> 'actors')::bigint, 0) ORDER BY v.place),
                                             eventlog._ratios_of(ratios, variants))
                   FROM unnest(variants) WITH ORDINALITY AS v (name, place)
                   LEFT JOIN jsonb_array_elements(answer -> 'variants') AS f (item) ON f.item ->> 'variant' = v.name);
    RETURN QUERY
    WITH figures AS (
        SELECT v.name, v.place, coalesce((f.item ->> 'actors')::bigint, 0) AS actors, coalesce((f.item ->> 'converted')::bigint, 0) AS converted,
               coalesce((f.item ->> 'total')::double precision, 0) AS total, coalesce((f.item ->> 'mean')::double precision, 0) AS mean,
               coalesce((f.item ->> 'deviations')::double precision, 0) AS deviations
          FROM unnest(variants) WITH ORDINALITY AS v (name, place)
          LEFT JOIN jsonb_array_elements(answer -> 'variants') AS f (item) ON f.item ->> 'variant' = v.name
    ), compared AS (
        SELECT f.*, f.name = control AS is_control, c.actors AS control_actors,
               least(c.actors, f.actors) * (c.converted + f.converted) / nullif(c.actors + f.actors, 0)::double precision AS expected,
               least(c.actors, f.actors) AS smaller,
               CASE WHEN f.name = control THEN NULL
                    WHEN value_key IS NULL THEN eventlog._difference_of_rates(c.actors, c.converted, f.actors, f.converted, confidence)
                    ELSE eventlog._difference_of_means(c.actors, c.mean, c.deviations, f.actors, f.mean, f.deviations, confidence) END AS d,
               CASE WHEN f.name <> control AND c.actors > 0 AND f.actors > 0
                    THEN CASE WHEN value_key IS NULL THEN f.converted::double precision / f.actors - c.converted::double precision / c.actors
                              ELSE f.mean - c.mean END END AS difference
          FROM figures f JOIN figures c ON c.name = control
    ), judged AS (
        SELECT c.*, CASE WHEN c.is_control THEN 'control'
                         WHEN mismatch < least_p THEN 'split mismatch'
                         WHEN c.smaller < min_actors THEN 'too few actors'
                         WHEN value_key IS NULL AND least(c.expected, c.smaller - c.expected) < least_events THEN 'too few conversions'
                         WHEN c.d IS NULL THEN 'no variance' END AS no_verdict
          FROM compared c
    )
    SELECT j.name, j.is_control, j.actors, j.converted, eventlog._significant(j.converted / nullif(j.actors, 0)::double precision),
           CASE WHEN value_key IS NOT NULL THEN eventlog._significant(j.total) END,
           CASE WHEN value_key IS NOT NULL AND j.actors > 0 THEN eventlog._significant(j.mean) END,
           eventlog._significant(j.difference), eventlog._significant(j.d[2]), eventlog._significant(j.d[3]), eventlog._significant(j.d[4]),
           CASE WHEN j.no_verdict IS NOT NULL THEN NULL
                WHEN j.d[2] > 0 THEN CASE WHEN lower_is_better THEN 'worse' ELSE 'better' END
                WHEN j.d[3] < 0 THEN CASE WHEN lower_is_better THEN 'better' ELSE 'worse' END
                ELSE 'undecided' END,
           j.no_verdict, eventlog._significant(mismatch), (answer ->> 'multiple')::bigint, found.without_actor,
           CASE WHEN within IS NULL THEN until <= now()
                ELSE timestamptz '2000-01-01 00:00:00+00' + (answer ->> 'last')::bigint * interval '1 microsecond' <= now() END, kept
      FROM judged j
     ORDER BY j.is_control DESC, j.place;
END
$$;

COMMENT ON FUNCTION eventlog.experiment_results(text, text, text, text, text, interval, timestamptz, timestamptz, uuid, jsonb, jsonb, jsonb, double precision, integer, boolean) IS
'For each variant of an experiment: how many actors were exposed to it, and how many of them did the metric, against the control. Of the events named exposure in a span (default the last 30 days) the payload key variant_key names the variant; an actor counts from the first of them, and events of the metric count from that instant on: within an interval, or without one until the end of the span. Actors exposed to several variants are left out and counted (multi_exposed), like exposures without an actor (without_actor). With a value_key, a numeric payload key of the metric, the mean per actor of the sum of its values is compared, where actors without events count 0; otherwise the share of actors who converted. difference is to the control (default the variant "control", else the first by name), with the interval of the confidence (default 95 %): Welch''s for means, Wald''s for shares, and p_value of the same test. mismatch_p: the chi-square test of the actors against the ratios, a JSON object (default equal shares). verdict is better, worse (the interval is on one side of zero; lower_is_better turns them around) or undecided; null, with the reason in no_verdict, if mismatch_p is below 0.001, either variant has fewer than min_actors (default 100) or fewer than 10 conversions are to be expected in it, or nothing varies. Sampled names are refused. filters are conditions on the exposures, metric_filters on the events of the metric. Order by occurred_at, if given. is_complete: false while the time of some actor is not over. Reads raw rows, which are complete from covered_since on.';
