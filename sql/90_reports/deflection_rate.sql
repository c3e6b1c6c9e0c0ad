-- Report: the share of conversations that were not escalated.

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
'The share of conversations that were not escalated, from 0 to 1; NULL without conversations. See escalation_rate.';
