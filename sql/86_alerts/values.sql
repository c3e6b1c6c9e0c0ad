-- What alerts compare with their thresholds: the value of a window.

-- Returns the number of events of a window, and the percentage of failures among those that say whether they
-- failed (null if none does). A sampled event counts for all that it stands for.
CREATE FUNCTION eventlog_private.window_counts(tenant uuid, names text[], since timestamptz, until timestamptz,
                                               OUT events double precision, OUT error_rate double precision)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(sum(c.weighted_events), 0), 100 * sum(c.failures) / nullif(sum(c.failures) + sum(c.successes), 0)
      FROM eventlog._counts_by_name(tenant, since, until, names, '1 day') c
$$;

-- Returns the number of events that were put in the quarantine. Those of a caller without a tenant are of the
-- tenant that it named.
CREATE FUNCTION eventlog_private.refused_events(tenant uuid, names text[], since timestamptz, until timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    RETURN (SELECT count(*) FROM eventlog.rejected_events r
             WHERE (eventlog._is_tenant(tenant, r.tenant_id) OR r.tenant_id IS NULL AND eventlog._is_tenant(tenant, r.claimed_tenant_id))
               AND r.created_at >= since AND r.created_at < until
               AND (names IS NULL OR r.name = ANY (names)));
END
$$;

-- Returns the number of events over the quota, as the log counts them: not those whose caller got an error.
CREATE FUNCTION eventlog_private.events_over_quota(tenant uuid, since timestamptz, until timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    RETURN (SELECT coalesce(sum(h.events), 0) FROM eventlog.hygiene_counts h
             WHERE eventlog._is_tenant(tenant, h.tenant_id) AND h.kind = 'over_quota'
               AND h.created_at >= since AND h.created_at < until);
END
$$;

-- Returns the consumers of a tenant that have events to read, and for how many seconds the first of them has
-- waited at a time.
CREATE FUNCTION eventlog_private.consumers_behind(tenant uuid, at timestamptz) RETURNS TABLE (consumer text, seconds double precision)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT c.consumer, extract(epoch FROM at - f.created_at)::double precision
      FROM eventlog.consumers c
     CROSS JOIN LATERAL (SELECT e.created_at FROM eventlog.events e
                          WHERE e.id > c.acknowledged_id AND eventlog._is_tenant(c.tenant_id, e.tenant_id)
                            AND (c.names IS NULL OR e.name = ANY (c.names))
                          ORDER BY e.id LIMIT 1) f
     WHERE eventlog._is_tenant(tenant, c.tenant_id) AND f.created_at < at;
END
$$;

-- Returns the value of a window of an alert, and what to say besides. Null if the window has none.
CREATE FUNCTION eventlog_private.alert_value(tenant uuid, condition text, names text[], since timestamptz, until timestamptz,
                                             compared_since timestamptz, findings jsonb, OUT value double precision, OUT more jsonb)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    events double precision;
    before double precision;
BEGIN
    more := '{}';
    CASE condition
    WHEN 'above', 'below', 'not_received' THEN
        value := (SELECT w.events FROM eventlog_private.window_counts(tenant, names, since, until) w);
    WHEN 'error_rate' THEN
        SELECT w.error_rate, jsonb_build_object('events', w.events) INTO value, more
          FROM eventlog_private.window_counts(tenant, names, since, until) w;
    WHEN 'changed' THEN
        events := (SELECT w.events FROM eventlog_private.window_counts(tenant, names, since, until) w);
        before := (SELECT w.events FROM eventlog_private.window_counts(tenant, names, compared_since, compared_since + (until - since)) w);
        -- From none to some is more than any percentage.
        value := CASE WHEN before <> 0 THEN 100 * (events - before) / before WHEN events <> 0 THEN 'Infinity' ELSE 0 END;
        more := jsonb_build_object('events', events, 'events_before', before);
    WHEN 'refused' THEN
        value := eventlog_private.refused_events(tenant, names, since, until);
    WHEN 'quota' THEN
        value := eventlog_private.events_over_quota(tenant, since, until);
    WHEN 'stopped_consumers' THEN
        SELECT coalesce(max(c.seconds), 0), jsonb_build_object('consumers', coalesce(jsonb_agg(c.consumer ORDER BY c.seconds DESC, c.consumer), '[]'))
          INTO value, more FROM eventlog_private.consumers_behind(tenant, until) c;
    WHEN 'findings' THEN
        SELECT count(*), jsonb_build_object('checks', coalesce(jsonb_agg(f.finding -> 'check' ORDER BY f.finding ->> 'check'), '[]'))
          INTO value, more
          FROM jsonb_array_elements(findings) AS f (finding) WHERE f.finding ->> 'state' = 'wrong';
    END CASE;
END
$$;
