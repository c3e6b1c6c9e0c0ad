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
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_row_limit(row_limit);
    PERFORM eventlog._report_tenant(funnel_dropouts.tenant_id);
END
$$;

COMMENT ON FUNCTION eventlog.funnel_dropouts(text[], integer, interval, text, timestamptz, timestamptz, uuid, jsonb, boolean, integer) IS
'Those who reached a step of a funnel but not the next one, latest first, at most row_limit (default 100). See funnel.';
