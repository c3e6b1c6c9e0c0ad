-- Checking the arguments of reports: tenant, span, names, limits.
--
-- Every report reads with the caller's own rights. Its tenant is the argument or the connection's, its time
-- is created_at (the server's clock) unless its COMMENT says otherwise, and a sampled event counts for all
-- that it stands for. Reports that pair events (ingestion_stats, checkout_conversion, funnel) count rows
-- instead: a sample of a pair's two names is no sample of pairs. Pairs and durations go by occurred_at if
-- it is given, since created_at is the same for a whole transaction.
--
-- Reports are PARALLEL RESTRICTED: a library that is loaded by a parallel worker does not take over the
-- settings that the session made before, and would know no tenant.

-- Returns whether the policies let the caller read every tenant: the log's owner and whoever else bypasses
-- them, services, and a gateway while its tenant is all of them.
CREATE FUNCTION eventlog._reads_all_tenants() RETURNS boolean
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT NOT row_security_active('eventlog.events')
        OR coalesce(bool_or(p.polname = 'events_service_select'), false)
           AND (NOT bool_or(p.polname = 'events_gateway_select')
                OR nullif(current_setting('eventlog.tenant_id', true), '') = eventlog.all_tenants()::text)
      FROM pg_policy p
     WHERE p.polrelid = 'eventlog.events'::regclass AND p.polname IN ('events_service_select', 'events_gateway_select')
       AND EXISTS (SELECT FROM unnest(p.polroles) AS r (role) WHERE pg_has_role(r.role, 'USAGE'))
$$;

-- Returns the tenant of a report: the argument, or the connection's. A role that policies bind to its
-- tenant must not name another, and must not ask for all of them.
CREATE FUNCTION eventlog._report_tenant(tenant_id uuid) RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    current uuid;
BEGIN
    PERFORM eventlog._require_layout(2);
    tenant_id := coalesce(tenant_id, eventlog.current_tenant());
    IF tenant_id = eventlog.all_tenants() AND NOT eventlog._reads_all_tenants() THEN
        RAISE EXCEPTION 'a report over all tenants is for the log''s owner and services'
            USING ERRCODE = 'insufficient_privilege', HINT = 'leave out the argument tenant_id: then it is the tenant of this connection';
    END IF;
    IF row_security_active('eventlog.events')
       AND NOT EXISTS (SELECT FROM pg_policy p, unnest(p.polroles) AS r (role)
                        WHERE p.polrelid = 'eventlog.events'::regclass AND p.polname = 'events_service_select'
                          AND pg_has_role(r.role, 'USAGE'))
    THEN
        current := eventlog.current_tenant();
        IF tenant_id <> current THEN
            RAISE EXCEPTION 'tenant % is not the tenant of this connection', tenant_id
                USING ERRCODE = 'insufficient_privilege', HINT = 'leave out the argument';
        END IF;
    END IF;
    RETURN tenant_id;
END
$$;

-- Returns the longest span of a report, in days.
CREATE FUNCTION eventlog._longest_days() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'SELECT 3700';

-- Checks a span of time, and raises 22023 if it makes no sense.
CREATE FUNCTION eventlog._check_span(since timestamptz, until timestamptz) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF since IS NULL OR until IS NULL OR NOT isfinite(since) OR NOT isfinite(until) OR since > until THEN
        RAISE EXCEPTION 'since must be before until, got since % and until %',
                coalesce(since::text, 'null'), coalesce(until::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'since => now() - interval ''30 days'', until => now()';
    END IF;
    -- In numbers, because the difference of two timestamps can exceed an interval.
    IF extract(epoch FROM until) - extract(epoch FROM since) > eventlog._longest_days() * 86400 THEN
        RAISE EXCEPTION 'the report spans % days, limit %',
                trunc((extract(epoch FROM until) - extract(epoch FROM since)) / 86400), eventlog._longest_days()
            USING ERRCODE = 'program_limit_exceeded', HINT = 'choose a later since or an earlier until';
    END IF;
END
$$;

-- Returns names or subjects in one dimension and without nulls, with which `<> ALL` would be true for no
-- row. Null means all.
CREATE FUNCTION eventlog._without_nulls(texts text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN texts IS NOT NULL THEN ARRAY(SELECT t.text FROM unnest(texts) WITH ORDINALITY AS t (text, place)
                                                   WHERE t.text IS NOT NULL ORDER BY t.place) END
$$;

-- Returns the given names, and for an alias the name that it stands for, with a NOTICE. An unknown name gives
-- a NOTICE, because the report shows zeros for it, as for a name without events.
CREATE FUNCTION eventlog._check_names(names text[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asked   text[] := eventlog._without_nulls(names);
    unknown text;
    nearest text;
    alias   record;
BEGIN
    FOR alias IN SELECT DISTINCT n.name, eventlog._name_of(n.name) AS stored_as FROM unnest(asked) AS n (name) LOOP
        IF alias.stored_as <> alias.name THEN
            RAISE NOTICE '"%" is an alias of "%"', left(alias.name, 200), alias.stored_as
                USING DETAIL = 'Its events are stored under that name.';
            asked := array_replace(asked, alias.name, alias.stored_as);
        END IF;
    END LOOP;
    FOR unknown IN
        SELECT DISTINCT n.name FROM unnest(asked) AS n (name)
         WHERE NOT EXISTS (SELECT FROM eventlog.event_types t
                            WHERE t.name = n.name OR (right(t.name, 2) = '.*' AND starts_with(n.name, left(t.name, -1))))
    LOOP
        SELECT t.name INTO nearest FROM eventlog.event_types t
         WHERE t.name = regexp_replace(lower(btrim(unknown)), '[^a-z0-9.]+', '_', 'g')
            OR length(unknown) >= 3 AND (starts_with(t.name, unknown) OR starts_with(unknown, t.name))
         ORDER BY length(t.name) LIMIT 1;
        RAISE NOTICE 'unknown event name "%"', left(unknown, 200)
            USING HINT = CASE WHEN nearest IS NULL THEN 'SELECT name FROM eventlog.event_types;' ELSE format('perhaps "%s"', nearest) END;
    END LOOP;
    RETURN asked;
END
$$;

CREATE FUNCTION eventlog._check_within(within interval) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF within IS NULL OR within <= '0'::interval THEN
        RAISE EXCEPTION 'within must be positive, got %', coalesce(within::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''7 days''';
    END IF;
    IF within > make_interval(days => eventlog._longest_days()) THEN
        RAISE EXCEPTION 'within is %, limit % days', within, eventlog._longest_days()
            USING ERRCODE = 'program_limit_exceeded', HINT = 'such as ''7 days''';
    END IF;
END
$$;

CREATE FUNCTION eventlog._check_row_limit(row_limit integer) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF row_limit IS NULL OR row_limit < 1 OR row_limit > 10000 THEN
        RAISE EXCEPTION 'row_limit must be from 1 to 10000, got %', coalesce(row_limit::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;

-- Returns the keyed hashes of actors for callers who may learn them: the log's owner and services. Not for
-- a gateway, whose readers could find out by trying who a hash is. Returns none if the log never hashed.
CREATE FUNCTION eventlog._hashes_of(actors text[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF actors IS NULL OR (SELECT l.hash_key_id FROM eventlog.log_config l) IS NULL
       OR has_column_privilege('eventlog.api_keys', 'secret_hash', 'SELECT')
          AND NOT pg_has_role((SELECT c.relowner FROM pg_class c WHERE c.oid = 'eventlog.events'::regclass), 'USAGE')
       OR NOT (pg_has_role((SELECT c.relowner FROM pg_class c WHERE c.oid = 'eventlog.events'::regclass), 'USAGE')
               OR EXISTS (SELECT FROM pg_policy p, unnest(p.polroles) AS r (role)
                           WHERE p.polrelid = 'eventlog.events'::regclass AND p.polname = 'events_service_select'
                             AND pg_has_role(r.role, 'USAGE'))) THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(SELECT eventlog.hash_actor(a) FROM unnest(actors) AS a WHERE a IS NOT NULL);
END
$$;
