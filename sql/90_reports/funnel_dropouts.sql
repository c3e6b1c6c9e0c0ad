-- Report: who left a funnel at a step.

CREATE FUNCTION eventlog.funnel_dropouts(
    steps     text[],
    step      integer,
    within    interval    DEFAULT '7 days',
    by        text        DEFAULT 'actor',
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL,
    filters   jsonb       DEFAULT NULL,
    any_attempt boolean   DEFAULT true,
    row_limit integer     DEFAULT 100
) RETURNS TABLE (who text, last_name text, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(funnel_dropouts.tenant_id);
    people jsonb;
BEGIN
    PERFORM eventlog._check_row_limit(row_limit);
    steps := ARRAY(SELECT s.name FROM unnest(steps) WITH ORDINALITY AS s (name, place) ORDER BY s.place);
    people := eventlog._run_funnel(tenant, steps, within, by, since, until, filters, NULL, row_limit, coalesce(any_attempt, true),
                                   coalesce(step, 1));
    IF step IS NULL OR step NOT BETWEEN 1 AND cardinality(steps) THEN
        RAISE EXCEPTION 'step must be from 1 to %, got %', cardinality(steps), coalesce(step::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'the number of a step, as funnel() shows it';
    END IF;
    RETURN QUERY
    SELECT p.item ->> 'who', steps[(p.item -> 'step')::integer],
           timestamptz '2000-01-01 00:00:00+00' + (p.item -> 'at')::bigint * interval '1 microsecond'
      FROM jsonb_array_elements(people) WITH ORDINALITY AS p (item, place)
     ORDER BY p.place;
END
$$;

COMMENT ON FUNCTION eventlog.funnel_dropouts(text[], integer, interval, text, timestamptz, timestamptz, uuid, jsonb, boolean, integer) IS
'Those who reached a step of a funnel and no further, latest first, at most row_limit (default 100): the actor (or subject, or value of a payload key, see by), and name and time of the last event that is one of the steps. For the last step these are those who went all the way. For all tenants, who begins with the tenant. Arguments and figures as in funnel().';
